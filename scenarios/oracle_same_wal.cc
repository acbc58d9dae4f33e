#include "scenarios/oracle_same_wal.h"

#include "core/pg/wal_page.h"

namespace argon::scenarios {
namespace {

// The bytes of [from, to) in the folder's segments; empty where one is missing or short.
Bytes read_wal(sim::Machine& machine, const std::string& folder, Lsn from, Lsn to) {
  Bytes all(to - from);
  for (Lsn at = from; at < to;) {
    auto file = machine.storage().find(folder + "/" + pg::segment_file_name(pg::segment_number(at)));
    size_t n = std::min<size_t>(to - at, pg::kWalSegmentSize - pg::segment_offset(at));
    if (file == nullptr || file->read(pg::segment_offset(at), ByteSpan(all).subspan(at - from, n)) != n)
      return {};
    at += n;
  }
  return all;
}

void check_line(Cluster& cluster, const Line& line) {
  Lsn from = line.branch_point;
  Lsn to = line.reference->last_acknowledged();
  if (to <= from) return;
  std::map<Hash128, size_t> copies;
  size_t most = 0;
  bool removed = false;
  for (sim::Machine* machine : cluster.safekeepers()) {
    std::string first = cluster.wal_folder(line) + "/" + pg::segment_file_name(pg::segment_number(from));
    removed = removed || machine->storage().find(first) == nullptr;
    Bytes wal = read_wal(*machine, cluster.wal_folder(line), from, to);
    if (!wal.empty()) most = std::max(most, ++copies[hash128(wal)]);
  }
  if (removed || most * 2 > cluster.member_count()) return;
  cluster.run().fail("committed WAL is the same on every node",
                     line.name + ": only " + std::to_string(most) +
                         " safekeepers agree on what was acknowledged, " + to_string(from) + " to " +
                         to_string(to));
}

}  // namespace

void check_same_wal(Cluster& cluster) {
  for (const auto& line : cluster.lines()) check_line(cluster, *line);
}

}  // namespace argon::scenarios
