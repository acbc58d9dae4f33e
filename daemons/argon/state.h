// State: what `argon` remembers besides its configuration: which tenant is the default, and the names
// of branches. Timelines themselves live in the pageserver. File: state.json, replaced atomically.

#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"

namespace argon::cli {

struct TenantState {
  std::map<std::string, TimelineId> branches;  // by name
};

struct State {
  std::optional<TenantId> default_tenant;
  std::map<TenantId, TenantState> tenants;

  // The name of a timeline, or its id where it has none.
  std::string branch_name(TenantId tenant, TimelineId timeline) const;
};

// A missing file is an empty state.
Result<State> load_state(const std::string& path);
Status store_state(const std::string& path, const State& state);

}  // namespace argon::cli
