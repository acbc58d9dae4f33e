// What the `argon` command itself remembers: state.json (tenants, branch names, the default tenant) and
// one endpoint.json per endpoint. Storage knows only ids; names live here.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/compute/config.h"
#include "daemons/main/config.h"

namespace argon::cli {

struct TenantEntry {
  std::map<std::string, TimelineId> branches;  // by name
  uint64_t pageserver = 0;                     // that serves it; 0: the first
};

struct State {
  std::optional<TenantId> default_tenant;
  std::map<TenantId, TenantEntry> tenants;

  // The tenant asked for, else the default one. Errors: NotFound, Invalid.
  Result<TenantId> tenant(const std::string& option) const;
  // TenantEntry::pageserver; of one that is not known the first.
  uint64_t pageserver_of(const TenantId& tenant) const;
  // Errors: NotFound, with the names that there are.
  Result<TimelineId> branch(const TenantId& tenant, const std::string& name) const;
  // Empty where none has that id.
  std::string branch_name(const TenantId& tenant, const TimelineId& timeline) const;
};

// Invalid unless it is UTF-8: JSON could not hold it.
Status check_utf8(const std::string& text);
Result<State> load_state(const Config& config);
Status save_state(const Config& config, const State& state);

struct Endpoint {
  std::string name;
  TenantTimelineId id;
  std::string branch;
  uint64_t system_id = 0;  // the timeline's, as the pageserver said at the last start; 0: not started yet
  compute::EndpointMode mode = compute::EndpointMode::Primary;
  Lsn static_lsn;
  Address listen;
  Address listen_http;
  std::vector<std::string> settings;
  Duration suspend_after;  // without activity; 0: never
};

// Errors: NotFound, with the names that there are.
Result<Endpoint> load_endpoint(const Config& config, const std::string& name);
Status save_endpoint(const Config& config, const Endpoint& endpoint);
// By name.
Result<std::vector<Endpoint>> load_endpoints(const Config& config);

}  // namespace argon::cli
