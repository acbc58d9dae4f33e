// The kinds of fault: what can go wrong, as data. The worlds in sim/ make them happen.
//
// A kind has a name (used in plans, in counters, and as `bite.NAME` in the tests), a family (switched
// on and off together when plans are drawn), a scope, and the meaning of its parameters.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace argon::faults {

enum class Kind : uint8_t {
  LatencyTail,
  ShortReads,
  ShortWrites,
  BufferPressure,
  Reset,
  Refuse,
  ConnectHang,
  OneWayPartition,
  GroupPartition,
  BridgePartition,
  IsolatedNode,
  Clog,
  SlowLink,
  FarLink,
  NarrowLink,
  NameLookupFailure,
  GhostConnection,
  OneSidedReset,
  HalfOpen,
  UnsyncedDataLost,
  TornSectors,
  UnsyncedNamesLost,
  DroppedPagesLinger,
  ReadError,
  WriteError,
  SyncFailure,
  NoSpace,
  SlowDisk,
  DiskLost,
  OldDiskImage,
  BitRot,
  PowerLoss,
  Blackout,
  CrashLoop,
  ProcessKill,
  KillLoop,
  OutOfMemory,
  GracefulRestart,
  Stall,
  SlowNode,
  WallClockOffset,
  WallClockStep,
  WallClockDrift,
  WallClockFrozen,
  LateTimers,
  ScheduleFifo,
  SchedulePct,
  StoreError,
  StoreLostAnswer,
  StoreLate,
  StoreSlow,
  StoreHang,
  StoreOutage,
  StoreThrottle,
  StoreReadError,
  StoreUnreachable,
};
constexpr size_t kKinds = static_cast<size_t>(Kind::StoreUnreachable) + 1;

enum class Family : uint8_t {
  Network,
  Partition,
  DiskLoss,
  DiskError,
  DiskChange,
  Process,
  Clock,
  Schedule,
  ObjectStore,
};
constexpr size_t kFamilies = static_cast<size_t>(Family::ObjectStore) + 1;

enum class Scope : uint8_t {
  World,  // no node is named
  Node,   // one node
  Link,   // from one node to another
};

// Which nodes a plan may draw for it.
enum class Hits : uint8_t {
  Any,
  Cache,  // only those whose disk may be lost: everything on it is also elsewhere
};

struct KindInfo {
  Kind kind;
  std::string_view name;
  Family family;
  Scope scope;
  bool lasts;                  // has an end; else it happens at one moment
  std::string_view parameter;  // what `value` means; empty: unused
  std::string_view what;
  Hits hits = Hits::Any;
};

std::span<const KindInfo> all_kinds();
const KindInfo& info(Kind kind);
std::optional<Kind> parse_kind(std::string_view name);
std::string_view to_string(Kind kind);
std::string_view to_string(Family family);
std::string_view to_string(Scope scope);

// How often each kind has made a difference in a run.
class Counters {
 public:
  void add(Kind kind, uint64_t n = 1) { counts_[static_cast<size_t>(kind)] += n; }
  uint64_t operator[](Kind kind) const { return counts_[static_cast<size_t>(kind)]; }
  uint64_t total() const;

 private:
  std::array<uint64_t, kKinds> counts_{};
};

}  // namespace argon::faults
