#include "core/pageserver/lsn_holds.h"

#include <set>

namespace argon::pageserver {

std::vector<Lsn> LsnHolds::held(MonotonicTime now, Lsn below) {
  std::erase_if(leases_, [&](const auto& lease) { return lease.second <= now; });
  std::set<Lsn> lsns;
  for (const auto& [lsn, holders] : holds_)
    if (lsn < below) lsns.insert(lsn);
  for (const auto& [lsn, until] : leases_)
    if (lsn < below) lsns.insert(lsn);
  return {lsns.begin(), lsns.end()};
}

}  // namespace argon::pageserver
