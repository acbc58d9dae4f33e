// PostgreSQL's numbers: block and page sizes, magics, resource managers, forks, well-known oids.
//
// All are those of PostgreSQL 15; a number that a later version changes stands here and nowhere
// else. Record types (the high nibble of xl_info) stand in record_types.h.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace argon::pg {

using Oid = uint32_t;
using Xid = uint32_t;
using MultiXactId = uint32_t;
using BlockNumber = uint32_t;

inline constexpr uint32_t kPostgresMajor = 15;
// The first minor release that Argon supports, as server_version_num.
inline constexpr uint32_t kOldestServerVersionNum = 150013;

inline constexpr size_t kBlockSize = 8192;              // BLCKSZ
inline constexpr size_t kWalBlockSize = 8192;           // XLOG_BLCKSZ
inline constexpr uint64_t kWalSegmentSize = 16u << 20;  // wal_segment_size; the only one supported
inline constexpr uint32_t kBlocksPerFile = 131072;      // RELSEG_SIZE: 1 GiB
inline constexpr uint32_t kSlruPagesPerSegment = 32;
inline constexpr BlockNumber kInvalidBlock = 0xFFFFFFFF;
inline constexpr uint32_t kTimelineId = 1;  // PostgreSQL's own timeline id, always 1 in Argon

inline constexpr uint16_t kWalPageMagic = 0xD110;  // XLOG_PAGE_MAGIC
inline constexpr size_t kWalShortHeader = 24;      // SizeOfXLogShortPHD
inline constexpr size_t kWalLongHeader = 40;       // SizeOfXLogLongPHD
inline constexpr uint16_t kWalFirstIsContrecord = 0x0001;
inline constexpr uint16_t kWalLongHeaderFlag = 0x0002;
inline constexpr uint16_t kWalBackupRemovable = 0x0004;
inline constexpr uint16_t kWalFirstIsOverwriteContrecord = 0x0008;
inline constexpr uint16_t kWalAllPageFlags = 0x000F;

inline constexpr size_t kRecordHeader = 24;                // SizeOfXLogRecord
inline constexpr size_t kRecordCrcOffset = 20;             // offsetof(XLogRecord, xl_crc)
inline constexpr uint32_t kMaxRecordLength = 1020u << 20;  // XLogRecordMaxSize of later versions
inline constexpr size_t kMaxBlockId = 32;                  // XLR_MAX_BLOCK_ID
inline constexpr uint8_t kInfoRmgrMask = 0xF0;             // XLR_RMGR_INFO_MASK
inline constexpr uint8_t kInfoSpecialRelUpdate = 0x01;
inline constexpr uint8_t kInfoCheckConsistency = 0x02;

// Flags of a block reference (fork_flags) and of its image (bimg_info).
inline constexpr uint8_t kBlockForkMask = 0x0F;
inline constexpr uint8_t kBlockHasImage = 0x10;
inline constexpr uint8_t kBlockHasData = 0x20;
inline constexpr uint8_t kBlockWillInit = 0x40;
inline constexpr uint8_t kBlockSameRel = 0x80;
inline constexpr uint8_t kImageHasHole = 0x01;
inline constexpr uint8_t kImageApply = 0x02;
inline constexpr uint8_t kImagePglz = 0x04;
inline constexpr uint8_t kImageLz4 = 0x08;
inline constexpr uint8_t kImageZstd = 0x10;
inline constexpr uint8_t kImageCompressed = kImagePglz | kImageLz4 | kImageZstd;

inline constexpr uint8_t kBlockIdMainShort = 255;
inline constexpr uint8_t kBlockIdMainLong = 254;
inline constexpr uint8_t kBlockIdOrigin = 253;
inline constexpr uint8_t kBlockIdToplevelXid = 252;

// rmgrlist.h, in order. Ids from kFirstCustomRmgr on belong to extensions.
enum class Rmgr : uint8_t {
  Xlog = 0,
  Xact = 1,
  Smgr = 2,
  Clog = 3,
  Dbase = 4,
  Tablespace = 5,
  MultiXact = 6,
  RelMap = 7,
  Standby = 8,
  Heap2 = 9,
  Heap = 10,
  Btree = 11,
  Hash = 12,
  Gin = 13,
  Gist = 14,
  Sequence = 15,
  SpGist = 16,
  Brin = 17,
  CommitTs = 18,
  ReplicationOrigin = 19,
  Generic = 20,
  LogicalMessage = 21,
};
inline constexpr uint8_t kLastBuiltinRmgr = 21;
inline constexpr uint8_t kFirstCustomRmgr = 128;
constexpr bool is_known_rmgr(uint8_t id) {
  return id <= kLastBuiltinRmgr || id >= kFirstCustomRmgr;
}
// The name pg_waldump prints; "custom" and "unknown" for the rest.
std::string_view rmgr_name(uint8_t id);

enum class Fork : uint8_t { Main = 0, Fsm = 1, Vm = 2, Init = 3 };
inline constexpr uint8_t kLastFork = 3;
std::string_view fork_name(Fork fork);  // "main", "fsm", "vm", "init"

inline constexpr Oid kDefaultTablespace = 1663;  // pg_default
inline constexpr Oid kGlobalTablespace = 1664;   // pg_global
inline constexpr Oid kTemplate1Db = 1;
inline constexpr Oid kTemplate0Db = 4;  // fixed since 15
inline constexpr Oid kPostgresDb = 5;   // fixed since 15
inline constexpr Oid kFirstNormalOid = 16384;
inline constexpr Oid kFirstGenbkiOid = 10000;

inline constexpr Xid kInvalidXid = 0;
inline constexpr Xid kBootstrapXid = 1;
inline constexpr Xid kFrozenXid = 2;
inline constexpr Xid kFirstNormalXid = 3;

constexpr uint64_t align8(uint64_t n) {
  return (n + 7) & ~uint64_t{7};
}

}  // namespace argon::pg
