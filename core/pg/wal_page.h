// Pages and segments of the WAL: headers, and arithmetic on positions.
//
// Every 8 KiB of WAL begins with a header of 24 bytes; the first page of a 16 MiB segment with one
// of 40. A record may go on over any number of pages. Source: access/xlog_internal.h.

#pragma once

#include <cstdint>
#include <string>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/pg/constants.h"

namespace argon::pg {

// What a WAL stream belongs to: checked on reading, written on writing.
struct WalIdentity {
  uint64_t system_id = 0;  // 0: not checked
  uint32_t tli = kTimelineId;

  friend constexpr bool operator==(const WalIdentity&, const WalIdentity&) = default;
};

struct WalPageHeader {
  uint16_t info = 0;
  uint32_t tli = kTimelineId;
  Lsn address;
  uint32_t rem_len = 0;  // bytes of the record that goes on here, from its start on this page to its end

  bool first_is_contrecord() const { return info & kWalFirstIsContrecord; }
  bool first_is_overwrite() const { return info & kWalFirstIsOverwriteContrecord; }
  bool is_long() const { return info & kWalLongHeaderFlag; }
};

constexpr uint64_t page_offset(Lsn lsn) {
  return lsn.value % kWalBlockSize;
}
constexpr uint64_t segment_offset(Lsn lsn) {
  return lsn.value % kWalSegmentSize;
}
constexpr Lsn page_start(Lsn lsn) {
  return lsn - page_offset(lsn);
}
constexpr Lsn segment_start(Lsn lsn) {
  return lsn - segment_offset(lsn);
}
constexpr uint64_t segment_number(Lsn lsn) {
  return lsn.value / kWalSegmentSize;
}
// The size of the header of the page that contains lsn.
constexpr size_t page_header_size(Lsn lsn) {
  return segment_offset(lsn) < kWalBlockSize ? kWalLongHeader : kWalShortHeader;
}
// Where a record starts that follows one that ends at `end`: behind the page header at a boundary.
constexpr Lsn record_start_at(Lsn end) {
  return page_offset(end) == 0 ? end + page_header_size(end) : end;
}
// Whether a record can start here: aligned, and not inside a page header.
constexpr bool is_record_position(Lsn lsn) {
  return lsn.value % 8 == 0 && page_offset(lsn) >= page_header_size(lsn);
}
// The end of a record of tot_len bytes that starts at `start`, aligned, page headers counted.
// REQUIRES: is_record_position(start).
Lsn record_end(Lsn start, uint32_t tot_len);

// "000000010000000000000001".
std::string segment_file_name(uint64_t number, uint32_t tli = kTimelineId);
// The inverse. Code::Invalid for other names (history files, .partial).
Result<uint64_t> parse_segment_file_name(std::string_view name, uint32_t* tli = nullptr);

// Appends the header of the page at header.address; its long form at the start of a segment.
// REQUIRES: page_offset(header.address) == 0.
void append_page_header(Bytes& out, const WalPageHeader& header, uint64_t system_id);

// Writes the headers of pages without records where they fall into the bytes of [at, end), of which `into`
// holds the first ones or all.
void lay_empty_pages(Lsn at, ByteSpan into, Lsn end, uint64_t system_id);

// Checks the header of the page that should lie at `address`. REQUIRES: raw holds the whole header
// (page_header_size(address) bytes). Code::Corrupt says what is wrong and where.
Result<WalPageHeader> read_page_header(ByteView raw, Lsn address, const WalIdentity& identity);

}  // namespace argon::pg
