#include "core/pageserver/layer_format.h"

#include <algorithm>
#include <array>

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/pageserver/value.h"

namespace argon::pageserver {

namespace {

constexpr std::string_view kMagic = "ARGLAYER";
constexpr size_t kNodeHeader = 12;
constexpr size_t kFullKey = kKeyBytes + 8;
constexpr size_t kInnerEntry = kFullKey + 4;

void store_full_key(const Key& key, Lsn lsn, uint8_t* at) {
  store_key(key, ByteSpan(at, kKeyBytes));
  store_be(at + kKeyBytes, lsn.value);
}

void put_varint(Bytes& to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<uint8_t>(value | 0x80));
  to.push_back(static_cast<uint8_t>(value));
}

uint64_t get_varint(Reader& in) {
  uint64_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    uint8_t byte = in.u8();
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) break;
  }
  return value;
}

std::string hex(uint64_t value, int digits) {
  std::string text(static_cast<size_t>(digits), '0');
  for (int i = digits - 1; i >= 0; i--, value >>= 4)
    text[static_cast<size_t>(i)] = "0123456789ABCDEF"[value & 15];
  return text;
}

bool take_hex(std::string_view& text, size_t digits, uint64_t& value) {
  if (text.size() < digits) return false;
  value = 0;
  for (size_t i = 0; i < digits; i++) {
    char c = text[i];
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return false;
    value = value * 16 + static_cast<uint64_t>(digit);
  }
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

}  // namespace

std::string to_string(const LayerName& name) {
  std::string text =
      to_string(name.keys.begin) + "-" + to_string(name.keys.end) + "__" + hex(name.begin.value, 16);
  if (name.kind == LayerKind::Delta) text += "-" + hex(name.end.value, 16);
  return text + "-" + hex(name.generation.value, 8) + "-" + hex(name.file_id, 16);
}

Result<LayerName> parse_layer_name(std::string_view text) {
  Error bad(Code::Invalid, "'" + std::string(text) + "' is no layer's name");
  constexpr size_t kKeyDigits = 2 * kKeyBytes;
  if (text.size() < 2 * kKeyDigits + 3 || text[kKeyDigits] != '-') return bad;
  auto first = parse_key(text.substr(0, kKeyDigits));
  auto end = parse_key(text.substr(kKeyDigits + 1, kKeyDigits));
  if (!first.ok() || !end.ok()) return bad;
  text.remove_prefix(2 * kKeyDigits + 1);
  LayerName name;
  name.keys = {*first, *end};
  uint64_t generation = 0;
  if (!take(text, "__") || !take_hex(text, 16, name.begin.value) || !take(text, "-")) return bad;
  name.kind = text.size() > 8 && text[8] == '-' ? LayerKind::Image : LayerKind::Delta;
  name.end = name.begin + 1;
  if (name.kind == LayerKind::Delta && (!take_hex(text, 16, name.end.value) || !take(text, "-"))) return bad;
  if (!take_hex(text, 8, generation) || !take(text, "-") || !take_hex(text, 16, name.file_id) ||
      !text.empty())
    return bad;
  name.generation = Generation(static_cast<uint32_t>(generation));
  return name;
}

LayerBuilder::LayerBuilder(const TenantTimelineId& owner, const LayerName& name, size_t piece_bytes,
                           bool compress) {
  header_.kind = name.kind;
  header_.version = kLayerVersion;
  piece_bytes_ = std::max(piece_bytes, value_block());  // less would be no whole block
  if (compress) compressor_.emplace();
  header_.file_id = name.file_id;
  header_.owner = owner;
  header_.keys = name.keys;
  header_.begin = name.begin;
  header_.end = name.end;
}

uint64_t LayerHeader::place(uint64_t offset, uint64_t length) const {
  uint64_t used = offset % payload();
  bool fits =
      version == 1 || used == 0 || used + length <= payload() || (version == 3 && length != kImagePayload);
  return fits ? offset : offset + (payload() - used);
}

void LayerBuilder::append_value(ByteView value) {
  while (!value.empty()) {
    size_t used = values_.size() % value_block();
    if (used == 0) {
      values_.resize(values_.size() + 4);
      used = 4;
    }
    size_t n = std::min(value.size(), value_block() - used);
    append(values_, value.first(n));
    value = value.subspan(n);
    if (used + n == value_block()) close_value_block();
  }
}

void LayerBuilder::close_value_block() {
  size_t begin = (values_.size() - 1) / value_block() * value_block();
  values_.resize(begin + value_block());
  uint64_t before = (values_at_ + begin - kLayerBlock) / value_block();
  seal(&values_[begin], value_block(), static_cast<uint32_t>(1 + before));
}

void LayerBuilder::add(const Key& key, Lsn lsn, ByteView value) {
  CHECK(header_.keys.contains(key) && header_.begin <= lsn && lsn < header_.end);
  CHECK(!value.empty() && value.size() < (1u << 31));
  uint8_t full[kFullKey];
  store_full_key(key, lsn, full);
  CHECK(entries_ == 0 || std::memcmp(last_, full, kFullKey) < 0);

  bool is_last = ends_chain(value);
  if (compressor_) value = compressor_->compress(value);
  size_t shared = 0;
  while (leaf_count_ > 0 && shared < kFullKey && last_[shared] == full[shared]) shared++;
  uint64_t coded = static_cast<uint64_t>(value.size()) << 1 | (is_last ? 1 : 0);
  if (kNodeHeader + leaf_.size() + 1 + (kFullKey - shared) + 5 > kLayerPayload) {
    close_leaf();
    shared = 0;
  }
  if (uint64_t place = header_.place(value_bytes_, value.size()); place > value_bytes_) {
    close_value_block();
    value_bytes_ = place;
  }
  if (leaf_count_ == 0) {
    leaf_first_ = {key, lsn, 0};
    leaf_offset_ = value_bytes_;
  }
  leaf_.push_back(static_cast<uint8_t>(shared));
  append(leaf_, ByteView(full + shared, kFullKey - shared));
  put_varint(leaf_, coded);
  leaf_count_++;
  std::memcpy(last_, full, kFullKey);
  append_value(value);
  value_bytes_ += value.size();
  entries_++;
}

void LayerBuilder::write_node(uint8_t level, uint16_t count, uint64_t first_offset, ByteView body) {
  size_t at = index_.size();
  index_.resize(at + kLayerBlock);
  uint8_t* node = index_.data() + at + 4;
  store_le(node, count);
  node[2] = level;
  store_le(node + 4, first_offset);
  std::copy(body.begin(), body.end(), node + kNodeHeader);
}

void LayerBuilder::close_leaf() {
  if (leaf_count_ == 0) return;
  leaf_first_.block = static_cast<uint32_t>(index_.size() / kLayerBlock);
  level_.push_back(leaf_first_);
  write_node(0, leaf_count_, leaf_offset_, leaf_);
  leaf_.clear();
  leaf_count_ = 0;
}

void LayerBuilder::build_upper_levels() {
  constexpr size_t kFanout = (kLayerPayload - kNodeHeader) / kInnerEntry;
  header_.leaves = static_cast<uint32_t>(level_.size());
  header_.levels = 1;
  while (level_.size() > 1) {
    std::vector<LayerChild> above;
    for (size_t at = 0; at < level_.size(); at += kFanout) {
      size_t n = std::min(kFanout, level_.size() - at);
      LayerChild first = level_[at];
      Bytes body(n * kInnerEntry);
      for (size_t i = 0; i < n; i++) {
        const LayerChild& child = level_[at + i];
        store_full_key(child.key, child.lsn, &body[i * kInnerEntry]);
        store_le(&body[i * kInnerEntry + kFullKey], child.block + header_.first_leaf());
      }
      first.block = static_cast<uint32_t>(index_.size() / kLayerBlock);
      write_node(header_.levels, static_cast<uint16_t>(n), 0, body);
      above.push_back(first);
    }
    header_.levels++;
    level_ = std::move(above);
  }
}

Bytes LayerBuilder::header_block() const {
  Bytes head(4);
  Writer out(head);
  uint8_t key[kKeyBytes];
  out.bytes(as_bytes(kMagic)).le(header_.version).u8(static_cast<uint8_t>(header_.kind)).le(header_.file_id);
  out.bytes(header_.owner.tenant.bytes).bytes(header_.owner.timeline.bytes);
  store_key(header_.keys.begin, key);
  out.bytes(key);
  store_key(header_.keys.end, key);
  out.bytes(key);
  out.le(header_.begin.value).le(header_.end.value).le(header_.value_bytes).le(header_.value_blocks);
  out.le(header_.index_blocks).le(header_.leaves).u8(header_.levels).le(header_.entries);
  head.resize(kLayerBlock);
  return head;
}

void LayerBuilder::seal(uint8_t* block, size_t bytes, uint32_t number) const {
  store_le(block, layer_block_checksum(ByteView(block, bytes), header_.file_id, number));
}

LayerBuilder::Piece LayerBuilder::take(Bytes spare) {
  size_t complete = values_.size() / value_block() * value_block();
  spare.clear();
  append(spare, ByteView(values_).subspan(complete));
  values_.resize(complete);
  std::swap(values_, spare);
  return {std::exchange(values_at_, values_at_ + complete), std::move(spare)};
}

std::pair<LayerBuilder::Piece, LayerBuilder::Piece> LayerBuilder::finish_pieces(const Key& end) {
  CHECK(header_.keys.begin < end && end <= header_.keys.end);
  header_.keys.end = end;
  close_leaf();
  if (values_.size() % value_block() > 0) close_value_block();
  header_.value_bytes = value_bytes_;
  header_.value_blocks = static_cast<uint32_t>((values_at_ + values_.size() - kLayerBlock) / value_block());
  header_.entries = entries_;
  if (level_.empty()) {
    write_node(0, 0, 0, {});
    level_.push_back({});
  }
  build_upper_levels();
  header_.index_blocks = static_cast<uint32_t>(index_.size() / kLayerBlock);
  size_t index_at = uint64_t{header_.first_leaf()} * kLayerBlock - values_at_;
  values_.resize(index_at);
  append(values_, index_);
  index_ = {};
  for (size_t at = index_at; at < values_.size(); at += kLayerBlock)
    seal(&values_[at], kLayerBlock, static_cast<uint32_t>((values_at_ + at) / kLayerBlock));
  Bytes header = header_block();
  seal(header.data(), kLayerBlock, 0);
  return {Piece{values_at_, std::move(values_)}, Piece{0, std::move(header)}};
}

Bytes LayerBuilder::finish(const Key& end) {
  CHECK(values_at_ == kLayerBlock);
  auto [blocks, header] = finish_pieces(end);
  append(header.blocks, blocks.blocks);
  return std::move(header.blocks);
}

uint32_t layer_block_checksum(ByteView block, uint64_t file_id, uint32_t number) {
  std::array<uint8_t, 12> place;
  store_le(place.data(), file_id);
  store_le(place.data() + 8, number);
  return crc32c_extend(crc32c(place), block.subspan(4));
}

bool check_layer_block(ByteView block, uint64_t file_id, uint32_t number) {
  CHECK(block.size() >= 4);
  return load_le<uint32_t>(block.data()) == layer_block_checksum(block, file_id, number);
}

Result<LayerHeader> parse_layer_header(ByteView block) {
  CHECK(block.size() == kLayerBlock);
  Reader in(block.subspan(4));
  if (as_text(in.bytes(kMagic.size())) != kMagic)
    return Error(Code::Corrupt, "block 0: not a layer file (wrong magic)");
  LayerHeader h;
  h.version = in.le<uint32_t>();
  uint8_t kind = in.u8();
  h.kind = static_cast<LayerKind>(kind);
  h.file_id = in.le<uint64_t>();
  std::ranges::copy(in.bytes(16), h.owner.tenant.bytes.begin());
  std::ranges::copy(in.bytes(16), h.owner.timeline.bytes.begin());
  h.keys.begin = load_key(in.bytes(kKeyBytes));
  h.keys.end = load_key(in.bytes(kKeyBytes));
  h.begin = Lsn(in.le<uint64_t>());
  h.end = Lsn(in.le<uint64_t>());
  h.value_bytes = in.le<uint64_t>();
  h.value_blocks = in.le<uint32_t>();
  h.index_blocks = in.le<uint32_t>();
  h.leaves = in.le<uint32_t>();
  h.levels = in.u8();
  h.entries = in.le<uint64_t>();
  bool good = kind <= 1 && h.leaves >= 1 && h.index_blocks >= h.leaves && h.levels >= 1 && h.levels < 8 &&
              h.value_bytes <= uint64_t{h.value_blocks} * h.payload() && h.value_blocks < (1u << 30) &&
              h.index_blocks < (1u << 30);
  // Before the version is believed: a flipped bit in it is damage, which can be repaired.
  if (!check_layer_block(block, h.file_id, 0))
    return Error(Code::Corrupt, "block 0 (offset 0): wrong checksum");
  if (h.version < 1 || h.version > kLayerVersion)
    return Error(Code::Unsupported, "block 0: layer file of version " + std::to_string(h.version) +
                                        "; this build reads versions 1 to " + std::to_string(kLayerVersion));
  if (!good) return Error(Code::Corrupt, "block 0: the header contradicts itself");
  return h;
}

namespace {

Status parse_leaf(Reader& in, uint16_t count, uint64_t offset, const LayerHeader& header, LayerNode& node) {
  uint8_t full[kFullKey] = {};
  node.entries.reserve(std::min<size_t>(count, kLayerPayload));
  for (uint16_t i = 0; i < count; i++) {
    uint8_t shared = in.u8();
    if (shared > kFullKey || (i == 0 && shared != 0))
      return Error(Code::Corrupt, "an index entry is malformed");
    ByteView rest = in.bytes(kFullKey - shared);
    if (in.failed()) return Error(Code::Corrupt, "an index entry is cut short");
    std::memcpy(full + shared, rest.data(), rest.size());
    uint64_t coded = get_varint(in);
    auto length = static_cast<uint32_t>(coded >> 1);
    offset = header.place(offset, length);
    LayerEntry entry{load_key(ByteView(full, kKeyBytes)), Lsn(load_be<uint64_t>(full + kKeyBytes)), offset,
                     length, (coded & 1) != 0};
    if (in.failed() || entry.length == 0 || offset > header.value_bytes ||
        entry.length > header.value_bytes - offset)
      return Error(Code::Corrupt, "an index entry points outside the values");
    offset += entry.length;
    node.entries.push_back(entry);
  }
  if (!node.entries.empty()) node.first_f6 = node.entries.front().key.f6;
  return {};
}

Status parse_inner(Reader& in, uint16_t count, const LayerHeader& header, LayerNode& node) {
  if (count == 0) return Error(Code::Corrupt, "an inner index node is empty");
  for (uint16_t i = 0; i < count; i++) {
    ByteView full = in.bytes(kFullKey);
    auto block = in.le<uint32_t>();
    if (in.failed() || block < header.first_leaf() || block >= header.root())
      return Error(Code::Corrupt, "an inner index entry is malformed");
    node.children.push_back(
        {load_key(full.first(kKeyBytes)), Lsn(load_be<uint64_t>(full.data() + kKeyBytes)), block});
  }
  return {};
}

}  // namespace

Result<LayerNode> parse_layer_node(ByteView block, const LayerHeader& header) {
  CHECK(block.size() == kLayerBlock);
  Reader in(block.subspan(4));
  auto count = in.le<uint16_t>();
  LayerNode node;
  node.level = in.u8();
  in.skip(1);
  auto offset = in.le<uint64_t>();
  if (node.level >= header.levels)
    return Error(Code::Corrupt, "an index node is of a level that does not exist");
  if (node.level == 0)
    TRY(parse_leaf(in, count, offset, header, node));
  else
    TRY(parse_inner(in, count, header, node));
  return node;
}

std::vector<LayerBlock> layer_blocks(const LayerHeader& header) {
  std::vector<LayerBlock> blocks{{0, 0, kLayerBlock}};
  for (uint32_t n = 0; n < header.value_blocks; n++)
    blocks.push_back({1 + n, header.value_block_at(n), 4 + header.payload()});
  for (uint32_t number = header.first_leaf(); number <= header.root(); number++)
    blocks.push_back({number, uint64_t{number} * kLayerBlock, kLayerBlock});
  return blocks;
}

Status check_layer_file(ByteView file, const LayerName& name) {
  if (file.size() < kLayerBlock) return Error(Code::Corrupt, "it has less than a header");
  TRY_ASSIGN(LayerHeader header, parse_layer_header(file.first(kLayerBlock)));
  if (header.file_id != name.file_id || header.file_size() != file.size())
    return Error(Code::Corrupt, "block 0: the header is of another file");
  for (const LayerBlock& block : layer_blocks(header))
    if (!check_layer_block(file.subspan(block.offset, block.bytes), name.file_id, block.number))
      return Error(Code::Corrupt, "block " + std::to_string(block.number) + " (offset " +
                                      std::to_string(block.offset) + "): wrong checksum");
  return check_layer_gap(file, header);
}

Status check_layer_gap(ByteView file, const LayerHeader& header) {
  uint64_t end = header.value_block_at(header.value_blocks);
  ByteView gap = file.subspan(end, uint64_t{header.first_leaf()} * kLayerBlock - end);
  if (std::ranges::all_of(gap, [](uint8_t byte) { return byte == 0; })) return {};
  return Error(Code::Corrupt,
               "offset " + std::to_string(end) + ": there are not only zeros before the index");
}

}  // namespace argon::pageserver
