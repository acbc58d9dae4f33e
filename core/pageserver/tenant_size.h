// Sizes: of a timeline's data, and of a tenant's history (size_model.h).

#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "core/pageserver/size_model.h"
#include "core/pageserver/tenants.h"

namespace argon::pageserver {

// Bytes of all relations at lsn; the catalog is searched for it. Invalid: not readable there. Suspends.
Result<uint64_t> logical_size(Task& task, Timeline& timeline, Lsn lsn);

struct TenantSize {
  struct Place {
    TimelineId timeline;
    Lsn lsn;
    std::string_view kind;  // begin, branch, lease, cutoff, end
  };
  std::vector<Place> places;  // of each point
  std::vector<HistoryPoint> points;
  SyntheticSize size;
};

class TenantSizes {
 public:
  explicit TenantSizes(Tenants& tenants) : tenants_(tenants) {}

  // Of all timelines but those that are archived; the PITR window begins at the cutoff of the last round of
  // GC. What was read once is remembered for the next call. Suspends. Errors: NotFound; those of reading.
  Result<TenantSize> size_of(Task& task, const TenantId& id);

 private:
  using Known = std::map<std::pair<TimelineId, Lsn>, uint64_t>;

  Tenants& tenants_;
  std::map<TenantId, Known> known_;  // logical sizes that the last call needed
};

}  // namespace argon::pageserver
