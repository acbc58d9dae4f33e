#include "scenarios/oracle_same_wal.h"

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/objstore/keys.h"
#include "core/pg/wal_page.h"
#include "scenarios/oracle_safekeeper_disk.h"

namespace argon::scenarios {
namespace {

constexpr size_t kPiece = 1 << 20;  // a run's memory is small

// Of a whole segment in the object store, which is where one that is not on the disk must be.
Bytes read_stored(const Cluster& cluster, const Line& line, Lsn from, size_t n) {
  const sim::Blob* there = cluster.wal_backup().find(objstore::wal_prefix(line.id) +
                                                     pg::segment_file_name(pg::segment_number(from)));
  size_t offset = pg::segment_offset(from);
  return there == nullptr || there->size() < offset + n ? Bytes() : there->read(offset, n);
}

// A hash of the bytes of [from, to) in the safekeeper's segments, and of those that it removed; nothing where
// one is missing or short.
std::optional<Hash128> hash_of_wal(const Cluster& cluster, const Line& line, const SafekeeperDisk& disk,
                                   Lsn from, Lsn to) {
  Hash128 hash;
  while (from < to) {
    size_t n = std::min({static_cast<size_t>(to - from), kPiece,
                         static_cast<size_t>(pg::kWalSegmentSize - pg::segment_offset(from))});
    Bytes piece = disk.wal(from, from + n);
    if (piece.empty()) piece = read_stored(cluster, line, from, n);
    if (piece.size() != n) return {};
    Writer(piece).le(hash.low).le(hash.high);
    hash = hash128(piece);
    from += n;
  }
  return hash;
}

void check_line(Cluster& cluster, const Line& line) {
  Lsn from = line.branch_point;
  Lsn to = line.reference->last_acknowledged();
  if (to <= from) return;
  std::map<Hash128, size_t> copies;
  size_t most = 0;
  for (sim::Machine* machine : cluster.safekeepers()) {
    auto hash = hash_of_wal(cluster, line, {*machine, NodeId(0), line.id, &cluster.wal_backup()}, from, to);
    if (hash) most = std::max(most, ++copies[*hash]);
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
