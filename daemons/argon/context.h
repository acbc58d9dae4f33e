// Context: what a command of `argon` works with: the state folder, its settings and state, the world.

#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/compute/config.h"
#include "core/env/env.h"
#include "daemons/argon/launch.h"
#include "daemons/argon/settings.h"
#include "daemons/argon/state.h"

namespace argon::cli {

struct Context {
  Task& task;
  Env& env;
  std::string dir;  // of the state, absolute
  bool json = false;
  Settings settings = {};
  State state = {};

  // Reads settings and state. Errors: NotFound with what to do.
  Status load();
  Status save_state();
  std::string path(const std::string& name) const { return dir + "/" + name; }
  // The tenant named by `text`, or the default one. Errors: Invalid, NotFound.
  Result<TenantId> tenant(const std::string& text) const;
  // The timeline that a branch name means. Errors: NotFound (lists the names there are).
  Result<TimelineId> branch(TenantId tenant, const std::string& name) const;

  // Calls on the pageserver's and a safekeeper's management API; an error names the daemon.
  Result<nlohmann::json> pageserver(const std::string& method, const std::string& target,
                                    const nlohmann::json& body = nullptr,
                                    Duration timeout = Duration::seconds(120));
  Result<nlohmann::json> safekeeper(const SafekeeperSettings& safekeeper, const std::string& method,
                                    const std::string& target, const nlohmann::json& body = nullptr);
};

// "tenant X, timeline Y" in the pageserver's API.
std::string timeline_target(TenantId tenant, TimelineId timeline);

// A table for people: columns as wide as their widest cell, two blanks between.
std::string table(const std::vector<std::vector<std::string>>& rows);

// The daemons of the storage, in the order they are started.
std::vector<Daemon> storage_daemons(const Context& context);

}  // namespace argon::cli
