// The commands of `argon`, one function each: options in, text or JSON on standard output.
//
// An error is printed by main as "argon: MESSAGE", exit status 1. All of them suspend.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "daemons/main/session.h"

namespace argon::cli {

struct InitOptions {
  int safekeepers = 3;
  int pageservers = 1;
  std::string force = "must-not-exist";
  std::string pg_distrib_dir;
  int first_port = 0;  // 0: the usual ports
  std::string object_store = "object_store";
  std::string s3_endpoint;
  std::string s3_region;
  std::string s3_ca_file;
  bool no_conditional_put = false;
};
Status init(Task& task, Env& env, const Globals& globals, const InitOptions& options);

struct StartOptions {
  std::string timeout = "30s";
};
Status start(Task& task, Env& env, const Globals& globals, const StartOptions& options);

struct StopOptions {
  std::string mode = "fast";
};
Status stop(Task& task, Env& env, const Globals& globals, const StopOptions& options);
// Ok, or Unavailable where a part of the cluster does not run.
Status status(Task& task, Env& env, const Globals& globals);

struct TenantOptions {
  std::string tenant_id;
  std::string timeline_id;
  std::string pg_version = "15";
  bool set_default = false;
  bool data_checksums = false;
  std::optional<std::string> redo_extensions;  // separated by commas
  std::optional<std::string> pitr_interval;
  std::optional<std::string> gc_period;
  std::optional<std::string> lsn_lease_length;
  std::optional<std::string> heatmap_period;
  std::optional<uint64_t> gc_horizon;
};
Status tenant_create(Task& task, Env& env, const Globals& globals, const TenantOptions& options);
struct TenantMoveOptions {
  std::string tenant_id;
  uint64_t to = 0;              // a pageserver
  bool remove = false;          // the warm copy
  bool detach = false;          // leave nothing where it was
  bool force = false;           // the pageserver it leaves need not answer
  std::string timeout = "60s";  // for the copy to be warm
};
// Where a tenant is (tenant_move.cc), a warm copy of it, and its move there.
Status tenant_locations(Task& task, Env& env, const Globals& globals, const TenantMoveOptions& options);
Status tenant_secondary(Task& task, Env& env, const Globals& globals, const TenantMoveOptions& options);
Status tenant_migrate(Task& task, Env& env, const Globals& globals, const TenantMoveOptions& options);
Status tenant_list(Task& task, Env& env, const Globals& globals);
// Shows a tenant's configuration, or changes it first.
Status tenant_config(Task& task, Env& env, const Globals& globals, const TenantOptions& options);
Status tenant_set_default(Task& task, Env& env, const Globals& globals, const TenantOptions& options);

struct TimelineOptions {
  std::string tenant_id;
  std::string timeline_id;
  std::string branch_name;
  std::string ancestor_branch_name = "main";
  std::string ancestor_start_lsn;
  std::string ancestor_start_timestamp;
  std::string lsn;
  std::string timestamp;
  std::string pg_version = "15";
  bool data_checksums = false;
  std::vector<uint64_t> safekeepers;
  std::string timeout = "10m";
};
Status timeline_list(Task& task, Env& env, const Globals& globals, const TimelineOptions& options);
Status timeline_create(Task& task, Env& env, const Globals& globals, const TimelineOptions& options);
Status timeline_branch(Task& task, Env& env, const Globals& globals, const TimelineOptions& options);
// The last commit up to a time, and the time of the last commit up to an LSN.
Status timeline_lsn_by_timestamp(Task& task, Env& env, const Globals& globals,
                                 const TimelineOptions& options);
Status timeline_timestamp_of_lsn(Task& task, Env& env, const Globals& globals,
                                 const TimelineOptions& options);
// A round of garbage collection at the pageserver. Unavailable says what it waits for.
Status timeline_gc(Task& task, Env& env, const Globals& globals, const TimelineOptions& options);
Status timeline_detach_ancestor(Task& task, Env& env, const Globals& globals, const TimelineOptions& options);
// Stale: an endpoint of it runs.
Status timeline_archive(Task& task, Env& env, const Globals& globals, const TimelineOptions& options);
Status timeline_unarchive(Task& task, Env& env, const Globals& globals, const TimelineOptions& options);

// Moves a timeline to other safekeepers, while its endpoints go on. Started again, it goes on where it was
// ended.
Status timeline_migrate_safekeepers(Task& task, Env& env, const Globals& globals,
                                    const TimelineOptions& options);

struct SafekeeperOptions {
  uint64_t id = 0;
  uint64_t by = 0;  // replace: this one, which is there; 0: a new one
  std::string timeout = "10m";
};
Status safekeeper_list(Task& task, Env& env, const Globals& globals);
// One more section in argon.toml, and its daemon is started. No timeline has it as a member yet.
Status safekeeper_add(Task& task, Env& env, const Globals& globals, const SafekeeperOptions& options);
// All timelines that have it as a member go on with another, or with one less. Then it is stopped, and its
// section goes.
Status safekeeper_replace(Task& task, Env& env, const Globals& globals, const SafekeeperOptions& options);
Status safekeeper_remove(Task& task, Env& env, const Globals& globals, const SafekeeperOptions& options);

struct EndpointOptions {
  std::string name;
  std::string tenant_id;
  std::string branch_name = "main";
  std::string lsn;
  std::string mode;
  std::string hot_standby;
  int pg_port = 0;
  int http_port = 0;
  std::vector<std::string> settings;
  std::vector<std::string> reset;  // names of settings
  bool allow_multiple = false;
  bool destroy = false;
  bool swap = false;
  std::string suspend_after;  // empty: never; of reconfigure: as it is
  std::string stop_mode = "fast";
  std::string timeout = "90s";
};
Status endpoint_create(Task& task, Env& env, const Globals& globals, const EndpointOptions& options);
Status endpoint_start(Task& task, Env& env, const Globals& globals, const EndpointOptions& options);
Status endpoint_reconfigure(Task& task, Env& env, const Globals& globals, const EndpointOptions& options);
Status endpoint_promote(Task& task, Env& env, const Globals& globals, const EndpointOptions& options);
Status endpoint_stop(Task& task, Env& env, const Globals& globals, const EndpointOptions& options);
Status endpoint_list(Task& task, Env& env, const Globals& globals, const EndpointOptions& options);

// Of a timeline, a tenant or an endpoint.
struct DeleteOptions {
  std::string tenant_id;
  std::string branch_name;
  std::string endpoint;
  bool force = false;  // endpoints go too, running or not; also what the pageserver has never heard of
  std::string timeout = "2m";
};
// Refused (nothing is changed) where it has branches, or endpoints without `force`. Ended anywhere and run
// again, it goes on: the name goes last.
Status timeline_delete(Task& task, Env& env, const Globals& globals, const DeleteOptions& options);
// With all its timelines.
Status tenant_delete(Task& task, Env& env, const Globals& globals, const DeleteOptions& options);
Status endpoint_delete(Task& task, Env& env, const Globals& globals, const DeleteOptions& options);

struct InspectOptions {
  std::string file;
};
// Needs no cluster. Corrupt where a checksum is wrong, Unsupported for an unknown format or version.
Status inspect(Task& task, Env& env, const Globals& globals, const InspectOptions& options);

struct InspectWalOptions {
  std::vector<std::string> files;
  std::string start;
  std::string end;
  std::string relation;
  std::optional<uint32_t> block;
  std::optional<uint32_t> xid;
  std::string rmgr;
  uint64_t most = UINT64_MAX;
  bool stats = false;
  size_t relations = 20;
};
// Needs no cluster. Corrupt where WAL ends before the last of the segments, Invalid for files that do not
// follow each other.
Status inspect_wal(Task& task, Env& env, const Globals& globals, const InspectWalOptions& options);

struct InspectPageOptions {
  std::string file;
  std::string relation;
  std::string tenant_id;
  std::string branch_name = "main";
  std::string lsn;
  uint32_t block = 0;
  bool whole = false;
};
// A FILE needs no cluster. NotFound where the file ends before, Corrupt for a page that does not add up,
// which is shown all the same; of a relation, what the pageserver answered.
Status inspect_page(Task& task, Env& env, const Globals& globals, const InspectPageOptions& options);

struct InspectLayersOptions {
  std::string file;
  std::string svg;
  std::string tenant_id;
  std::string branch_name = "main";
};
// A FILE needs no cluster, and the cluster need not run. Corrupt, Unsupported: of the index.
Status inspect_layers(Task& task, Env& env, const Globals& globals, const InspectLayersOptions& options);

// Reads all that the state folder keeps, and checks it. Corrupt where anything was found; a line for each.
Status scrub(Task& task, Env& env, const Globals& globals);

// Parts shared by commands.

// "10s", "2m", "500ms".
Result<Duration> parse_duration(const std::string& text);
// A data directory that initdb made, kept for all root timelines that have, or do not have, data checksums.
// Errors: Unsupported (another server version).
Result<std::string> initdb_template(Task& task, Session& session, bool data_checksums);
// The version of the installed server, such as 150020. Errors: Unsupported unless it is 15.13 or later.
Result<int> check_server_version(Task& task, Env& env, const Config& config);
// A new root timeline from the template, under that name. Unavailable with the reason.
Status create_root_timeline(Task& task, Session& session, const TenantId& tenant, const TimelineId& timeline,
                            const std::string& name, bool data_checksums);
// As proposers and other members know it.
consensus::Member member_of(const SafekeeperNode& node);
// Its safekeepers: as decided (core/safekeeper/migration.h), else all in argon.toml, as generation 1.
Result<consensus::Configuration> members_of(Task& task, Env& env, const Config& config,
                                            const TenantTimelineId& id);
// Makes a new timeline known to the safekeepers, as `details` (the pageserver's) describe it; those that know
// it already keep what they have, and where its members have changed nothing is done. Unavailable unless a
// majority knows it then.
Status create_on_safekeepers(Task& task, Session& session, const TenantTimelineId& id,
                             const nlohmann::json& details);
// A safekeeper's daemon.
Background safekeeper_daemon(const Config& config, const SafekeeperNode& node);
// "running", "stopped" (by its operator, or never started), "suspended" (for lack of activity) or "crashed".
std::string endpoint_status(const Config& config, const Endpoint& endpoint);
Status stop_endpoint(Task& task, Session& session, const Endpoint& endpoint, StopMode mode);
// Starts one that does not run. `allow_multiple`: beside another primary of its timeline.
Status start_endpoint(Task& task, Env& env, Session& session, Endpoint endpoint, bool allow_multiple,
                      Duration timeout);
// The name of a line "NAME = VALUE", as PostgreSQL compares them.
std::string setting_name(std::string_view line);
// Appends settings, each NAME=VALUE, in place of those of the same name. Errors: Invalid.
Status add_settings(Endpoint& endpoint, const std::vector<std::string>& settings);
// Its sidecar reads its configuration anew, its server too, and goes on: what LiveConfig::reload() answers
// (core/compute). Errors: those; of the connection.
Result<nlohmann::json> reload_endpoint(Task& task, const Endpoint& endpoint);
// Invalid where it cannot be an endpoint's name.
Status check_endpoint_name(const std::string& name);
Status hold_back(const Config& config, const Endpoint& endpoint);
// `argon endpoint stop` was its last word: only `argon endpoint start` starts it again.
bool is_held_back(const Config& config, const Endpoint& endpoint);

}  // namespace argon::cli
