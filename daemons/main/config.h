// The cluster's one configuration file, argon.toml in the state folder.
//
// Written by `argon init`, with every key explained; edited by the operator; of the commands, only those that
// add and remove safekeepers change it, by a whole section each. Relative paths are relative to the state
// folder. Unknown keys are refused, so that a typing error does not go unnoticed.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/env/log.h"
#include "core/env/network.h"

namespace argon::cli {

struct SafekeeperNode {
  uint64_t id = 0;
  Address listen_pg;
  Address listen_http;
  uint64_t evict_after = 900;  // seconds; 0: never
};

struct PageserverNode {
  uint64_t id = 0;
  Address listen_pg;
  Address listen_http;
};

// A bucket of an S3-compatible store.
struct S3Section {
  std::string endpoint;  // "http[s]://HOST[:PORT]"
  std::string bucket;
  std::string prefix;
  std::string region = "us-east-1";
  std::string access_key;  // empty, both: from the environment
  std::string secret_key;
  std::string ca_file = "/etc/ssl/certs/ca-certificates.crt";  // PEM, as written; of https:// alone
  bool conditional_put = true;
};

struct Config {
  std::string dir;  // the state folder, absolute

  std::string postgres_bin = "/usr/lib/postgresql/15/bin";
  std::string postgres_user = "postgres";  // used only by root
  LogLevel log_level = LogLevel::Info;
  Address broker_listen;
  Address broker_http;
  Address proxy_listen;  // port 0: there is no proxy
  Address proxy_http;
  std::string proxy_tls_cert;  // as written; empty: no TLS
  std::string proxy_tls_key;
  bool proxy_tls_required = false;
  uint64_t pageserver_id = 1;
  Address pageserver_pg;
  Address pageserver_http;
  uint64_t pageserver_layer_bytes_max = 0;       // 0: no bound
  uint64_t pageserver_layer_in_use = 60;         // seconds
  uint64_t pageserver_disk_free_min = 1u << 30;  // bytes
  bool pageserver_interpreted_wal = false;
  bool pageserver_compressed_wal = false;
  bool pageserver_compressed_layers = true;
  std::vector<PageserverNode> more_pageservers;  // beside that one, with its bounds
  std::vector<SafekeeperNode> safekeepers;
  std::string object_store = "object_store";  // a folder, unless there is s3
  std::optional<S3Section> s3;
  std::string endpoint_host = "127.0.0.1";
  uint16_t endpoint_first_port = 55432;
  std::vector<std::string> endpoint_settings;

  std::string path(std::string_view name) const;
  // An absolute path as it is, any other in the state folder.
  std::string resolve(const std::string& path) const;
  std::string config_file() const { return path("argon.toml"); }
  std::string broker_dir() const { return path("broker"); }
  std::string proxy_dir() const { return path("proxy"); }
  // All of them, the one of [pageserver] first.
  std::vector<PageserverNode> pageservers() const;
  // 0: the first. NotFound names those that there are.
  Result<PageserverNode> pageserver(uint64_t id) const;
  std::string pageserver_dir() const { return pageserver_dir(pageserver_id); }
  std::string pageserver_dir(uint64_t id) const { return path("pageserver_" + std::to_string(id)); }
  // What is in it belongs to the user servers run as. The name of the socket is libpq's for this port.
  std::string pageserver_socket_dir(uint64_t id) const { return pageserver_dir(id) + "/socket"; }
  std::string safekeeper_dir(uint64_t id) const { return path("safekeepers/sk" + std::to_string(id)); }
  // Where it serves WAL to processes of this machine; empty where the path is too long for a socket.
  std::string safekeeper_socket(uint64_t id) const;
  std::string endpoint_dir(const std::string& name) const { return path("endpoints/" + name); }
  // REQUIRES: !s3.
  std::string object_store_dir() const;
  // The user servers run as: empty unless we are root.
  std::string server_user() const;
};

// Errors: NotFound (no cluster here: what to do), Invalid (where in the file, what is wrong).
Result<Config> load_config(const std::string& dir);
// The text of argon.toml for these values.
std::string config_text(const Config& config);

// The text of one further pageserver's section.
std::string pageserver_text(const PageserverNode& node);
// The text of one safekeeper's section.
std::string safekeeper_text(const SafekeeperNode& node);
// argon.toml with the section at its end; without it. The rest stays byte for byte.
Status add_safekeeper_section(const Config& config, const SafekeeperNode& node);
Status remove_safekeeper_section(const Config& config, uint64_t id);

// The state folder: --dir, else ARGON_DIR, else ./.argon; absolute.
std::string state_dir(const std::string& option);

}  // namespace argon::cli
