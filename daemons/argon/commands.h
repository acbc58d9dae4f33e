// The commands of `argon`, one function each. Results go to standard output (as JSON with --json),
// progress to standard error; an error is returned and printed by main.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemons/argon/context.h"

namespace argon::cli {

struct InitOptions {
  std::string force = "must-not-exist";  // or empty-dir-ok, remove-all-contents
  unsigned safekeepers = 3;
  std::string pg_distrib_dir;  // empty: Debian's
};
Status init(Context& context, const InitOptions& options);
Status start(Context& context, Duration timeout);
Status stop(Context& context, bool immediate);
Status status(Context& context);

struct TenantCreateOptions {
  std::string tenant_id;
  std::string timeline_id;
  bool set_default = false;
};
Status tenant_create(Context& context, const TenantCreateOptions& options);
Status tenant_list(Context& context);
Status tenant_set_default(Context& context, const std::string& tenant_id);

struct TimelineOptions {
  std::string tenant_id;
  std::string branch_name;
  std::string timeline_id;
  std::string ancestor_branch_name = "main";
  std::string ancestor_start_lsn;
};
Status timeline_create(Context& context, const TimelineOptions& options);
Status timeline_branch(Context& context, const TimelineOptions& options);
Status timeline_list(Context& context, const std::string& tenant_id);

struct EndpointCreateOptions {
  std::string name;
  std::string tenant_id;
  std::string branch_name = "main";
  std::string lsn;
  std::string mode;
  uint16_t pg_port = 0;
  std::vector<std::string> settings;
};
Status endpoint_create(Context& context, const EndpointCreateOptions& options);
Status endpoint_start(Context& context, const std::string& name, Duration timeout);
Status endpoint_stop(Context& context, const std::string& name, bool immediate, bool destroy);
Status endpoint_list(Context& context, const std::string& tenant_id);

// Makes a root timeline from a data directory by initdb, here and on the safekeepers.
Status create_root_timeline(Context& context, TenantId tenant, TimelineId timeline,
                            const std::string& branch);

}  // namespace argon::cli
