// What `argon init` writes into argon.toml.

#include <fmt/format.h>

#include "daemons/main/config.h"

namespace argon::cli {

std::string pageserver_text(const PageserverNode& node) {
  return fmt::format(R"(
[[pageservers]]
# A further pageserver, with the bounds of [pageserver]: its number in the cluster. Tenants come to it by `argon tenant migrate`,
# warm copies of them by `argon tenant secondary`.
id = {}
listen_pg = "{}"
listen_http = "{}"
)",
                     node.id, to_string(node.listen_pg), to_string(node.listen_http));
}

std::string safekeeper_text(const SafekeeperNode& node) {
  return fmt::format(R"(
[[safekeepers]]
# Its number in the cluster. New timelines have all safekeepers listed here as members; commits need a majority.
id = {}
# WAL service (frames and PostgreSQL's replication protocol).
listen_pg = "{}"
# Management, /v1/status and /metrics.
listen_http = "{}"
# A timeline that nobody has used for so many seconds gives up its WAL on this disk, where all of it is in the object store,
# and gets it back when it is used; 0 means never.
evict_after_s = {}
)",
                     node.id, to_string(node.listen_pg), to_string(node.listen_http), node.evict_after);
}

namespace {

std::string object_store_text(const Config& config) {
  if (!config.s3)
    return fmt::format(
        R"(# A folder. For a bucket of an S3-compatible store, s3_endpoint and its like take the place of this line.
path = "{}"
)",
        config.object_store);
  return fmt::format(
      R"(# A bucket of an S3-compatible store: where it is (https://HOST[:PORT], or http://), its name, and what all keys begin with.
s3_endpoint = "{}"
s3_bucket = "{}"
s3_prefix = "{}"
s3_region = "{}"
# Empty: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN) in the environment of daemons and commands.
s3_access_key = "{}"
s3_secret_key = "{}"
# Certificates of the authorities (PEM) that may vouch for an https:// endpoint.
s3_ca_file = "{}"
# Rely on If-None-Match. A store that ignores it is refused, unless this is false: then never run two pageservers at once.
s3_conditional_put = {}
)",
      config.s3->endpoint, config.s3->bucket, config.s3->prefix, config.s3->region, config.s3->access_key,
      config.s3->secret_key, config.s3->ca_file, config.s3->conditional_put);
}

}  // namespace

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
# Safekeepers decode WAL, once for all its readers, and send what is to be stored;
interpreted_wal = {}
# compressed.
compressed_wal = {}
# Values in layers are stored compressed (LZ4), where that makes them shorter by an eighth.
compressed_layers = {}
)",
      config.postgres_bin, config.postgres_user, to_string(config.log_level), to_string(config.broker_listen),
      to_string(config.broker_http), config.pageserver_id, to_string(config.pageserver_pg),
      to_string(config.pageserver_http), config.pageserver_layer_bytes_max, config.pageserver_layer_in_use,
      config.pageserver_disk_free_min, config.pageserver_interpreted_wal, config.pageserver_compressed_wal,
      config.pageserver_compressed_layers);
  for (const PageserverNode& node : config.more_pageservers) text += pageserver_text(node);
  for (const SafekeeperNode& node : config.safekeepers) text += safekeeper_text(node);
  text += fmt::format(R"(
[object_store]
# What the cluster can be rebuilt from lies here.
{}
[proxy]
# One address for all endpoints: clients name theirs before the database, as main/postgres, or by options=endpoint=main,
# or with TLS by the host name, as main.example.org. Endpoints that sleep are started. Without this section there is no
# proxy.
listen = "{}"
# /v1/status and /metrics.
listen_http = "{}"
# TLS for clients: PEM files, the certificate with its chain, the key without a passphrase. Read again when they change.
# One for tests: openssl req -x509 -newkey rsa:2048 -noenc -days 365 -subj /CN=localhost
#   -addext subjectAltName=DNS:localhost,DNS:*.db.test -keyout proxy.key -out proxy.crt
# tls_cert = "proxy.crt"
# tls_key = "proxy.key"
# Whether clients that do not encrypt are refused.
# tls_required = false

[endpoints]
# The address servers listen on. Connections are trusted: keep it on loopback.
listen_host = "{}"
# The first port given to an endpoint; further ones get the next free ports, and keep them.
first_port = {}
# Further lines of postgresql.conf for every endpoint, such as "shared_buffers = 256MB".
settings = []
)",
                      object_store_text(config), to_string(config.proxy_listen), to_string(config.proxy_http),
                      config.endpoint_host, config.endpoint_first_port);
  return text;
}

}  // namespace argon::cli
