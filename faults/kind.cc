#include "faults/kind.h"

#include "core/base/check.h"

namespace argon::faults {
namespace {

using enum Family;
constexpr auto kNode = Scope::Node;
constexpr auto kLink = Scope::Link;

constexpr KindInfo kTable[] = {
    {Kind::LatencyTail, "latency-tail", Network, Scope::World, true, "one delivery in `value`",
     "some deliveries take up to a thousand times as long"},
    {Kind::ShortReads, "short-reads", Network, Scope::World, true, "one read in `value`",
     "a read from a stream returns fewer bytes than are there"},
    {Kind::ShortWrites, "short-writes", Network, Scope::World, true, "one write in `value`",
     "a write to a stream takes fewer bytes than there is room for"},
    {Kind::BufferPressure, "buffer-pressure", Network, Scope::World, true, "bytes a connection holds",
     "connections have tiny buffers, so that writers wait for readers"},
    {Kind::Reset, "reset", Network, kNode, false, "", "every connection of the node is reset"},
    {Kind::Refuse, "refuse", Network, kNode, true, "", "the node refuses connections"},
    {Kind::ConnectHang, "connect-hang", Network, kNode, true, "", "connects to the node get no answer"},
    {Kind::OneWayPartition, "one-way-partition", Partition, kLink, true, "",
     "nothing arrives in this direction; connections may be found dead afterwards"},
    {Kind::GroupPartition, "group-partition", Partition, Scope::World, true, "bit mask of nodes on one side",
     "nothing passes between two groups of nodes; connections may be found dead afterwards"},
    {Kind::BridgePartition, "bridge-partition", Partition, kNode, true, "bit mask of nodes on one side",
     "two groups of nodes see nothing of each other, and this node sees both"},
    {Kind::IsolatedNode, "isolated-node", Partition, kNode, true, "",
     "nothing passes between the node and all others"},
    {Kind::Clog, "clog", Partition, kLink, true, "", "everything in this direction stalls and arrives later"},
    {Kind::SlowLink, "slow-link", Network, kLink, true, "factor", "latency in this direction is multiplied"},
    {Kind::FarLink, "far-link", Network, kLink, true, "milliseconds",
     "latency in this direction is so much more"},
    {Kind::NarrowLink, "narrow-link", Network, kLink, true, "bytes a second",
     "no more than that passes in this direction, on each connection"},
    {Kind::NameLookupFailure, "name-lookup-failure", Network, kNode, true, "",
     "the node cannot look up other nodes' names"},
    {Kind::GhostConnection, "ghost-connection", Network, kNode, true, "one connect in `value`",
     "a connect to the node arrives there twice; one of the two is closed without a byte"},
    {Kind::OneSidedReset, "one-sided-reset", Network, kNode, false, "",
     "connections of the node are reset at its peers; it learns that when it sends, or much later"},
    {Kind::HalfOpen, "half-open", Network, kNode, true, "",
     "when the node loses power its peers are not told: they learn it when they send, or much later"},
    {Kind::UnsyncedDataLost, "unsynced-data-lost", DiskLoss, kNode, true, "",
     "power loss takes the bytes of files that were not synced"},
    {Kind::TornSectors, "torn-sectors", DiskLoss, kNode, true, "bytes of a sector, 512 to 4096",
     "power loss takes some unsynced sectors and leaves others"},
    {Kind::UnsyncedNamesLost, "unsynced-names-lost", DiskLoss, kNode, true, "",
     "power loss undoes creates, renames and unlinks of directories that were not synced"},
    {Kind::DroppedPagesLinger, "dropped-pages-linger", DiskLoss, kNode, true, "",
     "what a failed sync has dropped is still read by later processes, until the cache forgets it"},
    {Kind::ReadError, "read-error", DiskError, kNode, true, "one read in `value`",
     "reading a file fails with EIO"},
    {Kind::WriteError, "write-error", DiskError, kNode, true, "one write in `value`",
     "writing a file fails with EIO"},
    {Kind::SyncFailure, "sync-failure", DiskError, kNode, true, "one fdatasync in `value`",
     "fdatasync fails with EIO once and has dropped the dirty pages: a second one proves nothing"},
    {Kind::NoSpace, "no-space", DiskError, kNode, true, "", "nothing more can be written: ENOSPC"},
    {Kind::SlowDisk, "slow-disk", DiskError, kNode, true, "factor", "every disk operation takes longer"},
    {Kind::DiskLost, "disk-lost", DiskChange, kNode, true, "",
     "the node loses power and its disk, and is started at the end on an empty one", Hits::Cache},
    {Kind::OldDiskImage, "old-disk-image", DiskChange, kNode, true, "",
     "at the end the node loses power and its disk is as it was at the beginning", Hits::Cache},
    {Kind::BitRot, "bit-rot", DiskChange, kNode, false, "",
     "one bit changes in a file at rest, where the scenario allows it", Hits::Cache},
    {Kind::PowerLoss, "power-loss", Process, kNode, true, "",
     "the node loses power at this moment and is started again at the end"},
    {Kind::Blackout, "blackout", Process, Scope::World, true, "bit mask of nodes",
     "these nodes lose power at this moment, together, and are started again at the end"},
    {Kind::CrashLoop, "crash-loop", Process, kNode, true, "milliseconds of life",
     "the node loses power again and again, shortly after each start"},
    {Kind::ProcessKill, "process-kill", Process, kNode, true, "",
     "the process dies at this moment, its operating system does not; it is started again at the end"},
    {Kind::KillLoop, "kill-loop", Process, kNode, true, "milliseconds of life",
     "the process is killed again and again, shortly after each start"},
    {Kind::OutOfMemory, "out-of-memory", Process, kNode, true, "runs of its tasks",
     "the process is killed when it has run so much more, and started again at the end"},
    {Kind::GracefulRestart, "graceful-restart", Process, kNode, true, "",
     "the node is asked to stop, in order, and is started again at the end"},
    {Kind::Stall, "stall", Process, kNode, true, "",
     "the node does not run at all, while time and its kernel's buffers go on"},
    {Kind::SlowNode, "slow-node", Process, kNode, true, "microseconds",
     "each run of a task keeps the node's processor for so long"},
    {Kind::WallClockOffset, "wall-clock-offset", Clock, kNode, true, "milliseconds, signed",
     "the node's wall clock is wrong"},
    {Kind::WallClockStep, "wall-clock-step", Clock, kNode, false, "milliseconds, signed",
     "the node's wall clock jumps, and stays so"},
    {Kind::WallClockDrift, "wall-clock-drift", Clock, kNode, true, "parts in a million, signed",
     "the node's wall clock is too fast or too slow; what it gained or lost stays"},
    {Kind::WallClockFrozen, "wall-clock-frozen", Clock, kNode, true, "",
     "the node's wall clock stands still"},
    {Kind::LateTimers, "late-timers", Clock, kNode, true, "milliseconds at most",
     "the node's timers fire late"},
    {Kind::ScheduleFifo, "schedule-fifo", Schedule, Scope::World, true, "",
     "tasks run in the order in which they became ready"},
    {Kind::SchedulePct, "schedule-pct", Schedule, Scope::World, true, "depth, 2 to 5",
     "tasks run by drawn priorities, which change at depth - 1 drawn points (PCT)"},
    {Kind::StoreError, "store-error", ObjectStore, Scope::World, true, "one request in `value`",
     "the object store answers with an error and has done nothing"},
    {Kind::StoreLostAnswer, "store-lost-answer", ObjectStore, Scope::World, true, "one change in `value`",
     "the object store has done it, but the answer is lost"},
    {Kind::StoreLate, "store-late", ObjectStore, Scope::World, true, "one change in `value`",
     "the client gives up, and the object store does it later"},
    {Kind::StoreSlow, "store-slow", ObjectStore, Scope::World, true, "factor", "requests take longer"},
    {Kind::StoreHang, "store-hang", ObjectStore, Scope::World, true, "one request in `value`",
     "a request hangs for up to half a minute, then fails undone"},
    {Kind::StoreOutage, "store-outage", ObjectStore, Scope::World, true, "", "no request is carried out"},
    {Kind::StoreThrottle, "store-throttle", ObjectStore, Scope::World, true, "requests a second",
     "more than that are refused: slow down"},
    {Kind::StoreReadError, "store-read-error", ObjectStore, Scope::World, true, "one read in `value`",
     "the answer breaks off before the object's end"},
    {Kind::StoreUnreachable, "store-unreachable", ObjectStore, kNode, true, "",
     "the node's requests do not reach the object store"},
};
static_assert(std::size(kTable) == kKinds);

}  // namespace

std::span<const KindInfo> all_kinds() {
  return kTable;
}

const KindInfo& info(Kind kind) {
  const KindInfo& found = kTable[static_cast<size_t>(kind)];
  CHECK(found.kind == kind, "the table of fault kinds is out of order");
  return found;
}

std::optional<Kind> parse_kind(std::string_view name) {
  for (const KindInfo& k : kTable)
    if (k.name == name) return k.kind;
  return std::nullopt;
}

std::string_view to_string(Kind kind) {
  return info(kind).name;
}

std::string_view to_string(Family family) {
  static constexpr std::string_view kNames[kFamilies] = {"network",    "partition",   "disk-loss",
                                                         "disk-error", "disk-change", "process",
                                                         "clock",      "schedule",    "object-store"};
  return kNames[static_cast<size_t>(family)];
}

std::string_view to_string(Scope scope) {
  static constexpr std::string_view kNames[] = {"world", "node", "link"};
  return kNames[static_cast<size_t>(scope)];
}

uint64_t Counters::total() const {
  uint64_t sum = 0;
  for (uint64_t n : counts_) sum += n;
  return sum;
}

}  // namespace argon::faults
