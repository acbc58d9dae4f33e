// A data page of 8 KiB: header fields, line pointers, checksum, validity.
//
// Functions over a borrowed page; every `page` argument must be kBlockSize bytes long (a CHECK, since
// lengths are ours), its content may be anything. A page of zeros is a valid, new page.
// Source: storage/bufpage.h, storage/checksum_impl.h, PageIsVerifiedExtended in bufpage.c.

#pragma once

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/pg/constants.h"

namespace argon::pg {

namespace page {

inline constexpr size_t kLsn = 0;  // two u32: high, low
inline constexpr size_t kChecksum = 8;
inline constexpr size_t kFlags = 10;
inline constexpr size_t kLower = 12;
inline constexpr size_t kUpper = 14;
inline constexpr size_t kSpecial = 16;
inline constexpr size_t kSizeVersion = 18;
inline constexpr size_t kPruneXid = 20;
inline constexpr size_t kHeader = 24;
inline constexpr size_t kLinePointer = 4;
inline constexpr uint16_t kLayoutVersion = 4;
inline constexpr uint16_t kHasFreeLines = 0x0001;
inline constexpr uint16_t kFull = 0x0002;
inline constexpr uint16_t kAllVisible = 0x0004;
inline constexpr uint16_t kAllFlags = 0x0007;

}  // namespace page

enum class LineState : uint8_t { Unused = 0, Normal = 1, Redirect = 2, Dead = 3 };

struct LinePointer {
  uint16_t offset = 0;  // of the item on the page; the target line of a redirect
  LineState state = LineState::Unused;
  uint16_t length = 0;

  friend constexpr bool operator==(const LinePointer&, const LinePointer&) = default;
};

Lsn page_lsn(ByteView page);
void set_page_lsn(ByteSpan page, Lsn lsn);
uint16_t page_flags(ByteView page);
uint16_t page_lower(ByteView page);
uint16_t page_upper(ByteView page);
uint16_t page_special(ByteView page);
uint16_t page_checksum(ByteView page);  // the stored one, 0 if there is none

// pd_upper is 0: never initialised. Such a page has no LSN.
bool page_is_new(ByteView page);
bool page_is_zero(ByteView page);
// REQUIRES: of the same length. It is no constant to the compiler: gcc makes `rep movsq` of a copy of exactly
// 8 KiB, which took most of the time of rebuilding a page from one record (bench/redo.cc).
void copy_page(ByteSpan to, ByteView from);
// An empty page with `special` bytes (aligned to 8) at its end, as PageInit makes it.
void init_page(ByteSpan page, size_t special = 0);

// Lines are numbered from 1. Count is 0 for a page whose header is not sane.
uint16_t line_count(ByteView page);
// REQUIRES: 1 <= line <= line_count(page).
LinePointer line_pointer(ByteView page, uint16_t line);
void set_line_pointer(ByteSpan page, uint16_t line, LinePointer pointer);
// The item's bytes; empty where the line has none or points outside the page.
ByteView item(ByteView page, uint16_t line);
// Puts an item below pd_upper, aligned, behind the last line; its line number, 0 if it does not fit.
uint16_t add_item(ByteSpan page, ByteView item);
size_t free_space(ByteView page);  // between the line pointers and the items

// PostgreSQL's page checksum (never 0), which covers the block number.
uint16_t compute_page_checksum(ByteView page, BlockNumber block);
void set_page_checksum(ByteSpan page, BlockNumber block);

// Whether the server would accept the page: zero, or with a sane header (and a right checksum, where
// the cluster has checksums). Code::Corrupt says what is wrong.
Status check_page(ByteView page, BlockNumber block, bool checksums);

}  // namespace argon::pg
