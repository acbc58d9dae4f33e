// Record types of PostgreSQL 15: the high nibble of xl_info, per resource manager, for those that
// Argon makes or treats specially. Sources: catalog/pg_control.h, access/heapam_xlog.h,
// access/xact.h, catalog/storage_xlog.h, access/clog.h, access/multixact.h, storage/standbydefs.h.

#pragma once

#include <cstdint>

namespace argon::pg {

namespace xlog {
inline constexpr uint8_t kCheckpointShutdown = 0x00;
inline constexpr uint8_t kCheckpointOnline = 0x10;
inline constexpr uint8_t kNoop = 0x20;
inline constexpr uint8_t kNextOid = 0x30;
inline constexpr uint8_t kSwitch = 0x40;
inline constexpr uint8_t kBackupEnd = 0x50;
inline constexpr uint8_t kParameterChange = 0x60;
inline constexpr uint8_t kRestorePoint = 0x70;
inline constexpr uint8_t kFpwChange = 0x80;
inline constexpr uint8_t kEndOfRecovery = 0x90;
inline constexpr uint8_t kFpiForHint = 0xA0;
inline constexpr uint8_t kFpi = 0xB0;
inline constexpr uint8_t kOverwriteContrecord = 0xD0;
}  // namespace xlog

namespace xact {
inline constexpr uint8_t kTypeMask = 0x70;
inline constexpr uint8_t kHasInfo = 0x80;
inline constexpr uint8_t kCommit = 0x00;
inline constexpr uint8_t kPrepare = 0x10;
inline constexpr uint8_t kAbort = 0x20;
inline constexpr uint8_t kCommitPrepared = 0x30;
inline constexpr uint8_t kAbortPrepared = 0x40;
inline constexpr uint8_t kAssignment = 0x50;
inline constexpr uint8_t kInvalidations = 0x60;
// xinfo of commit and abort records.
inline constexpr uint32_t kInfoDbinfo = 1u << 0;
inline constexpr uint32_t kInfoSubxacts = 1u << 1;
inline constexpr uint32_t kInfoRelfilenodes = 1u << 2;
inline constexpr uint32_t kInfoInvals = 1u << 3;
inline constexpr uint32_t kInfoTwophase = 1u << 4;
inline constexpr uint32_t kInfoOrigin = 1u << 5;
inline constexpr uint32_t kInfoAeLocks = 1u << 6;
inline constexpr uint32_t kInfoGid = 1u << 7;
inline constexpr uint32_t kInfoDroppedStats = 1u << 8;
}  // namespace xact

namespace smgr {
inline constexpr uint8_t kCreate = 0x10;
inline constexpr uint8_t kTruncate = 0x20;
inline constexpr uint32_t kTruncateHeap = 0x0001;
inline constexpr uint32_t kTruncateVm = 0x0002;
inline constexpr uint32_t kTruncateFsm = 0x0004;
}  // namespace smgr

namespace slru {  // clog and commit_ts alike
inline constexpr uint8_t kZeroPage = 0x00;
inline constexpr uint8_t kTruncate = 0x10;
}  // namespace slru

namespace multixact {
inline constexpr uint8_t kZeroOffsetPage = 0x00;
inline constexpr uint8_t kZeroMemberPage = 0x10;
inline constexpr uint8_t kCreateId = 0x20;
inline constexpr uint8_t kTruncateId = 0x30;
}  // namespace multixact

namespace dbase {
inline constexpr uint8_t kCreateFileCopy = 0x00;
inline constexpr uint8_t kCreateWalLog = 0x10;
inline constexpr uint8_t kDrop = 0x20;
}  // namespace dbase

namespace standby {
inline constexpr uint8_t kLock = 0x00;
inline constexpr uint8_t kRunningXacts = 0x10;
inline constexpr uint8_t kInvalidations = 0x20;
}  // namespace standby

namespace heap {
inline constexpr uint8_t kOpMask = 0x70;
inline constexpr uint8_t kInitPage = 0x80;
inline constexpr uint8_t kInsert = 0x00;
inline constexpr uint8_t kDelete = 0x10;
inline constexpr uint8_t kUpdate = 0x20;
inline constexpr uint8_t kTruncate = 0x30;
inline constexpr uint8_t kHotUpdate = 0x40;
inline constexpr uint8_t kConfirm = 0x50;
inline constexpr uint8_t kLock = 0x60;
inline constexpr uint8_t kInplace = 0x70;
}  // namespace heap

namespace heap2 {
inline constexpr uint8_t kRewrite = 0x00;
inline constexpr uint8_t kPrune = 0x10;
inline constexpr uint8_t kVacuum = 0x20;
inline constexpr uint8_t kFreezePage = 0x30;
inline constexpr uint8_t kVisible = 0x40;
inline constexpr uint8_t kMultiInsert = 0x50;
inline constexpr uint8_t kLockUpdated = 0x60;
inline constexpr uint8_t kNewCid = 0x70;
}  // namespace heap2

}  // namespace argon::pg
