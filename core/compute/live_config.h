// LiveConfig: an endpoint's configuration, of which some may change while the endpoint runs: where the
// pageserver is, settings of the server, suspend_after, who the safekeepers are. All else is what it was at
// the start.

#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/compute/config.h"
#include "core/compute/data_directory.h"
#include "core/compute/postgres_server.h"
#include "core/env/env.h"
#include "core/fiber/wait_list.h"

namespace argon::compute {

// The configuration as it is written down now.
using ReadConfig = std::function<Result<ComputeConfig>(Task&)>;

class LiveConfig {
 public:
  LiveConfig(Logger log, ComputeConfig config, ReadConfig read)
      : log_(std::move(log)), config_(std::move(config)), read_(std::move(read)) {}

  // Stays where it is; what may change does.
  const ComputeConfig& now() const { return config_; }

  // Reads the configuration anew and waits until the server, if one runs, was told. Errors: those of reading
  // it (then nothing changes); Invalid (the server refuses a setting, and goes on with what it had for that
  // one); Io.
  // {"pageserver": ADDRESS, "running": BOOL, "pending_restart": [NAME…] or null where the server did not say}
  Result<nlohmann::json> reload(Task& task);

  // The members that are decided now, in now() from here on. Errors: those of reading the configuration.
  Status refresh_members(Task& task);

  // To be called before a data directory is made for the next server: what is reloaded from then on is news
  // to it.
  void begin_life() { told_ = version_; }
  // Tells the server what is reloaded, until cancelled.
  Status keep_told(Task& task, Env& env, PostgresServer& server, const DataDirectory& directory);

 private:
  void take_members(const ComputeConfig& fresh);
  Status tell(Task& task, Env& env, PostgresServer& server, const DataDirectory& directory);

  Logger log_;
  ComputeConfig config_;
  ReadConfig read_;
  uint64_t version_ = 1;  // raised by each reload
  uint64_t told_ = 0;     // of which the server was told
  bool running_ = false;
  Status outcome_;  // of the last time it was told
  std::optional<std::vector<std::string>> pending_restart_;
  WaitList changed_;
};

}  // namespace argon::compute
