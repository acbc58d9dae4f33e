// global/pg_control of PostgreSQL 15: 8192 bytes, of which 296 are used, under a CRC-32C.
//
// Every field is kept, so that decode and encode give the same file. Source: catalog/pg_control.h.

#pragma once

#include <array>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/pg/checkpoint.h"
#include "core/pg/version.h"

namespace argon::pg {

inline constexpr size_t kControlFileSize = 8192;

enum class ClusterState : uint32_t {
  Startup = 0,
  ShutDown = 1,
  ShutDownInRecovery = 2,
  ShuttingDown = 3,
  InCrashRecovery = 4,
  InArchiveRecovery = 5,
  InProduction = 6,
};

enum class WalLevel : uint32_t { Minimal = 0, Replica = 1, Logical = 2 };

// The settings that a hot standby must not fall below; PARAMETER_CHANGE records carry them.
struct ControlSettings {
  WalLevel wal_level = WalLevel::Replica;
  bool wal_log_hints = false;
  uint32_t max_connections = 100;
  uint32_t max_worker_processes = 8;
  uint32_t max_wal_senders = 10;
  uint32_t max_prepared_xacts = 0;
  uint32_t max_locks_per_xact = 64;
  bool track_commit_timestamp = false;

  friend bool operator==(const ControlSettings&, const ControlSettings&) = default;
};

struct ControlFile {
  uint64_t system_id = 0;
  ClusterState state = ClusterState::ShutDown;
  int64_t time = 0;  // seconds since 1970, of the last update
  Lsn checkpoint_lsn;
  Checkpoint checkpoint;
  Lsn unlogged_lsn{1000};
  Lsn min_recovery_point;
  uint32_t min_recovery_tli = 0;
  Lsn backup_start;
  Lsn backup_end;
  bool backup_end_required = false;
  ControlSettings settings;
  uint32_t data_checksum_version = 0;  // 1: pages carry checksums
  std::array<uint8_t, 32> nonce{};

  bool data_checksums() const { return data_checksum_version != 0; }
  friend bool operator==(const ControlFile&, const ControlFile&) = default;
};

// The whole file of 8192 bytes, with its CRC.
Bytes encode_control_file(const ControlFile& control);
// Code::Unsupported: of another version of PostgreSQL, or built with other sizes than Debian's.
// Code::Corrupt: too short, a wrong checksum, an impossible value.
Result<ControlFile> decode_control_file(ByteView file);

}  // namespace argon::pg
