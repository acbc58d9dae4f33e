// What the redo functions of the resource managers share. Internal to core/pg/redo.
//
// apply() calls one function per resource manager for a block that needs redo: the page has a
// sane header and a lower LSN, or the record makes it anew (then its content is arbitrary). The
// function changes the page and ends with done(), which moves the page's LSN.

#pragma once

#include <string>

#include "core/pg/redo/page_ops.h"
#include "core/pg/redo/redo.h"

namespace argon::pg::redo {

struct Redo {
  const DecodedRecord& record;
  const DecodedBlock& block;
  Page page;
  const RedoSettings& settings;

  uint8_t id() const { return block.id; }
  ByteView main() const { return record.main_data; }
  ByteView data() const { return block.data; }
  template <typename Integer>
  Integer main_at(size_t offset) const {
    return load_le<Integer>(record.main_data.data() + offset);
  }
  // The record's data for this block or its main data has at least n bytes.
  Status need_main(size_t n) const { return need("main data", main(), n); }
  Status need_data(size_t n) const { return need("block data", data(), n); }
  // The block number of another block reference of the record.
  Result<BlockNumber> block_number(uint8_t id) const {
    const DecodedBlock* other = record.block(id);
    if (other == nullptr) return corrupt("no block reference " + std::to_string(id));
    return other->blkno;
  }
  Status done() const {
    page.set_lsn(record.end_lsn);
    return {};
  }
  // For a block id or type that this resource manager does not write.
  Status unexpected_block() const {
    return corrupt("block reference " + std::to_string(id()) + " has no meaning");
  }

 private:
  static Status need(const char* what, ByteView bytes, size_t n) {
    if (bytes.size() >= n) [[likely]]
      return {};
    return too_short(what, bytes.size(), n);
  }
  [[gnu::cold]] static Error too_short(const char* what, size_t size, size_t n) {
    return corrupt(std::string(what) + " of " + std::to_string(size) + " bytes, not at least " +
                   std::to_string(n));
  }
};

inline Status unknown_type() {
  return Error(Code::Unsupported, "record type is not known");
}

Status redo_heap(const Redo& r);
Status redo_heap2(const Redo& r);
Status redo_btree(const Redo& r);
Status redo_hash(const Redo& r);
Status redo_gin(const Redo& r);
Status redo_gist(const Redo& r);
Status redo_sequence(const Redo& r);
Status redo_spgist(const Redo& r);
Status redo_brin(const Redo& r);
Status redo_generic(const Redo& r);
// What a restored block still needs: the two resource managers whose redo acts on BLK_RESTORED.
Status redo_hash_restored(const Redo& r);
Status redo_gist_restored(const Redo& r);

}  // namespace argon::pg::redo
