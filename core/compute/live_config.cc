#include "core/compute/live_config.h"

#include <fmt/format.h>

namespace argon::compute {

Result<nlohmann::json> LiveConfig::reload(Task& task) {
  TRY_ASSIGN(ComputeConfig fresh, read_(task));
  config_.pageserver = fresh.pageserver;
  config_.pageserver_socket_dir = fresh.pageserver_socket_dir;
  config_.settings = fresh.settings;
  config_.suspend_after = fresh.suspend_after;
  take_members(fresh);
  uint64_t version = ++version_;
  log_.info("configuration read anew; the pageserver is {}", argon::to_string(config_.pageserver));
  changed_.notify_all();
  while (running_ && told_ < version) TRY(changed_.wait(task));
  if (running_) TRY(outcome_);
  nlohmann::json answer{{"pageserver", argon::to_string(config_.pageserver)}, {"running", running_}};
  answer["pending_restart"] = nullptr;
  if (!running_) answer["pending_restart"] = nlohmann::json::array();
  if (running_ && pending_restart_) answer["pending_restart"] = *pending_restart_;
  return answer;
}

Status LiveConfig::refresh_members(Task& task) {
  TRY_ASSIGN(ComputeConfig fresh, read_(task));
  take_members(fresh);
  return {};
}

void LiveConfig::take_members(const ComputeConfig& fresh) {
  if (fresh.safekeepers.generation > config_.safekeepers.generation) config_.safekeepers = fresh.safekeepers;
}

Status LiveConfig::keep_told(Task& task, Env& env, PostgresServer& server, const DataDirectory& directory) {
  struct Running {
    explicit Running(LiveConfig& config) : live(config) { live.running_ = true; }
    ~Running() {
      live.running_ = false;
      live.changed_.notify_all();
    }
    LiveConfig& live;
  } running(*this);
  for (;;) {
    if (told_ < version_) {
      uint64_t version = version_;
      outcome_ = tell(task, env, server, directory);
      if (outcome_.is(Code::Cancelled)) return outcome_;
      if (!outcome_.ok()) log_.error("the new configuration: {}", outcome_.error().to_string());
      told_ = version;
      changed_.notify_all();
    } else {
      TRY(changed_.wait(task));
    }
  }
}

Status LiveConfig::tell(Task& task, Env& env, PostgresServer& server, const DataDirectory& directory) {
  pending_restart_.reset();
  TRY(rewrite_postgresql_conf(task, env, config_, directory));
  TRY(server.reload());
  Result<SettingsInForce> settings = server.settings_in_force(task);
  if (settings.is(Code::Cancelled)) return settings.error();
  if (!settings.ok()) {
    log_.warn("the server does not say what it made of the new configuration: {}",
              settings.error().to_string());
    return {};
  }
  pending_restart_ = settings->pending_restart;
  if (!settings->refused.empty())
    return Error(Code::Invalid, fmt::format("the server refuses {}", fmt::join(settings->refused, "; ")));
  return {};
}

}  // namespace argon::compute
