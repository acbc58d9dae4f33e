// The form of a layer file: building one, and taking its blocks apart. Pure: no I/O.
//
// A file is a row of blocks of 8192 bytes. Each begins with the CRC-32C of (file id u64, block
// number u32, the other 8188 bytes, the payload); so a block of another file, or one in the wrong
// place, is refused like a flipped bit. Integers are little-endian, keys as in key.h.
//
//   block 0         header: magic "ARGLAYER", u32 version, u8 kind (0 image, 1 delta), u64 file id,
//                   tenant 16, timeline 16, first key 18, end key 18, first LSN u64, end LSN u64,
//                   u64 value bytes, u32 value blocks, u32 index blocks, u32 leaves, u8 levels,
//                   u64 entries; rest zero
//   value blocks    the values back to back in order of (key, LSN), one stream over the payloads
//   index blocks    all leaves, then each level above, the root last. A node: u16 entries, u8 level,
//                   u8 0, u64 place of the first value in the stream (leaves), then the entries:
//                   leaf   u8 bytes shared with the entry before, the rest of (key 18, LSN u64
//                          big-endian), varint of (length << 1 | ends_chain); its value follows the
//                          one of the entry before
//                   inner  (key 18, LSN u64 big-endian) of the child's first entry, u32 child's block
//
// That is version 1. In version 2, of image layers alone, a page is one block: value blocks have 8197 bytes,
// a payload of 8193, which is a page's value; a value that does not fit into what is left of a block begins
// the next one, after zeros that belong to the stream. Behind the value blocks come zeros up to a multiple of
// 8192. Value block n has the number 1 + n there, an index block its place in the file by 8192. In version 3,
// in which all layers are written, only values of 8193 bytes begin a block, and values may be stored
// compressed (value_compression.h).
//
// An image layer holds every key of its range that exists at its LSN, once; a delta layer holds all
// versions in [first LSN, end LSN) of the keys of its range.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/pageserver/key.h"
#include "core/pageserver/value_compression.h"
#include "core/pg/constants.h"

namespace argon::pageserver {

inline constexpr size_t kLayerBlock = 8192;
inline constexpr size_t kLayerPayload = kLayerBlock - 4;
inline constexpr size_t kImagePayload = 1 + pg::kBlockSize;  // of a value block since version 2
inline constexpr uint32_t kLayerVersion = 3;                 // the newest

enum class LayerKind : uint8_t { Image = 0, Delta = 1 };

// What identifies a layer; its file name says the same.
struct LayerName {
  LayerKind kind = LayerKind::Delta;
  KeyRange keys;
  Lsn begin;  // image: the LSN
  Lsn end;    // exclusive; image: begin + 1
  uint64_t file_id = 0;
  Generation generation;

  friend auto operator<=>(const LayerName&, const LayerName&) = default;
};

// What memory layers are flushed to.
inline bool is_l0(const LayerName& name) {
  return name.kind == LayerKind::Delta && name.keys == KeyRange::all();
}

// "KEY-KEY__LSN-LSN-GEN-FILEID" (delta), "KEY-KEY__LSN-GEN-FILEID" (image), all in hex.
std::string to_string(const LayerName& name);
Result<LayerName> parse_layer_name(std::string_view text);

struct LayerHeader {
  LayerKind kind = LayerKind::Delta;
  uint64_t file_id = 0;
  TenantTimelineId owner;
  KeyRange keys;
  Lsn begin;
  Lsn end;
  uint64_t value_bytes = 0;
  uint32_t value_blocks = 0;
  uint32_t index_blocks = 0;
  uint32_t leaves = 0;
  uint8_t levels = 0;
  uint64_t entries = 0;
  uint32_t version = 1;

  size_t payload() const { return version == 1 ? kLayerPayload : kImagePayload; }  // of a value block
  // Value block n, which may be the one behind the last.
  uint64_t value_block_at(uint64_t n) const { return kLayerBlock + n * (4 + payload()); }
  // Where a value of that length lies, the earliest at `offset` of the stream.
  uint64_t place(uint64_t offset, uint64_t length) const;
  // By 8192, in the file.
  uint32_t first_leaf() const {
    return static_cast<uint32_t>((value_block_at(value_blocks) + kLayerBlock - 1) / kLayerBlock);
  }
  uint32_t root() const { return first_leaf() + index_blocks - 1; }
  uint64_t file_size() const { return (uint64_t{1} + root()) * kLayerBlock; }
};

// A block in a file.
struct LayerBlock {
  uint32_t number = 0;  // that its checksum is of
  uint64_t offset = 0;
  size_t bytes = kLayerBlock;
};

struct LayerEntry {
  Key key;
  Lsn lsn;
  uint64_t offset = 0;  // in the stream of values
  uint32_t length = 0;  // as it is stored
  bool ends_chain = false;
};

struct LayerChild {
  Key key;
  Lsn lsn;
  uint32_t block = 0;
};

struct LayerNode {
  uint8_t level = 0;
  uint32_t first_f6 = 0;             // of the first entry's key, beside the node: no wait for the entries
  std::vector<LayerEntry> entries;   // level 0
  std::vector<LayerChild> children;  // above
};

// Collects entries and makes the file, in pieces or as a whole. What is big of it, the blocks of values, can
// be taken away while more is added; the index and the header come at the end.
class LayerBuilder {
 public:
  // Blocks that lie one after the other in the file.
  struct Piece {
    uint64_t offset = 0;
    Bytes blocks;
  };
  static constexpr size_t kPieceBytes = 1u << 20;

  // `name.keys` and LSNs must enclose all that is added. A piece has about `piece_bytes`, or more.
  // `compress`: values where it pays.
  LayerBuilder(const TenantTimelineId& owner, const LayerName& name, size_t piece_bytes = kPieceBytes,
               bool compress = false);

  // REQUIRES: (key, lsn) above the one added before, inside the layer's rectangle.
  void add(const Key& key, Lsn lsn, ByteView value);
  bool empty() const { return entries_ == 0; }
  // Bytes of values so far, as they are stored.
  uint64_t value_bytes() const { return value_bytes_; }
  // take() has a piece.
  bool has_piece() const { return values_.size() >= piece_bytes_; }
  // The blocks of values that are complete and were not taken yet. Memory of `spare` is used for those to
  // come.
  Piece take(Bytes spare = {});
  // What was not taken, and the index, then block 0; the layer's range of keys ends at `end`. Nothing can be
  // added after.
  std::pair<Piece, Piece> finish_pieces(const Key& end);
  // The whole file. REQUIRES: nothing was taken.
  Bytes finish(const Key& end);
  Bytes finish() { return finish(header_.keys.end); }

 private:
  void append_value(ByteView value);
  void close_leaf();
  void write_node(uint8_t level, uint16_t count, uint64_t first_offset, ByteView body);
  void build_upper_levels();
  Bytes header_block() const;
  size_t value_block() const { return 4 + header_.payload(); }
  // Fills the block of values that is not full with zeros, and sets its checksum.
  void close_value_block();
  void seal(uint8_t* block, size_t bytes, uint32_t number) const;

  LayerHeader header_;
  std::optional<ValueCompressor> compressor_;
  size_t piece_bytes_;
  uint64_t values_at_ = kLayerBlock;  // where values_ lies in the file
  Bytes values_;                      // value blocks that were not taken yet
  Bytes index_;                       // index blocks, checksums not yet set
  uint64_t value_bytes_ = 0;
  uint64_t entries_ = 0;
  Bytes leaf_;  // entries of the leaf being filled
  uint16_t leaf_count_ = 0;
  uint64_t leaf_offset_ = 0;
  std::vector<LayerChild> level_;  // first entries of the nodes of the level being made; blocks count from 0
  LayerChild leaf_first_;
  uint8_t last_[kKeyBytes + 8] = {};
};

// What the block's first four bytes must be there.
uint32_t layer_block_checksum(ByteView block, uint64_t file_id, uint32_t number);
bool check_layer_block(ByteView block, uint64_t file_id, uint32_t number);
// Code::Corrupt or Code::Unsupported; the message does not name the file. Only block 0 tells the
// file's id. REQUIRES: block.size() == kLayerBlock, checked or not.
Result<LayerHeader> parse_layer_header(ByteView block);
// Of a checked block. Code::Corrupt for what does not fit the header. REQUIRES: block.size() == kLayerBlock.
Result<LayerNode> parse_layer_node(ByteView block, const LayerHeader& header);
// All blocks of a file, in order.
std::vector<LayerBlock> layer_blocks(const LayerHeader& header);
// Between values and index there are zeros only. REQUIRES: the file is as long as the header says.
Status check_layer_gap(ByteView file, const LayerHeader& header);
// The whole file of a layer. Code::Corrupt names the first block that is wrong; Code::Unsupported.
Status check_layer_file(ByteView file, const LayerName& name);

}  // namespace argon::pageserver
