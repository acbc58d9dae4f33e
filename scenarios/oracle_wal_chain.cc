#include "scenarios/oracle_wal_chain.h"

#include "core/base/checksum.h"
#include "core/pg/wal_page.h"

namespace argon::scenarios {
namespace {

using safekeeper::ChainLink;

constexpr uint64_t kPiece = 1 << 20;  // a run's memory is small

// Nothing where it cannot be had from what is on the disk.
std::optional<ChainLink> link_at(const SafekeeperDisk& disk, const safekeeper::WalChain& chain, Lsn lsn) {
  const ChainLink* known = safekeeper::last_link_before(chain, lsn);
  if (known == nullptr) return {};
  ChainLink link = *known;
  while (link.at < lsn) {
    Lsn end = std::min(lsn, pg::segment_start(link.at) + pg::kWalSegmentSize);
    uint32_t crc = 0;
    for (Lsn at = link.at; at < end;) {
      Lsn until = std::min(end, at + kPiece);
      Bytes wal = disk.wal(at, until);
      if (wal.size() < until - at) return {};
      crc = crc32c_extend(crc, wal);
      at = until;
    }
    link = safekeeper::next_link(link, end, crc);
  }
  return link;
}

class Comparison {
 public:
  Status add(const SafekeeperDisk& disk, const ChainLink& link) {
    auto [first, fresh] = seen_.try_emplace(link.at, link.hash, disk.machine.name());
    if (fresh || first->second.first == link.hash) return {};
    return Error(Code::Corrupt, disk.machine.name() + " and " + first->second.second +
                                    " have different WAL up to " + to_string(link.at));
  }

 private:
  std::map<Lsn, std::pair<uint64_t, std::string>> seen_;
};

}  // namespace

Status compare_chains(const std::vector<SafekeeperDisk>& disks) {
  Lsn common = Lsn(UINT64_MAX);
  std::vector<std::pair<const SafekeeperDisk*, safekeeper::WalChain>> chains;
  for (const SafekeeperDisk& disk : disks) {
    auto control = disk.control();
    if (control.is(Code::NotFound)) continue;
    TRY(control);
    if (control->chain.empty()) continue;
    common = std::min(common, control->acceptor.commit);
    chains.emplace_back(&disk, std::move(control->chain));
  }
  Comparison all;
  for (const auto& [disk, chain] : chains) {
    for (const ChainLink& link : chain) TRY(all.add(*disk, link));
    if (auto link = link_at(*disk, chain, common)) TRY(all.add(*disk, *link));
  }
  return {};
}

void check_wal_chains(Cluster& cluster) {
  for (const auto& line : cluster.lines()) {
    std::vector<SafekeeperDisk> disks;
    for (sim::Machine* machine : cluster.safekeepers())
      disks.push_back({*machine, NodeId(0), line->id, &cluster.wal_backup()});
    if (Status same = compare_chains(disks); !same.ok())
      cluster.run().fail("hash chains are the same", line->name + ": " + same.error().message());
  }
}

}  // namespace argon::scenarios
