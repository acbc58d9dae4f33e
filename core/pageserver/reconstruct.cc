#include "core/pageserver/reconstruct.h"

#include <algorithm>

#include "core/pageserver/value.h"
#include "core/pg/page.h"
#include "core/pg/redo/canonical.h"
#include "core/pg/redo/redo.h"

namespace argon::pageserver {

namespace {

class Builder {
 public:
  Builder(const Key& key, const pg::redo::RedoSettings& settings, RedoOfExtensions* extensions)
      : key_(key), settings_(settings), extensions_(extensions) {}

  // Records of extensions wait for redo_waiting().
  Status apply(Lsn lsn, const ValueView& part) {
    switch (part.kind) {
      case ValueKind::Image:
        return image(part.body);
      case ValueKind::Record:
      case ValueKind::RecordWillInit:
        return record(lsn, part.body, part.kind == ValueKind::RecordWillInit);
      default:
        return mutation(part.body);
    }
  }
  Status redo_waiting() {
    if (waiting_.empty()) return {};
    StoredRecord first = waiting_.front();
    Status redone = extensions_ != nullptr ? extensions_->apply(block_of(key_), waiting_, page_)
                                           : Status(Error(Code::Unsupported, "nothing here redoes them"));
    waiting_.clear();
    if (redone.ok()) return redone;
    return redone.error().with("records from " + to_string(first.start) + " on of resource manager " +
                               std::to_string(first.manager) + ", an extension's");
  }
  // The canonical form is for pages of relations: SLRU pages have no header.
  Bytes take() {
    if (is_block_key(key_)) pg::redo::canonicalize(block_of(key_), page_, settings_, heap_records_);
    return std::move(page_);
  }

 private:
  bool has_base() const { return !page_.empty(); }
  Status image(ByteView body) {
    waiting_.clear();
    if (body.size() != pg::kBlockSize)
      return Error(Code::Corrupt, "an image of " + std::to_string(body.size()) + " bytes");
    page_.assign(body.begin(), body.end());
    return {};
  }

  Status record(Lsn lsn, ByteView body, bool will_init) {
    if (!has_base() && !will_init) return Error(Code::Corrupt, "a record without a page below it");
    if (!is_block_key(key_)) return Error(Code::Corrupt, "a record for what is not a relation's block");
    // Only the end of a record is stored; the start is for messages, and right where it lies on one page.
    Lsn start(lsn.value - std::min<uint64_t>(lsn.value, pg::align8(body.size())));
    TRY(pg::decode_record(body, start, lsn, decoded_));
    pg::BlockTag tag = block_of(key_);
    for (const pg::DecodedBlock& block : decoded_.blocks()) {
      if (block.tag() != tag) continue;
      page_.resize(pg::kBlockSize);
      if (decoded_.rmid >= pg::kFirstCustomRmgr) {
        waiting_.push_back({start, lsn, body, decoded_.rmid});
        return {};
      }
      TRY(redo_waiting());
      heap_records_ |= decoded_.is(pg::Rmgr::Heap) || decoded_.is(pg::Rmgr::Heap2);
      return pg::redo::apply(decoded_, block, page_, settings_);
    }
    return Error(Code::Corrupt, "a record that does not concern the block: " + pg::to_string(decoded_));
  }

  Status mutation(ByteView body) {
    TRY_ASSIGN(pg::redo::Mutation mutation, pg::redo::decode_mutation(body));
    bool init = pg::redo::will_init(mutation);
    if (!has_base() && !init && !pg::redo::starts_from_zeros(mutation))
      return Error(Code::Corrupt, pg::redo::to_string(mutation) + " without a page below it");
    page_.resize(pg::kBlockSize);
    TRY(redo_waiting());
    return pg::redo::apply_mutation(mutation, page_);
  }

  const Key& key_;
  const pg::redo::RedoSettings& settings_;
  RedoOfExtensions* extensions_;
  std::vector<StoredRecord> waiting_;  // of extensions, not applied yet
  Bytes page_;                         // empty: there is no base yet
  bool heap_records_ = false;
  pg::DecodedRecord decoded_;
};

}  // namespace

Result<Bytes> reconstruct_page(const Key& key, const Chain& chain, const pg::redo::RedoSettings& settings,
                               RedoOfExtensions* extensions) {
  if (chain.versions.empty()) return Error(Code::NotFound, describe(key) + " does not exist");
  Builder builder(key, settings, extensions);
  for (auto version = chain.versions.rbegin(); version != chain.versions.rend(); ++version) {
    auto where = [&] { return describe(key) + " at " + to_string(version->lsn); };
    auto parts = parts_of(version->value);
    if (!parts.ok()) return parts.error().with(where());
    for (const ValueView& part : *parts) {
      Status applied = builder.apply(version->lsn, part);
      if (!applied.ok()) return applied.error().with(where());
    }
  }
  if (Status redone = builder.redo_waiting(); !redone.ok())
    return redone.error().with(describe(key) + " at " + to_string(chain.versions.front().lsn));
  return builder.take();
}

Result<Bytes> newest_image(const Key& key, const Chain& chain) {
  if (chain.versions.empty()) return Error(Code::NotFound, describe(key) + " does not exist");
  const Version& newest = chain.versions.front();
  if (newest.value.empty() || newest.value[0] != static_cast<uint8_t>(ValueKind::Image))
    return Error(Code::Corrupt,
                 describe(key) + " at " + to_string(newest.lsn) + ": the value is not an image");
  if (newest.value.size() == 1 && is_sparse(key))
    return Error(Code::NotFound, describe(key) + " was removed");
  return Bytes(newest.value.begin() + 1, newest.value.end());
}

}  // namespace argon::pageserver
