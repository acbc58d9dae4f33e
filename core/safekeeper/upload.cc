// Timeline's WAL in the object store, and what may therefore go from the local disk.
//
// Objects: wal/TENANT/TIMELINE/SEGMENT for each segment all of whose bytes are committed, put in order by one
// elected safekeeper (two at once do no harm: committed bytes are the same everywhere), and
// SEGMENT_TERM_FLUSH_skID_ATTEMPT.partial, the last segment's beginning, by each safekeeper for itself. The
// control file names a partial object before it is put, so that none is ever forgotten there. No name is used
// twice: a removal that is carried out late must not take an object that an evicted timeline relies on
// (eviction.cc).

#include <algorithm>

#include "core/env/points.h"
#include "core/objstore/keys.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/timeline.h"
#include "core/safekeeper/wal_proof.h"

namespace argon::safekeeper {
namespace {

constexpr size_t kProofChunk = 64 * 1024;
constexpr size_t kAttemptBytes = 4;
constexpr int kSegmentsAtOnce = 4;  // per look; the next look goes on

std::string hex16(uint64_t value) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text(16, '0');
  for (size_t i = 16; i-- > 0; value >>= 4) text[i] = kDigits[value & 15];
  return text;
}

// A range of local WAL, from a segment's start on, as the bytes of a put. Between the segment's first page
// and that of the timeline's first LSN there is nothing (wal_storage.h).
class WalSource final : public objstore::Source {
 public:
  WalSource(WalStorage& storage, Lsn from, Lsn to, Lsn timeline_start)
      : storage_(storage),
        from_(from),
        to_(to),
        hole_(from + pg::kWalBlockSize),
        wal_(pg::page_start(timeline_start)) {}
  uint64_t size() const override { return to_ - from_; }
  uint64_t zeros_from(uint64_t offset) const override {
    Lsn at = from_ + offset;
    return hole_ <= at && at < wal_ ? std::min(wal_, to_) - at : 0;
  }
  Status read(Task& task, uint64_t offset, ByteSpan into) override {
    while (!into.empty()) {
      TRY_ASSIGN(size_t n, storage_.read(task, from_ + offset, into));
      if (n == 0) return Error(Code::Corrupt, "segment is cut short at " + to_string(from_ + offset));
      offset += n;
      into = into.subspan(n);
    }
    return {};
  }

 private:
  WalStorage& storage_;
  Lsn from_;
  Lsn to_;
  Lsn hole_;
  Lsn wal_;
};

}  // namespace

// All of the segment's WAL is here, not only what came after this node joined.
bool Timeline::has_from_the_start(Lsn segment) const {
  const consensus::AcceptorState& s = state();
  return s.local_start <= segment || s.local_start == s.timeline_start;
}

std::string Timeline::partial_key(Lsn segment, Term term, Lsn flush) const {
  Bytes attempt(kAttemptBytes);
  env_.random("safekeeper.partial").fill(attempt);
  return objstore::wal_prefix(id()) + pg::segment_file_name(pg::segment_number(segment)) + "_" +
         to_string(term) + "_" + hex16(flush.value) + "_sk" + to_string(config_.id) + "_" + to_hex(attempt) +
         ".partial";
}

// Nothing is left to be uploaded, neither from here nor by a peer.
bool Timeline::is_uploaded() const {
  if (store_ == nullptr || !acceptor_->has_wal()) return true;
  Lsn full = pg::segment_start(acceptor_->commit());
  if (full > std::max(backup_, pg::segment_start(acceptor_->state().timeline_start))) return false;
  if (!control_.partial_previous.key.empty()) return false;
  Lsn flush = acceptor_->flush();
  Lsn from = pg::segment_start(flush);
  return from == flush || !has_from_the_start(from) ||
         (control_.partial.flush == flush && control_.partial.term == acceptor_->last_log_term());
}

// Among those alive that still have the WAL to be uploaded, one: by timeline, so that the load spreads.
bool Timeline::is_uploader() const {
  std::vector<NodeId> able{config_.id};
  for (const auto& [peer, info] : peers_)
    if (peer != config_.id && info.local_start.valid() &&
        info.local_start <= std::max(backup_, acceptor_->state().timeline_start) &&
        acceptor_->state().configuration.contains(peer) && info.commit >= acceptor_->commit())
      able.push_back(peer);
  std::sort(able.begin(), able.end());
  return able[control_.id.timeline.bytes[15] % able.size()] == config_.id;
}

Status Timeline::upload_range(Task& task, const std::string& key, Lsn from, Lsn to) {
  std::shared_ptr<WalStorage> storage = storage_;
  WalSource source(*storage, from, to, acceptor_->state().timeline_start);
  Deadline deadline(task, kStoreTimeout);
  Status put = store_->put(task, key, source, objstore::PutMode::Replace);
  if (!put.ok()) env_.probe("safekeeper.upload-failed"_probe);
  return std::move(put).with("put " + key);
}

// All records that begin in the segment, also the last, which may end in the next one.
Status Timeline::prove_segment(Task& task, Lsn begin, Lsn end) {
  std::shared_ptr<WalStorage> storage = storage_;
  Lsn at = std::max(begin, acceptor_->state().local_start);
  WalProof proof(at, acceptor_->state().local_start);
  Bytes chunk(kProofChunk);
  while (at < end || (proof.inside_record() && at < acceptor_->commit())) {
    if (at >= end) env_.probe("safekeeper.record-over-segments"_probe);
    uint64_t wanted = std::min<uint64_t>(chunk.size(), acceptor_->commit() - at);
    TRY_ASSIGN(size_t n, storage->read(task, at, ByteSpan(chunk).first(wanted)));
    if (n == 0) return Error(Code::Corrupt, "segment is cut short at " + to_string(at));
    TRY(proof.add(at, ByteView(chunk).first(n)));
    at += n;
  }
  return {};
}

Status Timeline::upload_full_segments(Task& task) {
  if (!is_uploader()) return {};
  for (int i = 0; i < kSegmentsAtOnce; ++i) {
    Lsn next = std::max(backup_, pg::segment_start(acceptor_->state().timeline_start));
    if (!has_from_the_start(next) || next < pg::segment_start(storage_->oldest())) return {};
    Lsn end = pg::segment_start(next) + pg::kWalSegmentSize;
    if (end > acceptor_->commit()) return {};
    if (Status proved = prove_segment(task, pg::segment_start(next), end); !proved.ok()) {
      note_damage();
      return proved;
    }
    TRY(upload_range(task, objstore::wal_prefix(id()) + pg::segment_file_name(pg::segment_number(next)),
                     pg::segment_start(next), end));
    env_.probe("safekeeper.segment-uploaded"_probe);
    backup_ = std::max(backup_, end);
    log_.debug("WAL is in the object store up to {}", to_string(backup_));
  }
  return {};
}

Status Timeline::upload_partial(Task& task) {
  Lsn flush = acceptor_->flush();
  Term term = acceptor_->last_log_term();
  if (flush != partial_seen_) {
    partial_seen_ = flush;
    partial_since_ = env_.now();
  }
  bool pause = env_.now() - partial_since_ >= config_.partial_upload_pause ||
               env_.buggify("safekeeper.partial-early"_rare);
  if (!pause || (control_.partial.flush == flush && control_.partial.term == term))
    return control_.partial_previous.key.empty() ? Status() : drop_previous_partial(task);
  Lsn from = pg::segment_start(flush);
  if (from == flush || acceptor_->unflushed() || !has_from_the_start(from)) return {};
  TRY(drop_previous_partial(task));
  uint64_t epoch = storage_->epoch();
  PartialUpload next{partial_key(from, term, flush), flush, term};
  control_.partial_previous = next;
  TRY(save(task));
  TRY(upload_range(task, next.key, from, flush));
  if (acceptor_ && acceptor_->flush() != flush) env_.probe("safekeeper.partial-overtaken"_probe);
  if (!failure_.ok() || storage_->epoch() != epoch || acceptor_->last_log_term() != term) return {};
  control_.partial_previous = control_.partial;
  control_.partial = next;
  TRY(save(task));
  return drop_previous_partial(task);
}

Status Timeline::drop_previous_partial(Task& task) {
  std::string key = control_.partial_previous.key;
  if (key.empty()) return {};
  if (key != control_.partial.key) {
    std::vector<std::string> keys{key};
    Deadline deadline(task, kStoreTimeout);
    TRY(store_->remove(task, keys).with("remove " + key));
    env_.probe("safekeeper.partial-replaced"_probe);
  }
  control_.partial_previous = {};
  return save(task);
}

// Where WAL begins that is needed with such a control file: never above what a pageserver has in the object
// store, what is there as segments, what the hash chain is still to be made of, and the last byte that is
// committed: a start looks at the segment that ends with it.
Lsn Timeline::needed_from(const TimelineControl& control) const {
  Lsn commit = control.acceptor.commit;
  Lsn horizon = std::min(control.remote_consistent, commit.valid() ? Lsn(commit.value - 1) : commit);
  if (!control.chain.empty()) horizon = std::min(horizon, control.chain.back().at);
  return store_ != nullptr ? std::min(horizon, control.backup) : horizon;
}

// control_ is ahead of the file while that is being written, and after it could not be: only the file counts.
Status Timeline::remove_old_wal(Task& task) {
  Lsn horizon = saved_needed_from_;
  if (!control_.chain.empty()) horizon = std::min(horizon, control_.chain.back().at);
  for (const auto& [number, reader] : readers_)
    if (reader.sent.valid() && store_ == nullptr) horizon = std::min(horizon, reader.sent);
  if (pg::segment_start(horizon) <= storage_->oldest()) return {};
  TRY_ASSIGN(size_t removed, storage_->remove_below(task, horizon));
  if (removed == 0) return {};
  trim_chain();
  env_.probe("safekeeper.old-segments-removed"_probe);
  log_.info("removed {} segments below {}", removed, to_string(horizon));
  return {};
}

}  // namespace argon::safekeeper
