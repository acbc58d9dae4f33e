// What `argon init` writes into argon.toml.

#include <fmt/format.h>

#include "daemons/main/config.h"

namespace argon::cli {

std::string safekeeper_text(const SafekeeperNode& node) {
  return fmt::format(R"(
[[safekeepers]]
# Its number in the cluster. New timelines have all safekeepers listed here as members; commits need a majority.
id = {}
# WAL service (frames and PostgreSQL's replication protocol).
listen_pg = "{}"
# Management, /v1/status and /metrics.
listen_http = "{}"
)",
                     node.id, to_string(node.listen_pg), to_string(node.listen_http));
}

std::string config_text(const Config& config) {
  std::string text = fmt::format(
      R"(# The configuration of one Argon cluster on this machine. Made by `argon init`; `argon safekeeper` adds
# and removes sections of safekeepers, nothing else changes it.
# Edit it while the cluster is stopped. Relative paths are relative to this file's folder.

# The format of this file.
version = 1

[postgresql]
# Where postgres and initdb are (stock PostgreSQL 15, 15.13 or later).
bin_dir = "{}"
# The user that servers run as when argon is started by root, since PostgreSQL refuses to run as root.
# Of no effect otherwise.
user = "{}"

[log]
# Of all daemons: debug, info, warn or error. Read anew on SIGHUP.
level = "{}"

[broker]
# Where safekeepers and the pageserver meet (frames).
listen = "{}"
# /v1/status and /metrics.
listen_http = "{}"

[pageserver]
# Its number in the cluster.
id = {}
# Page service, base backups (PostgreSQL's protocol).
listen_pg = "{}"
# Management, /v1/status and /metrics.
listen_http = "{}"
# Its disk is a cache of the object store. Layers that were read longest ago leave it (in bytes):
# where they are more than this; 0 means no bound,
layer_bytes_max = {}
# but for those that were read within so many seconds (at least as long as a read waits for its layers);
layer_in_use_s = {}
# where less than this is free.
disk_free_min = {}
)",
      config.postgres_bin, config.postgres_user, to_string(config.log_level), to_string(config.broker_listen),
      to_string(config.broker_http), config.pageserver_id, to_string(config.pageserver_pg),
      to_string(config.pageserver_http), config.pageserver_layer_bytes_max, config.pageserver_layer_in_use,
      config.pageserver_disk_free_min);
  for (const SafekeeperNode& node : config.safekeepers) text += safekeeper_text(node);
  text += fmt::format(R"(
[object_store]
# A folder: what lies here is what the cluster can be rebuilt from.
path = "{}"

[proxy]
# One address for all endpoints: clients name theirs before the database, as main/postgres, or by options=endpoint=main.
# Endpoints that sleep are started. Without this section there is no proxy.
listen = "{}"
# /v1/status and /metrics.
listen_http = "{}"

[endpoints]
# The address servers listen on. Connections are trusted: keep it on loopback.
listen_host = "{}"
# The first port given to an endpoint; further ones get the next free ports, and keep them.
first_port = {}
# Further lines of postgresql.conf for every endpoint, such as "shared_buffers = 256MB".
settings = []
)",
                      config.object_store, to_string(config.proxy_listen), to_string(config.proxy_http),
                      config.endpoint_host, config.endpoint_first_port);
  return text;
}

}  // namespace argon::cli
