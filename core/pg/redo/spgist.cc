// Redo of resource manager SPGist: access/spgist/spgxlog.c of PostgreSQL 15.
//
// All of a record's payload is in its main data; each block takes its share of it.

#include <algorithm>
#include <array>

#include "core/pg/redo/context.h"
#include "core/pg/redo/index_tuple.h"
#include "core/pg/redo/page_ids.h"

namespace argon::pg::redo {
namespace {

constexpr size_t kOpaqueBytes = 8;
constexpr uint16_t kLeafPage = 1 << 2;
constexpr uint16_t kNullsPage = 1 << 3;
constexpr size_t kDeadTupleBytes = 16;  // SGDTSIZE
constexpr size_t kTupleHeaderBytes = 8;
enum TupleState : uint32_t { kLive = 0, kRedirect = 1, kDead = 2, kPlaceholder = 3 };

// SpGistPageOpaqueData in place.
class Opaque {
 public:
  explicit Opaque(uint8_t* at) : at_(at) {}
  void set_flags(uint16_t flags) const { store_le(at_, flags); }
  void set_page_id(uint16_t id) const { store_le(at_ + 6, id); }
  void add_redirections(int n) const { add(2, n); }
  void add_placeholders(int n) const { add(4, n); }

 private:
  void add(size_t offset, int n) const {
    store_le(at_ + offset, static_cast<uint16_t>(load_le<uint16_t>(at_ + offset) + n));
  }
  uint8_t* at_;
};

Result<Opaque> opaque_of(Page page) {
  uint8_t* at = page.special_area(kOpaqueBytes);
  if (at == nullptr)
    return corrupt("not an SP-GiST page: special area of " + std::to_string(page.special_bytes()));
  return Opaque(at);
}

// SpGistInitPage.
void new_page(Page page, uint16_t flags) {
  page_init(page, kOpaqueBytes);
  Opaque opaque(page.data() + page.special());
  opaque.set_flags(flags);
  opaque.set_page_id(kSpGistPageId);
}

uint16_t leaf_flags(bool nulls) {
  return nulls ? kLeafPage | kNullsPage : kLeafPage;
}

TupleState state_of(const uint8_t* tuple) {
  return static_cast<TupleState>(load_le<uint32_t>(tuple) & 3);
}

// Takes a leaf or inner tuple off the head of `data`: its header says how long it is.
Result<ByteView> take(ByteView& data, size_t size) {
  if (size < kTupleHeaderBytes || size > data.size())
    return corrupt("tuple of " + std::to_string(size) + " bytes in " + std::to_string(data.size()));
  ByteView tuple = data.first(size);
  data = data.subspan(size);
  return tuple;
}
Result<ByteView> take_leaf_tuple(ByteView& data) {
  if (data.size() < kTupleHeaderBytes) return corrupt("main data ends before a leaf tuple");
  return take(data, load_le<uint32_t>(data.data()) >> 2);
}
Result<ByteView> take_inner_tuple(ByteView& data) {
  if (data.size() < kTupleHeaderBytes) return corrupt("main data ends before an inner tuple");
  return take(data, load_le<uint16_t>(data.data() + 4));
}

// Reads the arrays that follow the fixed part of the main data.
class Payload {
 public:
  Payload(const Redo& r, size_t start) : rest_(r.main().subspan(start)) {}
  Result<ByteView> numbers(size_t count) { return bytes(count * 2); }
  Result<ByteView> bytes(size_t n) {
    if (n > rest_.size()) return corrupt("main data ends inside an array");
    ByteView view = rest_.first(n);
    rest_ = rest_.subspan(n);
    return view;
  }
  ByteView& rest() { return rest_; }

 private:
  ByteView rest_;
};

uint16_t number_at(ByteView numbers, size_t i) {
  return load_le<uint16_t>(numbers.data() + 2 * i);
}

Status add_item(Page page, ByteView tuple, uint16_t number) {
  if (number == 0) return corrupt("tuple to be placed at item 0");
  TRY(page_add_item(page, tuple, number, kAddDefault));
  return {};
}

// addOrReplaceTuple: where the slot is taken, by a placeholder.
Status add_or_replace(Page page, ByteView tuple, uint16_t number) {
  if (number <= page.max_offset()) {
    ByteView old = page.stored_item(number, kTupleHeaderBytes);
    if (old.empty() || state_of(old.data()) != kPlaceholder)
      return corrupt("item " + std::to_string(number) + " to be replaced is not a placeholder");
    TRY_ASSIGN(Opaque opaque, opaque_of(page));
    opaque.add_placeholders(-1);
    TRY(page_index_tuple_delete(page, number));
  }
  return add_item(page, tuple, number);
}

Status replace_item(Page page, ByteView tuple, uint16_t number) {
  TRY(page_index_tuple_delete(page, number));
  return add_item(page, tuple, number);
}

// spgUpdateNodeLink: the downlink of node `node` of the inner tuple at `number`.
Status update_node_link(Page page, uint16_t number, uint16_t node, BlockNumber block, uint16_t target) {
  ByteSpan tuple = page.stored_item(number, kTupleHeaderBytes);
  if (tuple.empty()) return corrupt("no inner tuple at item " + std::to_string(number));
  auto header = load_le<uint32_t>(tuple.data());
  size_t nodes = (header >> 3) & 0x1FFF;
  size_t at = kTupleHeaderBytes + (header >> 16);
  for (size_t i = 0; i < nodes && at + kIndexTupleHeaderBytes <= tuple.size(); i++) {
    if (i == node) {
      store_item_pointer(tuple.data() + at, block, target);
      return {};
    }
    at += index_tuple_size(tuple.data() + at);
  }
  return corrupt("inner tuple at item " + std::to_string(number) + " has no node " + std::to_string(node));
}

// What a tuple that is gone leaves behind, so that item numbers stay (spgFormDeadTuple).
struct DeadTuple {
  std::array<uint8_t, kDeadTupleBytes> bytes{};

  DeadTuple(TupleState state, Xid xid, BlockNumber block, uint16_t number) {
    store_le(bytes.data(), static_cast<uint32_t>(state | kDeadTupleBytes << 2));
    bool redirect = state == kRedirect;
    store_item_pointer(bytes.data() + 6, redirect ? block : kInvalidBlock, redirect ? number : uint16_t{0});
    store_le(bytes.data() + 12, redirect ? xid : kInvalidXid);
  }
};

// What the tuples become that are taken from a page.
struct Replacement {
  TupleState first;  // the one listed first
  TupleState others;
  Xid xid = kInvalidXid;
  BlockNumber block = kInvalidBlock;  // where a redirection leads
  uint16_t number = 0;
};

// spgPageIndexMultiDelete.
Status replace_by_dead(Page page, ByteView numbers, const Replacement& by) {
  size_t count = numbers.size() / 2;
  if (count == 0) return {};
  std::array<uint16_t, kMaxItemIds> sorted;
  if (count > sorted.size()) return corrupt("more items to delete than a page can have");
  for (size_t i = 0; i < count; i++) sorted[i] = number_at(numbers, i);
  uint16_t first = sorted[0];
  std::sort(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(count));
  TRY(page_index_multi_delete(page, ByteView(reinterpret_cast<const uint8_t*>(sorted.data()), count * 2)));
  TRY_ASSIGN(Opaque opaque, opaque_of(page));
  for (size_t i = 0; i < count; i++) {
    TupleState state = sorted[i] == first ? by.first : by.others;
    TRY(add_item(page, DeadTuple(state, by.xid, by.block, by.number).bytes, sorted[i]));
    if (state == kRedirect) opaque.add_redirections(1);
    if (state == kPlaceholder) opaque.add_placeholders(1);
  }
  return {};
}

// spgxlogState: the transaction, and whether the index is being built.
struct Source {
  Xid xid;
  bool building;
};
Source source_at(const Redo& r, size_t offset) {
  return {r.main_at<uint32_t>(offset), r.main()[offset + 4] != 0};
}

// spgRedoAddLeaf: block 0 takes the tuple, block 1 has the parent's downlink.
Status add_leaf(const Redo& r) {
  TRY(r.need_main(10));
  auto number = r.main_at<uint16_t>(2);
  auto head = r.main_at<uint16_t>(4);
  if (r.id() == 1) {
    TRY_ASSIGN(BlockNumber leaf, r.block_number(0));
    TRY(update_node_link(r.page, r.main_at<uint16_t>(6), r.main_at<uint16_t>(8), leaf, number));
    return r.done();
  }
  if (r.id() != 0) return r.unexpected_block();
  if (r.main()[0] != 0) new_page(r.page, leaf_flags(r.main()[1] != 0));
  ByteView rest = r.main().subspan(10);
  TRY_ASSIGN(ByteView tuple, take_leaf_tuple(rest));
  if (number == head) {
    TRY(replace_item(r.page, tuple, number));
    return r.done();
  }
  TRY(add_or_replace(r.page, tuple, number));
  if (head != 0) {
    ByteSpan chain = r.page.stored_item(head, kTupleHeaderBytes);
    if (chain.empty()) return corrupt("no head of the chain at item " + std::to_string(head));
    auto info = load_le<uint16_t>(chain.data() + 4);
    store_le(chain.data() + 4, static_cast<uint16_t>((info & 0xC000) | (number & 0x3FFF)));
  }
  return r.done();
}

// spgRedoMoveLeafs: block 0 loses the tuples, block 1 gains them, block 2 is the parent.
Status move_leafs(const Redo& r) {
  TRY(r.need_main(20));
  size_t moves = r.main_at<uint16_t>(0);
  size_t inserts = r.main()[3] != 0 ? 1 : moves + 1;
  Source source = source_at(r, 12);
  Payload payload(r, 20);
  TRY_ASSIGN(ByteView deleted, payload.numbers(moves));
  TRY_ASSIGN(ByteView inserted, payload.numbers(inserts));
  TRY_ASSIGN(BlockNumber target, r.block_number(1));
  uint16_t last = number_at(inserted, inserts - 1);
  switch (r.id()) {
    case 0:
      TRY(replace_by_dead(
          r.page, deleted,
          {source.building ? kPlaceholder : kRedirect, kPlaceholder, source.xid, target, last}));
      return r.done();
    case 1:
      if (r.main()[2] != 0) new_page(r.page, leaf_flags(r.main()[4] != 0));
      for (size_t i = 0; i < inserts; i++) {
        TRY_ASSIGN(ByteView tuple, take_leaf_tuple(payload.rest()));
        TRY(add_or_replace(r.page, tuple, number_at(inserted, i)));
      }
      return r.done();
    case 2:
      TRY(update_node_link(r.page, r.main_at<uint16_t>(6), r.main_at<uint16_t>(8), target, last));
      return r.done();
    default:
      return r.unexpected_block();
  }
}

struct AddNodeRecord {
  uint16_t number;
  uint16_t new_number;
  bool new_page;
  int8_t parent;  // the block reference that has the parent tuple, -1: none
  uint16_t parent_number;
  uint16_t node;
  Source source;
  ByteView tuple;
};

Status link_to_moved_tuple(const Redo& r, const AddNodeRecord& a) {
  if (a.parent != static_cast<int8_t>(r.id())) return {};
  TRY_ASSIGN(BlockNumber new_block, r.block_number(1));
  return update_node_link(r.page, a.parent_number, a.node, new_block, a.new_number);
}

// The page that the grown tuple left: a redirection or a placeholder stays.
Status leave_dead_tuple(const Redo& r, const AddNodeRecord& a) {
  TRY_ASSIGN(BlockNumber new_block, r.block_number(1));
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  TupleState state = a.source.building ? kPlaceholder : kRedirect;
  TRY(replace_item(r.page, DeadTuple(state, a.source.xid, new_block, a.new_number).bytes, a.number));
  if (a.source.building)
    opaque.add_placeholders(1);
  else
    opaque.add_redirections(1);
  return {};
}

// spgRedoAddNode: in place on block 0, or from block 0 to block 1 with the parent on one of 0, 1, 2.
Status add_node(const Redo& r) {
  TRY(r.need_main(20));
  ByteView rest = r.main().subspan(20);
  TRY_ASSIGN(ByteView tuple, take_inner_tuple(rest));
  AddNodeRecord a{
      r.main_at<uint16_t>(0), r.main_at<uint16_t>(2), r.main()[4] != 0, static_cast<int8_t>(r.main()[5]),
      r.main_at<uint16_t>(6), r.main_at<uint16_t>(8), source_at(r, 12), tuple};
  if (r.record.block(1) == nullptr) {
    TRY(replace_item(r.page, a.tuple, a.number));
    return r.done();
  }
  if (r.id() == 0) {
    TRY(leave_dead_tuple(r, a));
  } else if (r.id() == 1) {
    if (a.new_page) new_page(r.page, 0);
    TRY(add_or_replace(r.page, a.tuple, a.new_number));
  } else if (r.id() != 2 || a.parent != 2) {
    return r.unexpected_block();
  }
  TRY(link_to_moved_tuple(r, a));
  return r.done();
}

// spgRedoSplitTuple: block 0 keeps the prefix tuple, the postfix tuple goes there or to block 1.
Status split_tuple(const Redo& r) {
  TRY(r.need_main(6));
  auto prefix_number = r.main_at<uint16_t>(0);
  auto postfix_number = r.main_at<uint16_t>(2);
  bool same_block = r.main()[5] != 0;
  ByteView rest = r.main().subspan(6);
  TRY_ASSIGN(ByteView prefix, take_inner_tuple(rest));
  TRY_ASSIGN(ByteView postfix, take_inner_tuple(rest));
  if (r.id() == 1 && !same_block) {
    if (r.main()[4] != 0) new_page(r.page, 0);
    TRY(add_or_replace(r.page, postfix, postfix_number));
    return r.done();
  }
  if (r.id() != 0) return r.unexpected_block();
  TRY(replace_item(r.page, prefix, prefix_number));
  if (same_block) TRY(add_or_replace(r.page, postfix, postfix_number));
  return r.done();
}

struct PickSplitRecord {
  bool init_source;
  bool init_target;
  uint16_t inner_number;
  bool init_inner;
  bool nulls;
  bool inner_is_parent;
  uint16_t parent_number;
  uint16_t node;
  Source source;
  ByteView deleted;
  ByteView inserted;
  ByteView selectors;  // per inserted tuple: 0 source page, else target page
  ByteView inner;
  ByteView leafs;
};

Result<PickSplitRecord> pick_split_record(const Redo& r) {
  TRY(r.need_main(28));
  PickSplitRecord p{};
  p.init_source = r.main()[6] != 0;
  p.init_target = r.main()[7] != 0;
  p.inner_number = r.main_at<uint16_t>(8);
  p.init_inner = r.main()[10] != 0;
  p.nulls = r.main()[11] != 0;
  p.inner_is_parent = r.main()[12] != 0;
  p.parent_number = r.main_at<uint16_t>(14);
  p.node = r.main_at<uint16_t>(16);
  p.source = source_at(r, 20);
  Payload payload(r, 28);
  TRY_ASSIGN(p.deleted, payload.numbers(r.main_at<uint16_t>(2)));
  TRY_ASSIGN(p.inserted, payload.numbers(r.main_at<uint16_t>(4)));
  TRY_ASSIGN(p.selectors, payload.bytes(r.main_at<uint16_t>(4)));
  TRY_ASSIGN(p.inner, take_inner_tuple(payload.rest()));
  p.leafs = payload.rest();
  return p;
}

Status insert_selected(const Redo& r, PickSplitRecord& p, bool on_target) {
  for (size_t i = 0; i < p.selectors.size(); i++) {
    TRY_ASSIGN(ByteView tuple, take_leaf_tuple(p.leafs));
    if ((p.selectors[i] != 0) == on_target) TRY(add_or_replace(r.page, tuple, number_at(p.inserted, i)));
  }
  return r.done();
}

Status pick_split_source(const Redo& r, PickSplitRecord& p, BlockNumber inner_block) {
  if (p.init_source) {
    new_page(r.page, leaf_flags(p.nulls));
  } else if (p.source.building) {
    TRY(replace_by_dead(r.page, p.deleted, {kPlaceholder, kPlaceholder}));
  } else {
    TRY(replace_by_dead(r.page, p.deleted,
                        {kRedirect, kPlaceholder, p.source.xid, inner_block, p.inner_number}));
  }
  return insert_selected(r, p, false);
}

// spgRedoPickSplit: block 0 is the source page (not when the root is split), 1 the target page,
// 2 has the new inner tuple, 3 its parent where that is another page.
Status pick_split(const Redo& r) {
  TRY_ASSIGN(PickSplitRecord p, pick_split_record(r));
  TRY_ASSIGN(BlockNumber inner_block, r.block_number(2));
  switch (r.id()) {
    case 0:
      return pick_split_source(r, p, inner_block);
    case 1:
      if (p.init_target) new_page(r.page, leaf_flags(p.nulls));
      return insert_selected(r, p, true);
    case 2:
      if (p.init_inner) new_page(r.page, p.nulls ? kNullsPage : 0);
      TRY(add_or_replace(r.page, p.inner, p.inner_number));
      if (p.inner_is_parent)
        TRY(update_node_link(r.page, p.parent_number, p.node, inner_block, p.inner_number));
      return r.done();
    case 3:
      TRY(update_node_link(r.page, p.parent_number, p.node, inner_block, p.inner_number));
      return r.done();
    default:
      return r.unexpected_block();
  }
}

Status swap_line_pointers(Page page, ByteView from, ByteView to) {
  for (size_t i = 0; i < from.size() / 2; i++) {
    uint16_t a = number_at(from, i);
    uint16_t b = number_at(to, i);
    if (!page.has_item(a) || !page.has_item(b)) return corrupt("tuple to be moved is not on the page");
    ItemId id = page.item(a);
    page.set_item(a, page.item(b));
    page.set_item(b, id);
  }
  return {};
}

// spgRedoVacuumLeaf.
Status vacuum_leaf(const Redo& r) {
  TRY(r.need_main(16));
  Payload payload(r, 16);
  TRY_ASSIGN(ByteView dead, payload.numbers(r.main_at<uint16_t>(0)));
  TRY_ASSIGN(ByteView placeholders, payload.numbers(r.main_at<uint16_t>(2)));
  TRY_ASSIGN(ByteView move_from, payload.numbers(r.main_at<uint16_t>(4)));
  TRY_ASSIGN(ByteView move_to, payload.numbers(r.main_at<uint16_t>(4)));
  TRY_ASSIGN(ByteView chain_from, payload.numbers(r.main_at<uint16_t>(6)));
  TRY_ASSIGN(ByteView chain_to, payload.numbers(r.main_at<uint16_t>(6)));
  TRY(replace_by_dead(r.page, dead, {kDead, kDead}));
  TRY(replace_by_dead(r.page, placeholders, {kPlaceholder, kPlaceholder}));
  TRY(swap_line_pointers(r.page, move_from, move_to));
  TRY(replace_by_dead(r.page, move_from, {kPlaceholder, kPlaceholder}));
  for (size_t i = 0; i < chain_from.size() / 2; i++) {
    ByteSpan tuple = r.page.stored_item(number_at(chain_from, i), kTupleHeaderBytes);
    if (tuple.empty())
      return corrupt("no tuple to be chained at item " + std::to_string(number_at(chain_from, i)));
    auto info = load_le<uint16_t>(tuple.data() + 4);
    store_le(tuple.data() + 4, static_cast<uint16_t>((info & 0xC000) | (number_at(chain_to, i) & 0x3FFF)));
  }
  return r.done();
}

// spgRedoVacuumRoot.
Status vacuum_root(const Redo& r) {
  TRY(r.need_main(12));
  Payload payload(r, 12);
  TRY_ASSIGN(ByteView numbers, payload.numbers(r.main_at<uint16_t>(0)));
  TRY(page_index_multi_delete(r.page, numbers));
  return r.done();
}

// spgRedoVacuumRedirect: redirections become placeholders; those at the end of the page go.
Status vacuum_redirect(const Redo& r) {
  TRY(r.need_main(8));
  auto first = r.main_at<uint16_t>(2);
  Payload payload(r, 8);
  TRY_ASSIGN(ByteView numbers, payload.numbers(r.main_at<uint16_t>(0)));
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  for (size_t i = 0; i < numbers.size() / 2; i++) {
    ByteSpan tuple = r.page.stored_item(number_at(numbers, i), kDeadTupleBytes);
    if (tuple.empty()) return corrupt("no redirection at item " + std::to_string(number_at(numbers, i)));
    store_le(tuple.data(), (load_le<uint32_t>(tuple.data()) & ~3u) | kPlaceholder);
    store_item_pointer(tuple.data() + 6, kInvalidBlock, 0);
  }
  auto converted = static_cast<int>(numbers.size() / 2);
  opaque.add_redirections(-converted);
  opaque.add_placeholders(converted);
  if (first == 0) return r.done();
  std::array<uint16_t, kMaxItemIds> at_end;
  size_t count = 0;
  for (uint32_t n = first; n <= r.page.max_offset(); n++) at_end[count++] = static_cast<uint16_t>(n);
  opaque.add_placeholders(-static_cast<int>(count));
  TRY(page_index_multi_delete(r.page, ByteView(reinterpret_cast<const uint8_t*>(at_end.data()), count * 2)));
  return r.done();
}

}  // namespace

// spg_redo.
Status redo_spgist(const Redo& r) {
  switch (r.record.type()) {
    case 0x10:
      return add_leaf(r);
    case 0x20:
      return move_leafs(r);
    case 0x30:
      return add_node(r);
    case 0x40:
      return split_tuple(r);
    case 0x50:
      return pick_split(r);
    case 0x60:
      return vacuum_leaf(r);
    case 0x70:
      return vacuum_root(r);
    case 0x80:
      return vacuum_redirect(r);
    default:
      return unknown_type();
  }
}

}  // namespace argon::pg::redo
