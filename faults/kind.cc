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
    {Kind::BufferPressure, "buffer-pressure", Network, Scope::World, true, "bytes a new connection holds",
     "connections have tiny buffers, so that writers wait for readers"},
    {Kind::Reset, "reset", Network, kNode, false, "", "every connection of the node is reset"},
    {Kind::Refuse, "refuse", Network, kNode, true, "", "the node refuses connections"},
    {Kind::ConnectHang, "connect-hang", Network, kNode, true, "", "connects to the node get no answer"},
    {Kind::OneWayPartition, "one-way-partition", Partition, kLink, true, "",
     "nothing arrives in this direction; connections may be found dead afterwards"},
    {Kind::GroupPartition, "group-partition", Partition, Scope::World, true, "bit mask of nodes on one side",
     "nothing passes between two groups of nodes; connections may be found dead afterwards"},
    {Kind::Clog, "clog", Partition, kLink, true, "", "everything in this direction stalls and arrives later"},
    {Kind::SlowLink, "slow-link", Network, kLink, true, "factor", "latency in this direction is multiplied"},
    {Kind::HalfOpen, "half-open", Network, kNode, true, "",
     "when the node loses power its peers are not told: they learn it when they send, or much later"},
    {Kind::UnsyncedDataLost, "unsynced-data-lost", DiskLoss, kNode, true, "",
     "power loss takes the bytes of files that were not synced"},
    {Kind::TornSectors, "torn-sectors", DiskLoss, kNode, true, "",
     "power loss takes some unsynced sectors of 512 bytes and leaves others"},
    {Kind::UnsyncedNamesLost, "unsynced-names-lost", DiskLoss, kNode, true, "",
     "power loss undoes creates, renames and unlinks of directories that were not synced"},
    {Kind::ReadError, "read-error", DiskError, kNode, true, "one read in `value`",
     "reading a file fails with EIO"},
    {Kind::WriteError, "write-error", DiskError, kNode, true, "one write in `value`",
     "writing a file fails with EIO"},
    {Kind::SyncFailure, "sync-failure", DiskError, kNode, true, "one fdatasync in `value`",
     "fdatasync fails with EIO once and has dropped the dirty pages: a second one proves nothing"},
    {Kind::NoSpace, "no-space", DiskError, kNode, true, "", "nothing more can be written: ENOSPC"},
    {Kind::SlowDisk, "slow-disk", DiskError, kNode, true, "factor", "every disk operation takes longer"},
    {Kind::PowerLoss, "power-loss", Process, kNode, true, "",
     "the node loses power at this moment and is started again at the end"},
    {Kind::CrashLoop, "crash-loop", Process, kNode, true, "milliseconds of life",
     "the node loses power again and again, shortly after each start"},
    {Kind::GracefulRestart, "graceful-restart", Process, kNode, true, "",
     "the node is asked to stop, in order, and is started again at the end"},
    {Kind::Stall, "stall", Process, kNode, true, "",
     "the node does not run at all, while time and its kernel's buffers go on"},
    {Kind::WallClockOffset, "wall-clock-offset", Clock, kNode, true, "milliseconds, signed",
     "the node's wall clock is wrong"},
    {Kind::WallClockStep, "wall-clock-step", Clock, kNode, false, "milliseconds, signed",
     "the node's wall clock jumps, and stays so"},
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
  static constexpr std::string_view kNames[kFamilies] = {"network",    "partition", "disk-loss",
                                                         "disk-error", "process",   "clock"};
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
