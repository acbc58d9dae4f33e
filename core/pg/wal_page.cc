#include "core/pg/wal_page.h"

#include <algorithm>
#include <cstdio>

#include "core/base/codec.h"

namespace argon::pg {

namespace {

constexpr uint64_t kSegmentsPerLogId = 0x100000000 / kWalSegmentSize;

std::string hex(uint64_t n, int width) {
  char text[20];
  std::snprintf(text, sizeof text, "%0*llX", width, static_cast<unsigned long long>(n));
  return text;
}

[[gnu::cold, gnu::noinline]] Error bad_page(Lsn address, std::string what) {
  return Error(Code::Corrupt, "WAL page at " + to_string(address) + ": " + std::move(what));
}

}  // namespace

Lsn record_end(Lsn start, uint32_t tot_len) {
  CHECK(is_record_position(start));
  Lsn at = start;
  uint64_t left = tot_len;
  for (;;) {
    uint64_t room = kWalBlockSize - page_offset(at);
    if (left <= room) return at + align8(left);
    left -= room;
    at += room;
    at += page_header_size(at);
  }
}

std::string segment_file_name(uint64_t number, uint32_t tli) {
  return hex(tli, 8) + hex(number / kSegmentsPerLogId, 8) + hex(number % kSegmentsPerLogId, 8);
}

Result<uint64_t> parse_segment_file_name(std::string_view name, uint32_t* tli) {
  auto bad = [&] { return Error(Code::Invalid, "'" + std::string(name) + "' is no WAL segment's name"); };
  if (name.size() != 24) return bad();
  uint32_t part[3] = {};
  for (size_t i = 0; i < name.size(); i++) {
    char c = name[i];
    bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'A' && c <= 'F')) return bad();
    part[i / 8] = (part[i / 8] << 4) | static_cast<uint32_t>(digit ? c - '0' : c - 'A' + 10);
  }
  if (part[2] >= kSegmentsPerLogId) return bad();
  if (tli != nullptr) *tli = part[0];
  return part[1] * kSegmentsPerLogId + part[2];
}

void append_page_header(Bytes& out, const WalPageHeader& header, uint64_t system_id) {
  CHECK(page_offset(header.address) == 0);
  bool is_long = segment_offset(header.address) == 0;
  auto info = static_cast<uint16_t>((header.info & ~kWalLongHeaderFlag) | (is_long ? kWalLongHeaderFlag : 0));
  Writer w(out);
  w.le(kWalPageMagic).le(info).le(header.tli).le(header.address.value).le(header.rem_len).zeros(4);
  if (is_long)
    w.le(system_id).le(static_cast<uint32_t>(kWalSegmentSize)).le(static_cast<uint32_t>(kWalBlockSize));
}

void lay_empty_pages(Lsn at, ByteSpan into, Lsn end, uint64_t system_id) {
  end = std::min(end, at + into.size());
  Bytes header;
  for (Lsn page = page_start(at); page < end; page += kWalBlockSize) {
    header.clear();
    append_page_header(header, {.address = page}, system_id);
    Lsn from = std::max(page, at);
    Lsn to = std::min(page + header.size(), end);
    if (from < to) std::memcpy(into.data() + (from - at), header.data() + (from - page), to - from);
  }
}

Result<WalPageHeader> read_page_header(ByteView raw, Lsn address, const WalIdentity& identity) {
  CHECK(raw.size() >= page_header_size(address));
  const uint8_t* at = raw.data();
  WalPageHeader header;
  auto magic = load_le<uint16_t>(at);
  header.info = load_le<uint16_t>(at + 2);
  header.tli = load_le<uint32_t>(at + 4);
  header.address = Lsn(load_le<uint64_t>(at + 8));
  header.rem_len = load_le<uint32_t>(at + 16);
  bool first = segment_offset(address) == 0;
  if (magic != kWalPageMagic)
    return bad_page(address, "magic is " + hex(magic, 4) + ", not " + hex(kWalPageMagic, 4));
  if (header.info & ~kWalAllPageFlags) return bad_page(address, "unknown flags " + hex(header.info, 4));
  if (header.address != address) return bad_page(address, "it says it lies at " + to_string(header.address));
  if (header.is_long() != first)
    return bad_page(address, first ? "a segment must begin with a long header" : "unexpected long header");
  if (header.tli != identity.tli) return bad_page(address, "it is of timeline " + std::to_string(header.tli));
  if (!first) return header;
  auto system_id = load_le<uint64_t>(at + 24);
  if (identity.system_id != 0 && system_id != identity.system_id)
    return bad_page(address, "it is of system " + std::to_string(system_id) + ", not of " +
                                 std::to_string(identity.system_id));
  if (load_le<uint32_t>(at + 32) != kWalSegmentSize)
    return bad_page(address, "segment size is " + std::to_string(load_le<uint32_t>(at + 32)) +
                                 ", only 16 MB is supported");
  if (load_le<uint32_t>(at + 36) != kWalBlockSize) return bad_page(address, "WAL block size is not 8192");
  return header;
}

}  // namespace argon::pg
