// ComputeConfig: what `argon compute` needs to know to run one endpoint. Plain data.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/consensus/configuration.h"
#include "core/env/network.h"

namespace argon::compute {

enum class EndpointMode : uint8_t {
  Primary,  // writes; at most one at a time for a timeline
  Static,   // reads at a fixed LSN
  Replica,  // reads, follows the timeline
};

std::string_view to_string(EndpointMode mode);
Result<EndpointMode> parse_endpoint_mode(std::string_view text);

inline constexpr const char* kSuspendedFile = "suspended";

struct ComputeConfig {
  std::string endpoint;  // its name, for logs
  TenantTimelineId id;
  EndpointMode mode = EndpointMode::Primary;
  Lsn static_lsn;          // Static only
  uint64_t system_id = 0;  // the timeline's; 0: not known, taken from the base backup

  // An existing directory that `postgres_user` can enter. Below it: pgdata/ (made anew at each start, removed
  // by an orderly stop), file_cache/ (kept), postgres.log, argon.socket, compute.state (the last term won;
  // kept), and `suspended`, where it ended for lack of activity.
  std::string directory;
  std::string postgres_bin;   // directory of postgres, initdb
  std::string postgres_user;  // runs the server; empty: the user of this process
  std::string extension;      // path of pgext's argon.so, copied into the data directory
  Address listen;             // of PostgreSQL
  Address http_listen;        // of /status and /metrics

  Address pageserver;                             // page service
  std::string pageserver_socket_dir;              // where it has a Unix socket, tried first; may be empty
  consensus::Configuration safekeepers;           // Primary only
  std::vector<std::string> settings;              // further lines of postgresql.conf, after Argon's own
  Duration suspend_after;                         // without activity (idle_watch.h); 0: never
  Duration stop_timeout = Duration::seconds(30);  // of an orderly stop; then the server is stopped hard
};

}  // namespace argon::compute
