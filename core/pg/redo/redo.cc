#include "core/pg/redo/redo.h"

#include <array>
#include <cstring>

#include "core/base/check.h"
#include "core/pg/redo/context.h"

namespace argon::pg::redo {
namespace {

constexpr uint8_t kXlogFpiForHint = 0xA0;
constexpr uint8_t kXlogFpi = 0xB0;
constexpr uint8_t kHeap2Visible = 0x40;

[[gnu::cold, gnu::noinline]] Error in_context(const DecodedRecord& record, const DecodedBlock& block,
                                              const Error& error) {
  return error.with("redo of " + to_string(record) + " on block " + to_string(block.tag()) + " (reference " +
                    std::to_string(block.id) + ")");
}

// One version's redo functions, by resource manager; null where it has none for blocks.
using RedoFunction = Status (*)(const Redo&);
using RedoTable = std::array<RedoFunction, kLastBuiltinRmgr + 1>;

constexpr RedoTable make_table_of_15() {
  RedoTable table{};
  auto set = [&](Rmgr rmgr, RedoFunction function) { table[static_cast<size_t>(rmgr)] = function; };
  set(Rmgr::Heap, redo_heap);
  set(Rmgr::Heap2, redo_heap2);
  set(Rmgr::Btree, redo_btree);
  set(Rmgr::Hash, redo_hash);
  set(Rmgr::Gist, redo_gist);
  set(Rmgr::Gin, redo_gin);
  set(Rmgr::Sequence, redo_sequence);
  set(Rmgr::SpGist, redo_spgist);
  set(Rmgr::Brin, redo_brin);
  set(Rmgr::Generic, redo_generic);
  return table;
}
constexpr RedoTable kTableOf15 = make_table_of_15();

// Where another major version's functions are chosen (core/pg/README.md lists what differs).
const RedoTable* table_of(uint32_t major) {
  return major == 15 ? &kTableOf15 : nullptr;
}

[[gnu::cold]] Error no_redo(const RedoTable* table, uint32_t major) {
  return Error(Code::Unsupported, table == nullptr ? "no native redo for PostgreSQL " + std::to_string(major)
                                                   : "no native redo for this resource manager");
}

Status redo_record(const Redo& r) {
  const RedoTable* table = table_of(r.settings.major);
  if (table == nullptr || r.record.rmid >= table->size() || (*table)[r.record.rmid] == nullptr) [[unlikely]]
    return no_redo(table, r.settings.major);
  return (*table)[r.record.rmid](r);
}

// xlog_redo: a block of XLOG FPI has its image; FPI_FOR_HINT may lack it and then changes nothing.
Status redo_xlog(const DecodedRecord& record) {
  if (record.type() == kXlogFpiForHint) return {};
  if (record.type() == kXlogFpi) return corrupt("full page image record without the image");
  return unknown_type();
}

// XLogReadBufferForRedoExtended, the branch that restores an image.
Status restore(const Redo& r) {
  TRY(restore_image(r.block, r.page.bytes()));
  if (!r.page.is_new()) r.page.set_lsn(r.record.end_lsn);
  if (r.record.is(Rmgr::Hash)) return redo_hash_restored(r);
  if (r.record.is(Rmgr::Gist)) return redo_gist_restored(r);
  return {};
}

bool may_be_new(const DecodedRecord& record, const DecodedBlock& block) {
  return record.is(Rmgr::Heap2, kHeap2Visible) && block.fork == Fork::Vm;
}

// The block says that the record makes the page anew. Without a header, nothing can be taken from the
// old content, and a function that does not make the page is found out.
Status make_page(const Redo& r) {
  std::memset(r.page.data(), 0, kPageHeaderBytes);
  TRY(redo_record(r));
  if (!r.page.header_sane() || r.page.lsn() != r.record.end_lsn)
    return corrupt("the block is marked as made anew, but records of this type do not make it");
  return {};
}

Status apply_block(const Redo& r) {
  if (r.block.apply_image) return restore(r);
  if (r.record.is(Rmgr::Xlog)) return redo_xlog(r.record);
  if (r.block.will_init) return make_page(r);
  if (r.page.lsn() >= r.record.end_lsn) return {};
  if (r.page.is_new()) {
    if (!may_be_new(r.record, r.block))
      return corrupt("the page was never initialised, but the record changes what is on it");
  } else {
    TRY(check_header(r.page));
  }
  TRY(redo_record(r));
  return check_header(r.page);
}

}  // namespace

bool makes_page(const DecodedRecord&, const DecodedBlock& block) {
  return block.apply_image || block.will_init;
}

Status apply(const DecodedRecord& record, const DecodedBlock& block, ByteSpan page,
             const RedoSettings& settings) {
  CHECK(page.size() == kBlockSize);
  Status status = apply_block(Redo{record, block, Page(page), settings});
  if (!status.ok()) [[unlikely]]
    return in_context(record, block, status.error());
  return status;
}

}  // namespace argon::pg::redo
