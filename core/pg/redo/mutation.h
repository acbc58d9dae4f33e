// Changes to one page that WAL records imply without a block reference, as values of their own.
//
// Ingest makes them (nonblock.h) and stores them in the page's chain, at the record's end LSN,
// beside records and images; a read applies them with apply_mutation(). They concern pages that
// have no LSN or do not move it (visibility map, free space map, SLRU pages), so that the order
// in the chain is the only order there is: apply all of them, oldest first, each once.
// Formats: access/transam/{clog,multixact,commit_ts}.c, access/heap/visibilitymap.c,
// storage/freespace/fsmpage.c of PostgreSQL 15.

#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/pg/constants.h"

namespace argon::pg::redo {

// pg_xact, pg_multixact/offsets, pg_multixact/members, pg_commit_ts. Numbers are stored: never reuse.
enum class Slru : uint8_t { Clog = 0, MultixactOffsets = 1, MultixactMembers = 2, CommitTs = 3 };
inline constexpr uint8_t kLastSlru = 3;

inline constexpr uint32_t kHeapBlocksPerVmPage = 32672;
inline constexpr uint32_t kFsmSlotsPerPage = 4069;
inline constexpr uint32_t kXidsPerClogPage = 32768;
inline constexpr uint32_t kOffsetsPerPage = 2048;
inline constexpr uint32_t kMembersPerPage = 1636;
inline constexpr uint32_t kXidsPerCommitTsPage = 819;
inline constexpr uint8_t kVmAllVisible = 1;
inline constexpr uint8_t kVmAllFrozen = 2;
inline constexpr uint8_t kVmBothBits = 3;

// visibilitymap_clear: clears `flags` (kVm…) of one heap block; LSN and initialisation untouched.
struct ClearVisibilityMapFlags {
  BlockNumber heap_block = 0;
  uint8_t flags = 0;
  friend bool operator==(const ClearVisibilityMapFlags&, const ClearVisibilityMapFlags&) = default;
};

// visibilitymap_prepare_truncate: clears the bits of heap blocks >= first_cleared on that block's VM page.
struct TruncateVisibilityMap {
  BlockNumber first_cleared = 0;
  friend bool operator==(const TruncateVisibilityMap&, const TruncateVisibilityMap&) = default;
};

// fsm_truncate_avail: clears slots >= first_cleared of a bottom-level FSM page, rebuilds its tree.
struct TruncateFreeSpaceMap {
  uint16_t first_cleared = 0;
  friend bool operator==(const TruncateFreeSpaceMap&, const TruncateFreeSpaceMap&) = default;
};

// An SLRU page made anew, all zeros.
struct ZeroPage {
  friend bool operator==(const ZeroPage&, const ZeroPage&) = default;
};

// MULTIXACT ZERO_OFF_PAGE: zeroes all but the entry of the page's first multixact, which a CREATE_ID
// of the page before may have set already (older minor releases write that record first).
struct ZeroOffsetsPage {
  uint16_t kept_entry = 0;  // 0, but 1 on page 0, since multixact 0 does not exist
  friend bool operator==(const ZeroOffsetsPage&, const ZeroOffsetsPage&) = default;
};

// All xids of one mutation lie on one page.
struct ClogSetCommitted {
  std::vector<Xid> xids;
  int64_t timestamp = 0;  // microseconds since 2000-01-01 UTC, of the commit record
  friend bool operator==(const ClogSetCommitted&, const ClogSetCommitted&) = default;
};
struct ClogSetAborted {
  std::vector<Xid> xids;
  friend bool operator==(const ClogSetAborted&, const ClogSetAborted&) = default;
};
struct CommitTsSet {
  std::vector<Xid> xids;
  int64_t timestamp = 0;
  uint16_t origin = 0;
  friend bool operator==(const CommitTsSet&, const CommitTsSet&) = default;
};

// offsets[multi] := offset. opens_page: the page may not exist yet; it then starts as zeros.
struct MultixactOffsetSet {
  MultiXactId multi = 0;
  uint32_t offset = 0;
  bool opens_page = false;
  friend bool operator==(const MultixactOffsetSet&, const MultixactOffsetSet&) = default;
};

struct MultixactMember {
  Xid xid = 0;
  uint8_t status = 0;  // MultiXactStatus, 0..5
  friend bool operator==(const MultixactMember&, const MultixactMember&) = default;
};

// members[offset], members[offset + 1], …, all on one page.
struct MultixactMembersSet {
  uint32_t offset = 0;
  std::vector<MultixactMember> members;
  friend bool operator==(const MultixactMembersSet&, const MultixactMembersSet&) = default;
};

using Mutation = std::variant<ClearVisibilityMapFlags, TruncateVisibilityMap, TruncateFreeSpaceMap, ZeroPage,
                              ZeroOffsetsPage, ClogSetCommitted, ClogSetAborted, CommitTsSet,
                              MultixactOffsetSet, MultixactMembersSet>;

// The page's earlier content is not needed: a read stops here.
bool will_init(const Mutation& mutation);
// Where the page has no earlier version at all, a chain may begin with this mutation on a page of
// zeros. (Not will_init: an earlier version, where there is one, is needed.) Clears of a VM or
// FSM page that does not exist are no-ops and start from zeros as well.
bool starts_from_zeros(const Mutation& mutation);

// Changes the page in place. Code::Corrupt if the mutation cannot concern any such page (an entry
// outside a page, xids of two pages). REQUIRES: page.size() == kBlockSize.
Status apply_mutation(const Mutation& mutation, ByteSpan page);

// One byte of kind, then its fields, little-endian. The bytes carry no checksum: what stores them does.
void encode_mutation(const Mutation& mutation, Bytes& out);
// Code::Unsupported for an unknown kind, Code::Corrupt for bytes that do not fit it.
Result<Mutation> decode_mutation(ByteView bytes);

// For dumps: "ClogSetCommitted 2 xids from 733".
std::string to_string(const Mutation& mutation);

}  // namespace argon::pg::redo
