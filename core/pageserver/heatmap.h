// Heatmap: which layers of a tenant are worth to have on a disk: those that the pageserver that has it
// attached has on its own.
//
// The object "tenants/TENANT/heatmap-v1.json" is put every `heatmap_period` of the tenant's configuration
// where the set has changed; a secondary location (secondary.h) fetches what it lists. It is a hint: the one
// object of a tenant that is overwritten. An old one that is put late costs downloads, or a copy that is less
// warm.
//
//   {"version": 1, "generation": G, "upload_period_ms": P, "timelines": [{"timeline_id": ID, "layers":
//    [{"name": file name, "size": bytes, "access_time": seconds since 1970, 0: not read}]}]}

#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/pageserver/tenants.h"

namespace argon::pageserver {

struct Heatmap {
  struct Layer {
    LayerName name;
    uint64_t size = 0;
    int64_t access_time = 0;
    friend bool operator==(const Layer&, const Layer&) = default;
  };
  Generation generation;  // of who put it
  Duration upload_period;
  std::map<TimelineId, std::vector<Layer>> timelines;

  friend bool operator==(const Heatmap&, const Heatmap&) = default;
};

std::string heatmap_key(const TenantId& tenant);
std::string heatmap_text(const Heatmap& heatmap);
// Corrupt says what is wrong; Unsupported: another version.
Result<Heatmap> parse_heatmap(std::string_view text);

// Puts heatmaps of all tenants that are attached here.
class HeatmapUploader {
 public:
  HeatmapUploader(Services& services, const Tenants& tenants);

  // Now, whatever the period is. Errors: NotFound; Stale: the location is AttachedStale, or another
  // pageserver has the tenant; those of the object store.
  Status upload(Task& task, const TenantId& tenant);
  // As they are due, until the task is cancelled. Errors are logged.
  Status run(Task& task);

 private:
  struct Put {
    MonotonicTime due;
    std::map<TimelineId, std::vector<LayerName>> layers;  // of the last one
  };
  Heatmap heatmap_of(const Tenants::Tenant& tenant) const;
  Status upload_due(Task& task, const TenantId& tenant, Put& put);

  Services& services_;
  const Tenants& tenants_;
  std::map<TenantId, Put> puts_;
  Counter& uploaded_;
  Counter& failed_;
};

}  // namespace argon::pageserver
