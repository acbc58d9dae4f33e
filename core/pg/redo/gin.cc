// Redo of resource manager Gin: access/gin/ginxlog.c of PostgreSQL 15.

#include <cstring>

#include "core/pg/redo/context.h"
#include "core/pg/redo/gin_posting.h"
#include "core/pg/redo/index_tuple.h"

namespace argon::pg::redo {
namespace {

constexpr size_t kOpaqueBytes = 8;
constexpr uint16_t kData = 1 << 0;
constexpr uint16_t kLeaf = 1 << 1;
constexpr uint16_t kDeleted = 1 << 2;
constexpr uint16_t kMeta = 1 << 3;
constexpr uint16_t kList = 1 << 4;
constexpr uint16_t kListFullRow = 1 << 5;
constexpr uint16_t kIncompleteSplit = 1 << 6;
constexpr uint16_t kCompressed = 1 << 7;
constexpr uint16_t kInsertIsData = 1;                // GIN_INSERT_ISDATA
constexpr uint16_t kInsertIsLeaf = 2;                // GIN_INSERT_ISLEAF
constexpr size_t kMetaBytes = 56;                    // sizeof(GinMetaPageData)
constexpr size_t kDataStart = kPageHeaderBytes + 8;  // behind the right bound
constexpr size_t kPostingItemBytes = 10;             // child block (4), key TID (6)

// GinPageOpaqueData in place.
class Opaque {
 public:
  explicit Opaque(uint8_t* at) : at_(at) {}
  void set_right_link(BlockNumber block) const { store_le(at_, block); }
  uint16_t items() const { return load_le<uint16_t>(at_ + 4); }
  void set_items(uint32_t count) const { store_le(at_ + 4, static_cast<uint16_t>(count)); }
  uint16_t flags() const { return load_le<uint16_t>(at_ + 6); }
  bool has(uint16_t flag) const { return (flags() & flag) != 0; }
  void set_flags(uint16_t flags) const { store_le(at_ + 6, flags); }
  void add(uint16_t flag) const { set_flags(flags() | flag); }
  void clear(uint16_t flag) const { set_flags(static_cast<uint16_t>(flags() & ~flag)); }

 private:
  uint8_t* at_;
};

Result<Opaque> opaque_of(Page page) {
  uint8_t* at = page.special_area(kOpaqueBytes);
  if (at == nullptr)
    return corrupt("not a GIN page: special area of " + std::to_string(page.special_bytes()));
  return Opaque(at);
}

// GinInitPage.
Opaque new_page(Page page, uint16_t flags) {
  page_init(page, kOpaqueBytes);
  Opaque opaque(page.data() + page.special());
  opaque.set_flags(flags);
  opaque.set_right_link(kInvalidBlock);
  return opaque;
}

// GinInitMetabuffer, then the content that the record carries at `at` of its main data.
Status restore_meta(const Redo& r, size_t at) {
  TRY(r.need_main(at + kMetaBytes));
  new_page(r.page, kMeta);
  std::memcpy(r.page.data() + kPageHeaderBytes, r.main().data() + at, kMetaBytes);
  r.page.set_lower(kPageHeaderBytes + kMetaBytes);
  return r.done();
}

// BlockIdData: two halves, high first.
BlockNumber block_id_at(const uint8_t* at) {
  return load_item_block(at);
}

// GinDataPageSetDataSize.
Status set_data_size(Page page, size_t size) {
  if (kDataStart + size > page.special()) return corrupt("posting data larger than a page");
  page.set_lower(static_cast<uint32_t>(kDataStart + size));
  return {};
}

// ginRedoCreatePTree.
Status create_posting_tree(const Redo& r) {
  TRY(r.need_main(4));
  size_t size = r.main_at<uint32_t>(0);
  TRY(r.need_main(4 + size));
  new_page(r.page, kData | kLeaf | kCompressed);
  TRY(set_data_size(r.page, size));
  std::memcpy(r.page.data() + kDataStart, r.main().data() + 4, size);
  return r.done();
}

// ginRedoInsertEntry.
Status insert_entry(const Redo& r, BlockNumber right_child) {
  TRY(r.need_data(4 + kIndexTupleHeaderBytes));
  auto number = load_le<uint16_t>(r.data().data());
  bool replace = r.data()[2] != 0;
  ByteView tuple = r.data().subspan(4);
  size_t size = index_tuple_size(tuple.data());
  if (size < kIndexTupleHeaderBytes || size > tuple.size())
    return corrupt("index tuple outside the block data");
  if (number == 0) return corrupt("insertion at item 0");
  if (right_child != kInvalidBlock) {
    ByteSpan link = r.page.stored_item(number, kIndexTupleHeaderBytes);
    if (link.empty()) return corrupt("no downlink at item " + std::to_string(number));
    store_item_pointer(link.data(), right_child, 0);
  }
  if (replace) TRY(page_index_tuple_delete(r.page, number));
  TRY(page_add_item(r.page, tuple.first(size), number, kAddDefault));
  return {};
}

// The segments of a leaf page of a posting tree, which a page from before 9.4 does not have yet.
Status recompress(const Redo& r, ByteView actions) {
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  if (!opaque.has(kLeaf) || !opaque.has(kData)) return corrupt("not a leaf page of a posting tree");
  if (r.page.lower() < kDataStart && opaque.has(kCompressed))
    return corrupt("leaf page without its right bound");
  GinSegments converted;
  ByteView old;
  if (opaque.has(kCompressed)) {
    old = ByteView(r.page.data() + kDataStart, r.page.lower() - kDataStart);
  } else {
    size_t bytes = opaque.items() * kItemPointerBytes;
    if (kDataStart + bytes > r.page.special()) return corrupt("more TIDs than a page can hold");
    if (bytes > 0) TRY(converted.append_compressed(ByteView(r.page.data() + kDataStart, bytes)));
    std::memcpy(r.page.data() + kDataStart, converted.bytes().data(), converted.bytes().size());
    old = converted.bytes();
    opaque.add(kCompressed);
    opaque.set_items(0);
  }
  GinSegments segments;
  TRY(recompress_gin_segments(old, actions, segments));
  TRY(set_data_size(r.page, segments.bytes().size()));
  std::memcpy(r.page.data() + kDataStart, segments.bytes().data(), segments.bytes().size());
  return {};
}

// The posting items of an inner page of a posting tree.
struct PostingItems {
  Page page;
  Opaque opaque;
  uint8_t* at(uint32_t number) const { return page.data() + kDataStart + (number - 1) * kPostingItemBytes; }
};

Result<PostingItems> posting_items(Page page) {
  TRY_ASSIGN(Opaque opaque, opaque_of(page));
  if (opaque.has(kLeaf) || !opaque.has(kData)) return corrupt("not an inner page of a posting tree");
  if (kDataStart + opaque.items() * kPostingItemBytes > page.special())
    return corrupt("more posting items than a page can hold");
  return PostingItems{page, opaque};
}

// ginRedoInsertData on an inner page, GinDataPageAddPostingItem.
Status insert_posting_item(const Redo& r, BlockNumber right_child) {
  TRY(r.need_data(2 + kPostingItemBytes));
  TRY_ASSIGN(PostingItems items, posting_items(r.page));
  uint32_t number = load_le<uint16_t>(r.data().data());
  uint32_t count = items.opaque.items();
  if (number == 0 || number > count) return corrupt("no posting item " + std::to_string(number));
  TRY(set_data_size(r.page, (count + 1) * kPostingItemBytes));
  uint8_t* at = items.at(number);
  store_le(at, static_cast<uint16_t>(right_child >> 16));
  store_le(at + 2, static_cast<uint16_t>(right_child));
  std::memmove(at + kPostingItemBytes, at, (count - number + 1) * kPostingItemBytes);
  std::memcpy(at, r.data().data() + 2, kPostingItemBytes);
  items.opaque.set_items(count + 1);
  return {};
}

// GinPageDeletePostingItem.
Status delete_posting_item(const Redo& r, uint32_t number) {
  TRY_ASSIGN(PostingItems items, posting_items(r.page));
  uint32_t count = items.opaque.items();
  if (number == 0 || number > count) return corrupt("no posting item " + std::to_string(number));
  std::memmove(items.at(number), items.at(number + 1), (count - number) * kPostingItemBytes);
  items.opaque.set_items(count - 1);
  TRY(set_data_size(r.page, (count - 1) * kPostingItemBytes));
  return r.done();
}

// ginRedoClearIncompleteSplit.
Status clear_incomplete_split(const Redo& r) {
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  opaque.clear(kIncompleteSplit);
  return r.done();
}

// ginRedoInsert: block 1 is the child whose split is finished.
Status insert(const Redo& r) {
  TRY(r.need_main(2));
  auto flags = r.main_at<uint16_t>(0);
  bool leaf = flags & kInsertIsLeaf;
  if (r.id() == 1) return leaf ? r.unexpected_block() : clear_incomplete_split(r);
  if (r.id() != 0) return r.unexpected_block();
  BlockNumber right_child = kInvalidBlock;
  if (!leaf) {
    TRY(r.need_main(10));
    right_child = block_id_at(r.main().data() + 6);
  }
  if ((flags & kInsertIsData) == 0)
    TRY(insert_entry(r, right_child));
  else if (leaf)
    TRY(recompress(r, r.data()));
  else
    TRY(insert_posting_item(r, right_child));
  return r.done();
}

// ginRedoSplit: the pages come as images; block 3 is the child whose split is finished.
Status split(const Redo& r) {
  if (r.id() == 3) return clear_incomplete_split(r);
  return corrupt("GIN split record without the page's image");
}

// ginRedoVacuumDataLeafPage.
Status vacuum_data_leaf(const Redo& r) {
  TRY(recompress(r, r.data()));
  return r.done();
}

// ginRedoDeletePage: block 0 is the page, 1 its parent, 2 its left sibling.
Status delete_page(const Redo& r) {
  TRY(r.need_main(12));
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  switch (r.id()) {
    case 0:
      opaque.add(kDeleted);
      r.page.set_prune_xid(r.main_at<uint32_t>(8));
      return r.done();
    case 1:
      return delete_posting_item(r, r.main_at<uint16_t>(0));
    case 2:
      opaque.set_right_link(r.main_at<uint32_t>(4));
      return r.done();
    default:
      return r.unexpected_block();
  }
}

// Appends `count` index tuples, one behind the other in the block's data.
Status append_tuples(const Redo& r, uint32_t count) {
  ByteView data = r.data();
  for (uint32_t i = 0; i < count; i++) {
    if (data.size() < kIndexTupleHeaderBytes) return corrupt("block data ends before its tuples do");
    size_t size = index_tuple_size(data.data());
    if (size < kIndexTupleHeaderBytes || size > data.size())
      return corrupt("index tuple outside the block data");
    TRY(page_add_item(r.page, data.first(size), static_cast<uint16_t>(r.page.max_offset() + 1), kAddDefault));
    data = data.subspan(size);
  }
  return {};
}

// ginRedoUpdateMetapage: block 1 is the tail of the pending list.
Status update_meta(const Redo& r) {
  TRY(r.need_main(84));
  if (r.id() == 0) return restore_meta(r, 16);
  if (r.id() != 1) return r.unexpected_block();
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  auto tuples = r.main_at<int32_t>(80);
  if (tuples > 0) {
    TRY(append_tuples(r, static_cast<uint32_t>(tuples)));
    opaque.set_items(opaque.items() + 1u);
  } else {
    opaque.set_right_link(r.main_at<uint32_t>(76));
  }
  return r.done();
}

// ginRedoInsertListPage.
Status insert_list_page(const Redo& r) {
  TRY(r.need_main(8));
  auto right = r.main_at<uint32_t>(0);
  auto tuples = r.main_at<int32_t>(4);
  Opaque opaque = new_page(r.page, kList);
  opaque.set_right_link(right);
  if (right == kInvalidBlock) {
    opaque.add(kListFullRow);
    opaque.set_items(1);
  }
  if (tuples > 0) TRY(append_tuples(r, static_cast<uint32_t>(tuples)));
  return r.done();
}

// ginRedoDeleteListPages: block 0 is the meta page, the others are deleted.
Status delete_list_pages(const Redo& r) {
  if (r.id() == 0) return restore_meta(r, 0);
  new_page(r.page, kDeleted);
  return r.done();
}

}  // namespace

// gin_redo.
Status redo_gin(const Redo& r) {
  switch (r.record.type()) {
    case 0x10:
      return create_posting_tree(r);
    case 0x20:
      return insert(r);
    case 0x30:
      return split(r);
    case 0x40:
      return corrupt("GIN vacuum record without the page's image");
    case 0x50:
      return delete_page(r);
    case 0x60:
      return update_meta(r);
    case 0x70:
      return insert_list_page(r);
    case 0x80:
      return delete_list_pages(r);
    case 0x90:
      return vacuum_data_leaf(r);
    default:
      return unknown_type();
  }
}

}  // namespace argon::pg::redo
