#include "core/pg/interpret/interpreted_record.h"

#include <algorithm>

#include "core/pg/page.h"
#include "core/pg/record_types.h"

namespace argon::pg {

namespace {

constexpr size_t kUpperOffset = 14;  // pd_upper

// Records of these kinds change blocks, and nothing of them but the xid is looked at otherwise. (Those of the
// last two change nothing here.)
bool changes_blocks_only(const DecodedRecord& record) {
  if (record.rmid >= kFirstCustomRmgr) return true;
  switch (static_cast<Rmgr>(record.rmid)) {
    case Rmgr::Heap:
    case Rmgr::Heap2:
    case Rmgr::Btree:
    case Rmgr::Hash:
    case Rmgr::Gin:
    case Rmgr::Gist:
    case Rmgr::Sequence:
    case Rmgr::SpGist:
    case Rmgr::Brin:
    case Rmgr::Generic:
    case Rmgr::LogicalMessage:
    case Rmgr::ReplicationOrigin:
      return true;
    case Rmgr::Xlog:
      return record.type() == xlog::kFpi || record.type() == xlog::kFpiForHint;
    default:
      return false;
  }
}

}  // namespace

bool InterpretedRecord::needs_record() const {
  return has_effects || std::ranges::any_of(items, [](const InterpretedItem& item) {
           return item.kind == ItemKind::Record || item.kind == ItemKind::RecordWillInit;
         });
}

Status Interpreter::interpret(const DecodedRecord& record, InterpretedRecord& out) {
  out.start = record.start_lsn;
  out.end = record.end_lsn;
  out.xid = record.xid;
  out.items.clear();
  made_.clear();
  for (const DecodedBlock& block : record.blocks()) TRY(add_block(record, block, out));
  out.has_effects = !changes_blocks_only(record) || record.toplevel_xid != kInvalidXid;
  if (!out.has_effects) {
    effects_.clear();
    // Settings concern the ends of transactions only.
    TRY(redo::nonblock_effects(record, {}, effects_));
    out.has_effects = !std::ranges::all_of(
        effects_, [](const redo::Effect& e) { return std::holds_alternative<redo::BlockMutation>(e); });
  }
  if (!out.has_effects) {
    for (const redo::Effect& effect : effects_) {
      const auto& change = std::get<redo::BlockMutation>(effect);
      redo::encode_mutation(change.mutation, made_.emplace_back());
      out.items.push_back({change.block, ItemKind::Mutation, made_.back()});
    }
  }
  out.record = out.needs_record() ? record.raw : ByteView();
  return {};
}

Status Interpreter::add_block(const DecodedRecord& record, const DecodedBlock& block,
                              InterpretedRecord& out) {
  bool plain_image =
      record.is(Rmgr::Xlog) && block.apply_image && !block.compressed() && !block.image.empty();
  if (!plain_image) {
    bool makes_page = block.will_init || block.apply_image;
    out.items.push_back({block.tag(), makes_page ? ItemKind::RecordWillInit : ItemKind::Record, {}});
    return {};
  }
  Bytes& page = made_.emplace_back(kBlockSize);
  TRY(restore_image(block, page));
  // An all-new page (pd_upper is 0) carries no LSN.
  if (load_le<uint16_t>(page.data() + kUpperOffset) != 0) set_page_lsn(page, record.end_lsn);
  out.items.push_back({block.tag(), ItemKind::Image, page});
  return {};
}

}  // namespace argon::pg
