#include "scenarios/oracle_same_wal.h"

#include "core/objstore/keys.h"
#include "core/pg/wal_page.h"
#include "scenarios/oracle_safekeeper_disk.h"

namespace argon::scenarios {
namespace {

// A whole segment in the object store, which is where one that is not on the disk must be.
Bytes read_stored(const Cluster& cluster, const Line& line, uint64_t segment) {
  const sim::Blob* there =
      cluster.wal_backup().find(objstore::wal_prefix(line.id) + pg::segment_file_name(segment));
  return there == nullptr ? Bytes() : there->bytes();
}

// The bytes of [from, to) in the safekeeper's segments, and of those that it removed; empty where one is
// missing or short.
Bytes read_wal(const Cluster& cluster, const Line& line, const SafekeeperDisk& disk, Lsn from, Lsn to) {
  Bytes all;
  while (from < to) {
    size_t n = std::min<size_t>(to - from, pg::kWalSegmentSize - pg::segment_offset(from));
    Bytes piece = disk.wal(from, from + n);
    if (piece.empty()) {
      Bytes stored = read_stored(cluster, line, pg::segment_number(from));
      size_t offset = pg::segment_offset(from);
      if (stored.size() >= offset + n)
        piece.assign(stored.begin() + static_cast<ptrdiff_t>(offset),
                     stored.begin() + static_cast<ptrdiff_t>(offset + n));
    }
    if (piece.size() != n) return {};
    all.insert(all.end(), piece.begin(), piece.end());
    from += n;
  }
  return all;
}

void check_line(Cluster& cluster, const Line& line) {
  Lsn from = line.branch_point;
  Lsn to = line.reference->last_acknowledged();
  if (to <= from) return;
  std::map<Hash128, size_t> copies;
  size_t most = 0;
  for (sim::Machine* machine : cluster.safekeepers()) {
    Bytes wal = read_wal(cluster, line, {*machine, NodeId(0), line.id, &cluster.wal_backup()}, from, to);
    if (!wal.empty()) most = std::max(most, ++copies[hash128(wal)]);
  }
  if (most * 2 > cluster.member_count()) return;
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
