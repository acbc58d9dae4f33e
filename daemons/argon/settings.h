// Settings: argon.toml, the one configuration file of a state folder, documented key by key in itself.
//
// Written by `argon init` with the ports it chose; read by every other command and every daemon. An
// unknown key or a value of the wrong type is an error that names file, key and what is expected.

#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/env/log.h"
#include "core/env/network.h"

namespace argon::cli {

struct BrokerSettings {
  Address listen;
  Address listen_http;
};

struct PageserverSettings {
  uint64_t id = 1;
  Address listen_pg;
  Address listen_http;
  uint64_t checkpoint_distance_mb = 256;
};

struct SafekeeperSettings {
  uint64_t id = 0;
  Address listen_pg;
  Address listen_http;
};

struct PostgresSettings {
  std::string bin_dir;
  std::string user;  // empty: the user who runs argon
};

struct Settings {
  BrokerSettings broker;
  PageserverSettings pageserver;
  std::vector<SafekeeperSettings> safekeepers;
  std::string object_store;  // folder; relative to the state folder
  PostgresSettings postgres;
  uint16_t first_endpoint_port = 55432;
  LogLevel log_level = LogLevel::Info;
};

// The text of a new file.
std::string settings_text(const Settings& settings);
// Errors: NotFound (no state folder: says how to make one), Invalid.
Result<Settings> load_settings(const std::string& path);
// What parses `text`; `path` is for messages.
Result<Settings> parse_settings(const std::string& text, const std::string& path);

}  // namespace argon::cli
