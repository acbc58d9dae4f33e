#include "core/pageserver/lsn_holds.h"

#include <set>

namespace argon::pageserver {

std::vector<Lsn> LsnHolds::leased(MonotonicTime now) {
  std::erase_if(leases_, [&](const auto& lease) { return lease.second <= now; });
  std::vector<Lsn> lsns;
  for (const auto& [lsn, until] : leases_) lsns.push_back(lsn);
  return lsns;
}

std::vector<Lsn> LsnHolds::held(MonotonicTime now, Lsn below) {
  std::set<Lsn> lsns;
  for (const auto& [lsn, holders] : holds_)
    if (lsn < below) lsns.insert(lsn);
  for (Lsn lsn : leased(now))
    if (lsn < below) lsns.insert(lsn);
  return {lsns.begin(), lsns.end()};
}

}  // namespace argon::pageserver
