// Endpoints: a folder each under endpoints/, with endpoint.json, the sidecar's log and pid file, and the
// server's data directory (made anew at each start).

#pragma once

#include <string>
#include <vector>

#include "daemons/argon/context.h"

namespace argon::cli {

struct Endpoint {
  std::string name;
  TenantId tenant;
  TimelineId timeline;
  std::string branch;
  compute::EndpointMode mode = compute::EndpointMode::Primary;
  Lsn static_lsn;
  uint16_t pg_port = 0;
  uint16_t http_port = 0;
  std::vector<std::string> settings;  // lines of postgresql.conf

  std::string folder(const Context& context) const { return context.path("endpoints/" + name); }
  std::string pid_file(const Context& context) const { return folder(context) + "/compute.pid"; }
};

// Code::Invalid unless it is letters, digits, '-', '_' and '.', and starts with a letter or digit.
Status check_endpoint_name(const std::string& name);
// Errors: NotFound (lists the endpoints there are), Corrupt.
Result<Endpoint> load_endpoint(const Context& context, const std::string& name);
Status store_endpoint(const Context& context, const Endpoint& endpoint);
// By name.
Result<std::vector<Endpoint>> list_endpoints(const Context& context);
// How `argon compute` is to run it.
Result<compute::ComputeConfig> compute_config(const Context& context, const Endpoint& endpoint);
Daemon endpoint_daemon(const Context& context, const Endpoint& endpoint);

// pgext's argon.so, beside this program: in a build tree, or an installed prefix.
Result<std::string> find_extension();

}  // namespace argon::cli
