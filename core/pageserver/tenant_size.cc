#include "core/pageserver/tenant_size.h"

#include <algorithm>

namespace argon::pageserver {
namespace {

using TimelinePtr = std::shared_ptr<Timeline>;

struct Wanted {
  std::string_view kind;
  bool needed = false;
};

// Whose own history has it.
TimelineId owner_of(const Timeline* timeline, Lsn lsn) {
  while (timeline->ancestor() && lsn <= timeline->branch_point()) timeline = timeline->ancestor().get();
  return timeline->id().timeline;
}

size_t depth_of(const Timeline& timeline) {
  return timeline.ancestor() ? 1 + depth_of(*timeline.ancestor()) : 0;
}

class Points {
 public:
  explicit Points(const std::map<TimelineId, TimelinePtr>& timelines) {
    for (const auto& [id, timeline] : timelines) timelines_.push_back(timeline);
    auto place = [](const TimelinePtr& one) { return std::pair(depth_of(*one), one->id().timeline); };
    std::ranges::sort(timelines_, {}, place);
    for (const TimelinePtr& timeline : timelines_) want_of(*timeline);
    for (const TimelinePtr& timeline : timelines_) add(timeline);
  }

  const std::vector<TimelinePtr>& owners() const { return owners_; }
  TenantSize take() { return std::move(out_); }

 private:
  void want(const Timeline& timeline, Lsn lsn, std::string_view kind, bool needed) {
    Wanted& wanted = wanted_[owner_of(&timeline, lsn)][lsn];
    if (!wanted.needed) wanted.kind = kind;
    wanted.needed = wanted.needed || needed;
  }

  void want_of(Timeline& timeline) {
    Lsn cutoff = timeline.store().gc_cutoff();
    Lsn begin = timeline.ancestor() ? timeline.branch_point() : timeline.store().start_lsn();
    if (timeline.ancestor())
      want(*timeline.ancestor(), begin, "branch", false);
    else if (cutoff <= begin)
      want(timeline, begin, "begin", false);
    if (cutoff > begin) want(timeline, cutoff, "cutoff", true);
    for (Lsn lsn : timeline.leased()) want(timeline, lsn, "lease", true);
    want(timeline, timeline.last_record(), "end", true);
  }

  void add(const TimelinePtr& timeline) {
    std::optional<size_t> before;
    if (timeline->ancestor()) {
      Lsn at = timeline->branch_point();
      before = index_.at({owner_of(timeline->ancestor().get(), at), at});
    }
    TimelineId id = timeline->id().timeline;
    for (const auto& [lsn, wanted] : wanted_[id]) {
      bool window = before && lsn > timeline->store().gc_cutoff();
      out_.places.push_back({id, lsn, wanted.kind});
      out_.points.push_back({before, lsn.value, 0, wanted.needed, window});
      owners_.push_back(timeline);
      before = out_.points.size() - 1;
      index_[{id, lsn}] = *before;
    }
  }

  std::vector<TimelinePtr> timelines_;  // ancestors first
  std::map<TimelineId, std::map<Lsn, Wanted>> wanted_;
  std::map<std::pair<TimelineId, Lsn>, size_t> index_;
  std::vector<TimelinePtr> owners_;
  TenantSize out_;
};

}  // namespace

Result<uint64_t> logical_size(Task& task, Timeline& timeline, Lsn lsn) {
  TRY_ASSIGN(LsnHolds::Hold at, timeline.hold(lsn));
  TRY_ASSIGN(Catalog::Sizes sizes, timeline.catalog().relations(task, relation_sizes(), at.lsn()));
  uint64_t bytes = 0;
  for (const auto& [rel, blocks] : sizes) bytes += uint64_t{blocks} * pg::kBlockSize;
  return bytes;
}

Result<TenantSize> TenantSizes::size_of(Task& task, const TenantId& id) {
  TRY_ASSIGN(const Tenants::Tenant* tenant, tenants_.find(id));
  Points points(tenant->timelines);
  TenantSize result = points.take();
  Known before = known_[id];
  Known now;
  for (size_t i = 0; i < result.points.size(); i++) {
    if (result.points[i].window) continue;
    std::pair key(result.places[i].timeline, result.places[i].lsn);
    auto known = before.find(key);
    if (known != before.end()) {
      now.insert(*known);
    } else {
      TRY_ASSIGN(now[key], logical_size(task, *points.owners()[i], key.second));
    }
    result.points[i].logical_size = now[key];
  }
  known_[id] = std::move(now);
  result.size = synthetic_size(result.points);
  return result;
}

}  // namespace argon::pageserver
