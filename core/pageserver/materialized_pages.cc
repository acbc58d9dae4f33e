#include "core/pageserver/materialized_pages.h"

namespace argon::pageserver {

MaterializedPages::MaterializedPages(size_t capacity, size_t many, Metrics& metrics)
    : capacity_(capacity),
      many_(many),
      hits_(metrics.counter("pageserver_materialized_cache_hits_total",
                            "Page reads that began with a page that an earlier read had made")),
      hits_direct_(metrics.counter("pageserver_materialized_cache_hits_direct_total",
                                   "Of these, to which nothing was to be added")) {}

std::shared_ptr<MaterializedPages::Page> MaterializedPages::find(uint64_t owner, const Key& key, Lsn lsn) {
  auto at = places_.find({owner, key});
  if (at == places_.end() || at->second->second->since > lsn) return nullptr;
  entries_.splice(entries_.begin(), entries_, at->second);
  hits_.add();
  if (lsn <= at->second->second->until) hits_direct_.add();
  return at->second->second;
}

void MaterializedPages::insert(uint64_t owner, const Key& key, Page page) {
  Place place{owner, key};
  if (auto at = places_.find(place); at != places_.end()) {
    if (at->second->second->until >= page.until) return;
    at->second->second = std::make_shared<Page>(std::move(page));
    entries_.splice(entries_.begin(), entries_, at->second);
    return;
  }
  if (capacity_ == 0) return;
  if (entries_.size() >= capacity_) {
    places_.erase(entries_.back().first);
    entries_.pop_back();
  }
  entries_.emplace_front(place, std::make_shared<Page>(std::move(page)));
  places_.emplace(place, entries_.begin());
}

}  // namespace argon::pageserver
