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

LayerBuilder::LayerBuilder(const TenantTimelineId& owner, const LayerName& name, size_t piece_bytes)
    : piece_bytes_(std::max(piece_bytes, kLayerBlock)) {
  header_.kind = name.kind;
  header_.file_id = name.file_id;
  header_.owner = owner;
  header_.keys = name.keys;
  header_.begin = name.begin;
  header_.end = name.end;
}

void LayerBuilder::append_value(ByteView value) {
  while (!value.empty()) {
    size_t used = values_.size() % kLayerBlock;
    if (used == 0) {
      values_.resize(values_.size() + 4);
      used = 4;
    }
    size_t n = std::min(value.size(), kLayerBlock - used);
    append(values_, value.first(n));
    value = value.subspan(n);
    if (used + n == kLayerBlock) {
      size_t at = values_.size() - kLayerBlock;
      seal(&values_[at], values_at_ + at);
    }
  }
}

void LayerBuilder::add(const Key& key, Lsn lsn, ByteView value) {
  CHECK(header_.keys.contains(key) && header_.begin <= lsn && lsn < header_.end);
  CHECK(!value.empty() && value.size() < (1u << 31));
  uint8_t full[kFullKey];
  store_full_key(key, lsn, full);
  CHECK(entries_ == 0 || std::memcmp(last_, full, kFullKey) < 0);

  size_t shared = 0;
  while (leaf_count_ > 0 && shared < kFullKey && last_[shared] == full[shared]) shared++;
  uint64_t coded = static_cast<uint64_t>(value.size()) << 1 | (ends_chain(value) ? 1 : 0);
  if (kNodeHeader + leaf_.size() + 1 + (kFullKey - shared) + 5 > kLayerPayload) {
    close_leaf();
    shared = 0;
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
  out.bytes(as_bytes(kMagic)).le(kLayerVersion).u8(static_cast<uint8_t>(header_.kind)).le(header_.file_id);
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

void LayerBuilder::seal(uint8_t* block, uint64_t place) const {
  store_le(block, layer_block_checksum(ByteView(block, kLayerBlock), header_.file_id,
                                       static_cast<uint32_t>(place / kLayerBlock)));
}

LayerBuilder::Piece LayerBuilder::take(Bytes spare) {
  size_t complete = values_.size() / kLayerBlock * kLayerBlock;
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
  if (size_t used = values_.size() % kLayerBlock; used > 0) {
    size_t at = values_.size() - used;
    values_.resize(at + kLayerBlock);
    seal(&values_[at], values_at_ + at);
  }
  header_.value_bytes = value_bytes_;
  header_.value_blocks = static_cast<uint32_t>((values_at_ + values_.size()) / kLayerBlock - 1);
  header_.entries = entries_;
  if (level_.empty()) {
    write_node(0, 0, 0, {});
    level_.push_back({});
  }
  build_upper_levels();
  header_.index_blocks = static_cast<uint32_t>(index_.size() / kLayerBlock);
  size_t index_at = values_.size();
  append(values_, index_);
  index_ = {};
  for (size_t at = index_at; at < values_.size(); at += kLayerBlock) seal(&values_[at], values_at_ + at);
  Bytes header = header_block();
  seal(header.data(), 0);
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
  CHECK(block.size() == kLayerBlock);
  return load_le<uint32_t>(block.data()) == layer_block_checksum(block, file_id, number);
}

Result<LayerHeader> parse_layer_header(ByteView block) {
  CHECK(block.size() == kLayerBlock);
  Reader in(block.subspan(4));
  if (as_text(in.bytes(kMagic.size())) != kMagic)
    return Error(Code::Corrupt, "block 0: not a layer file (wrong magic)");
  auto version = in.le<uint32_t>();
  LayerHeader h;
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
              h.value_bytes <= uint64_t{h.value_blocks} * kLayerPayload && h.value_blocks < (1u << 30) &&
              h.index_blocks < (1u << 30);
  // Before the version is believed: a flipped bit in it is damage, which can be repaired.
  if (!check_layer_block(block, h.file_id, 0))
    return Error(Code::Corrupt, "block 0 (offset 0): wrong checksum");
  if (version != kLayerVersion)
    return Error(Code::Unsupported, "block 0: layer file of version " + std::to_string(version) +
                                        "; this build reads version " + std::to_string(kLayerVersion));
  if (!good) return Error(Code::Corrupt, "block 0: the header contradicts itself");
  return h;
}

namespace {

Status parse_leaf(Reader& in, uint16_t count, uint64_t offset, const LayerHeader& header, LayerNode& node) {
  uint8_t full[kFullKey] = {};
  for (uint16_t i = 0; i < count; i++) {
    uint8_t shared = in.u8();
    if (shared > kFullKey || (i == 0 && shared != 0))
      return Error(Code::Corrupt, "an index entry is malformed");
    ByteView rest = in.bytes(kFullKey - shared);
    if (in.failed()) return Error(Code::Corrupt, "an index entry is cut short");
    std::memcpy(full + shared, rest.data(), rest.size());
    uint64_t coded = get_varint(in);
    LayerEntry entry{load_key(ByteView(full, kKeyBytes)), Lsn(load_be<uint64_t>(full + kKeyBytes)), offset,
                     static_cast<uint32_t>(coded >> 1), (coded & 1) != 0};
    if (in.failed() || entry.length == 0 || offset > header.value_bytes ||
        entry.length > header.value_bytes - offset)
      return Error(Code::Corrupt, "an index entry points outside the values");
    offset += entry.length;
    node.entries.push_back(entry);
  }
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

}  // namespace argon::pageserver
