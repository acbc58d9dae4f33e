// TenantConfig: what a tenant's operator decides. Kept in the object store as JSON, with what is not the
// default.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/pageserver/gc.h"

namespace argon::pageserver {

struct TenantConfig {
  // Libraries that redo the records of their resource managers, as shared_preload_libraries has them.
  std::vector<std::string> redo_extensions;
  // Keys pitr_interval, gc_period, lsn_lease_length, heatmap_period ("7d", "1h30m", "10s", "500ms"),
  // gc_horizon (bytes).
  GcSettings gc;
  // Between two heatmaps (heatmap.h). Zero: there are none.
  Duration heatmap_period;

  friend bool operator==(const TenantConfig&, const TenantConfig&) = default;
};

// Whole units from "d" to "ms", each at most once, the larger first; "0s" is none. Invalid shows the text.
std::string duration_text(Duration duration);
Result<Duration> parse_duration_text(std::string_view text);

std::string to_json(const TenantConfig& config);
// Invalid: what is wrong. A key that is not known is refused, so that a typing error does not go unnoticed.
Result<TenantConfig> parse_tenant_config(std::string_view text);

}  // namespace argon::pageserver
