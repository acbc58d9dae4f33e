#include "core/pg/page.h"

#include <algorithm>
#include <array>

namespace argon::pg {

namespace {

template <typename Integer>
Integer field(ByteView page, size_t at) {
  CHECK(page.size() == kBlockSize);
  return load_le<Integer>(page.data() + at);
}
template <typename Integer>
void set_field(ByteSpan page, size_t at, Integer value) {
  CHECK(page.size() == kBlockSize);
  store_le(page.data() + at, value);
}

constexpr size_t kLanes = 32;
constexpr uint32_t kFnvPrime = 16777619;
// Start values of the lanes, fixed by the format.
constexpr std::array<uint32_t, kLanes> kLaneStart = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

uint32_t mix(uint32_t sum, uint32_t value) {
  uint32_t x = sum ^ value;
  return (x * kFnvPrime) ^ (x >> 17);
}

Error bad_page(BlockNumber block, std::string what) {
  return Error(Code::Corrupt, "page of block " + std::to_string(block) + ": " + std::move(what));
}

}  // namespace

Lsn page_lsn(ByteView page) {
  return Lsn(uint64_t{field<uint32_t>(page, page::kLsn)} << 32 | field<uint32_t>(page, page::kLsn + 4));
}

void set_page_lsn(ByteSpan page, Lsn lsn) {
  set_field(page, page::kLsn, static_cast<uint32_t>(lsn.value >> 32));
  set_field(page, page::kLsn + 4, static_cast<uint32_t>(lsn.value));
}

uint16_t page_flags(ByteView page) {
  return field<uint16_t>(page, page::kFlags);
}
uint16_t page_lower(ByteView page) {
  return field<uint16_t>(page, page::kLower);
}
uint16_t page_upper(ByteView page) {
  return field<uint16_t>(page, page::kUpper);
}
uint16_t page_special(ByteView page) {
  return field<uint16_t>(page, page::kSpecial);
}
uint16_t page_checksum(ByteView page) {
  return field<uint16_t>(page, page::kChecksum);
}
bool page_is_new(ByteView page) {
  return page_upper(page) == 0;
}

bool page_is_zero(ByteView page) {
  return all_zeros(page);
}

void copy_page(ByteSpan to, ByteView from) {
  CHECK(to.size() == from.size());
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

void init_page(ByteSpan page, size_t special) {
  CHECK(page.size() == kBlockSize && align8(special) == special && special < kBlockSize - page::kHeader);
  std::memset(page.data(), 0, page.size());
  auto end = static_cast<uint16_t>(kBlockSize - special);
  set_field(page, page::kLower, static_cast<uint16_t>(page::kHeader));
  set_field(page, page::kUpper, end);
  set_field(page, page::kSpecial, end);
  set_field(page, page::kSizeVersion, static_cast<uint16_t>(kBlockSize | page::kLayoutVersion));
}

uint16_t line_count(ByteView page) {
  uint16_t lower = page_lower(page);
  if (lower <= page::kHeader || lower > kBlockSize) return 0;
  return static_cast<uint16_t>((lower - page::kHeader) / page::kLinePointer);
}

// 15 bits offset, 2 bits state, 15 bits length, from the lowest.
LinePointer line_pointer(ByteView page, uint16_t line) {
  CHECK(line >= 1 && line <= line_count(page));
  auto raw = field<uint32_t>(page, page::kHeader + (line - 1) * page::kLinePointer);
  return {static_cast<uint16_t>(raw & 0x7FFF), static_cast<LineState>((raw >> 15) & 3),
          static_cast<uint16_t>(raw >> 17)};
}

void set_line_pointer(ByteSpan page, uint16_t line, LinePointer pointer) {
  CHECK(line >= 1 && line <= line_count(page));
  uint32_t raw = (pointer.offset & 0x7FFFu) | static_cast<uint32_t>(pointer.state) << 15 |
                 static_cast<uint32_t>(pointer.length) << 17;
  set_field(page, page::kHeader + (line - 1) * page::kLinePointer, raw);
}

ByteView item(ByteView page, uint16_t line) {
  LinePointer pointer = line_pointer(page, line);
  if (pointer.length == 0 || size_t{pointer.offset} + pointer.length > kBlockSize) return {};
  return page.subspan(pointer.offset, pointer.length);
}

uint16_t add_item(ByteSpan page, ByteView item) {
  size_t aligned = align8(item.size());
  if (free_space(page) < aligned + page::kLinePointer) return 0;
  auto upper = static_cast<uint16_t>(page_upper(page) - aligned);
  set_field(page, page::kLower, static_cast<uint16_t>(page_lower(page) + page::kLinePointer));
  set_field(page, page::kUpper, upper);
  uint16_t line = line_count(page);
  set_line_pointer(page, line, {upper, LineState::Normal, static_cast<uint16_t>(item.size())});
  std::memcpy(page.data() + upper, item.data(), item.size());
  return line;
}

size_t free_space(ByteView page) {
  uint16_t lower = page_lower(page), upper = page_upper(page);
  return upper > lower ? upper - lower : 0;
}

#ifdef __x86_64__
// Its multiplications of 32 bits are one instruction there; every x86-64 since 2008 has it.
[[gnu::target("sse4.1")]]
#endif
uint16_t compute_page_checksum(ByteView page, BlockNumber block) {
  CHECK(page.size() == kBlockSize);
  std::array<uint32_t, kLanes> sums = kLaneStart;
  for (size_t row = 0; row < kBlockSize; row += kLanes * 4) {
    std::array<uint32_t, kLanes> values;
    std::memcpy(values.data(), page.data() + row, sizeof values);
    if (row == 0) values[page::kChecksum / 4] &= 0xFFFF0000;  // the checksum itself counts as zero
    for (size_t lane = 0; lane < kLanes; lane++) sums[lane] = mix(sums[lane], values[lane]);
  }
  uint32_t result = block;
  for (uint32_t sum : sums) result ^= mix(mix(sum, 0), 0);
  return static_cast<uint16_t>(result % 65535 + 1);
}

void set_page_checksum(ByteSpan page, BlockNumber block) {
  set_field(page, page::kChecksum, compute_page_checksum(page, block));
}

Status check_page(ByteView page, BlockNumber block, bool checksums) {
  if (page_is_new(page)) {
    if (page_is_zero(page)) return {};
    return bad_page(block, "it is not initialised and not zero");
  }
  uint16_t lower = page_lower(page), upper = page_upper(page), special = page_special(page);
  if ((page_flags(page) & ~page::kAllFlags) != 0) return bad_page(block, "unknown flags");
  if (lower > upper || upper > special || special > kBlockSize || special != align8(special))
    return bad_page(block, "its bounds " + std::to_string(lower) + ", " + std::to_string(upper) + ", " +
                               std::to_string(special) + " are not in order");
  if (checksums && page_checksum(page) != compute_page_checksum(page, block))
    return bad_page(block, "its checksum is wrong");
  return {};
}

}  // namespace argon::pg
