// The `argon` command: options, help, and which function each command is.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "daemons/main/commands.h"
#include "daemons/main/daemons.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace {

using namespace argon;
using namespace argon::cli;

constexpr int kUsage = 2;

// Runs a command as a task of the real world.
template <typename Command>
int run(const Globals& globals, Command command) {
  posix::LogFile log("argon", "", LogLevel::Warn, posix::read_wall_clock);
  posix::PosixOptions options;
  options.disk_threads = 4;
  posix::PosixEnv env(log, options);
  Status status = env.run("argon", [&](Task& task) { return command(task, env); });
  bool printed = print_end(globals, status);
  return status.ok() && printed ? 0 : 1;
}

// A command line that cannot be parsed did not get as far as its options.
bool wants_json(int argc, char** argv) {
  return std::any_of(argv, argv + argc, [](std::string_view word) { return word == "--json"; });
}

struct Commands {
  Globals globals;
  InitOptions init;
  StartOptions start;
  StopOptions stop;
  TenantOptions tenant;
  TenantMoveOptions tenant_move;
  TimelineOptions timeline;
  SafekeeperOptions safekeeper;
  EndpointOptions endpoint;
  DeleteOptions deletion;
  InspectOptions inspect;
  InspectWalOptions inspect_wal;
  InspectPageOptions inspect_page;
  InspectLayersOptions inspect_layers;
  uint64_t safekeeper_id = 0;
  uint64_t pageserver_id = 0;
  std::function<int()> chosen;
};

// A command whose options are `options` and whose function is `function`.
template <typename Function, typename Options>
void on(CLI::App* app, Commands& all, Function function, Options& options) {
  app->callback([&all, &options, function] {
    all.chosen = [&all, &options, function] {
      return run(all.globals,
                 [&](Task& task, Env& env) { return function(task, env, all.globals, options); });
    };
  });
}

template <typename Function>
void on(CLI::App* app, Commands& all, Function function) {
  app->callback([&all, function] {
    all.chosen = [&all, function] {
      return run(all.globals, [&](Task& task, Env& env) { return function(task, env, all.globals); });
    };
  });
}

CLI::App* group(CLI::App& app, const std::string& name, const std::string& what) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->require_subcommand(0, 1);
  return sub;
}

void add_cluster(CLI::App& app, Commands& all) {
  CLI::App* init = app.add_subcommand("init", "Make a new cluster: state folder, configuration, ports");
  init->add_option("--safekeepers", all.init.safekeepers, "How many safekeepers")
      ->check(CLI::Range(1, 9))
      ->capture_default_str();
  init->add_option("--pageservers", all.init.pageservers, "How many pageservers")
      ->check(CLI::Range(1, 9))
      ->capture_default_str();
  init->add_option("--force", all.init.force, "What to do with a state folder that is there")
      ->check(CLI::IsMember({"must-not-exist", "empty-dir-ok", "remove-all-contents"}))
      ->capture_default_str();
  init->add_option("--pg-distrib-dir", all.init.pg_distrib_dir,
                   "PostgreSQL's installation, the folder above its bin (default: Debian's)");
  init->add_option(
          "--first-port", all.init.first_port,
          "Take all ports from here on (default: 50051, 64000, 9898, 5454…, 7676…, 55432…, or the next free "
          "ones). Ports below 32768 are not given to outgoing connections")
      ->check(CLI::Range(1024, 60000));
  init->add_option("--object-store", all.init.object_store,
                   "A folder (relative to the state folder), or s3://BUCKET[/PREFIX] with --s3-endpoint and "
                   "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY in the environment, of later commands too")
      ->capture_default_str();
  init->add_option("--s3-endpoint", all.init.s3_endpoint,
                   "Where the S3-compatible store is: https://HOST[:PORT] or http://HOST[:PORT]");
  init->add_option("--s3-ca-file", all.init.s3_ca_file,
                   "Certificates of the authorities that may vouch for an https:// endpoint (default: this "
                   "system's, of the package ca-certificates)");
  init->add_option("--s3-region", all.init.s3_region, "Its region (default: us-east-1)");
  init->add_flag("--s3-no-conditional-put", all.init.no_conditional_put,
                 "Take a store that ignores If-None-Match: then never run two pageservers at once");
  on(init, all, cli::init, all.init);

  CLI::App* start = app.add_subcommand(
      "start", "Start broker, pageserver, safekeepers and proxy; endpoints stay as they are");
  start->add_option("-t,--start-timeout", all.start.timeout, "How long to wait for each")
      ->capture_default_str();
  on(start, all, cli::start, all.start);

  CLI::App* stop = app.add_subcommand("stop", "Stop everything, endpoints too");
  stop->add_option("-m,--mode", all.stop.mode, "fast: in order; immediate: as if the power had failed")
      ->check(CLI::IsMember({"fast", "immediate"}))
      ->capture_default_str();
  on(stop, all, cli::stop, all.stop);

  on(app.add_subcommand("status", "Show what runs; exit status 1 where a part does not"), all, cli::status);
}

void add_tenant(CLI::App& app, Commands& all) {
  CLI::App* tenant = group(app, "tenant", "Tenants");
  CLI::App* create = tenant->add_subcommand("create", "Make a tenant with its first timeline, main");
  create->add_option("--tenant-id", all.tenant.tenant_id, "32 hex digits (default: random)");
  create->add_option("--timeline-id", all.tenant.timeline_id, "Of main: 32 hex digits (default: random)");
  create->add_option("--pg-version", all.tenant.pg_version, "Major version of PostgreSQL")
      ->capture_default_str();
  create->add_flag("--set-default", all.tenant.set_default, "Later commands mean this tenant");
  create->add_flag("--data-checksums", all.tenant.data_checksums,
                   "Pages of main carry checksums, as of initdb -k");
  on(create, all, tenant_create, all.tenant);
  on(tenant->add_subcommand("list", "List tenants"), all, tenant_list);
  CLI::App* set_default = tenant->add_subcommand("set-default", "Later commands mean this tenant");
  set_default->add_option("--tenant-id", all.tenant.tenant_id, "32 hex digits")->required();
  on(set_default, all, tenant_set_default, all.tenant);
  CLI::App* config = tenant->add_subcommand("config", "Show or change a tenant's configuration");
  config->add_option("--tenant-id", all.tenant.tenant_id, "32 hex digits (default: the default tenant)");
  config->add_option(
      "--redo-extensions", all.tenant.redo_extensions,
      "Libraries that redo WAL records of their own resource managers, as shared_preload_libraries "
      "has them, separated by commas ('': none)");
  config->add_option(
      "--pitr-interval", all.tenant.pitr_interval,
      "How far back history can be read and branched off, as 7d or 1h30m (usually 7d; 0s: as far as "
      "--gc-horizon says)");
  config->add_option("--gc-horizon", all.tenant.gc_horizon,
                     "Bytes of WAL that history goes back at least (usually 67108864)");
  config->add_option("--gc-period", all.tenant.gc_period,
                     "How often older history is removed (usually 1h; 0s: only by `argon timeline gc`)");
  config->add_option("--lsn-lease-length", all.tenant.lsn_lease_length,
                     "How long a static endpoint keeps its history after it was last heard of (usually 10m)");
  config->add_option("--heatmap-period", all.tenant.heatmap_period,
                     "How often the list of layers that warm copies fetch is brought up to date (usually 0s: "
                     "never)");
  on(config, all, tenant_config, all.tenant);
}

void add_tenant_moves(CLI::App& app, Commands& all) {
  CLI::App* tenant = app.get_subcommand("tenant");
  auto verb = [&](const char* name, const char* what) {
    CLI::App* sub = tenant->add_subcommand(name, what);
    sub->add_option("--tenant-id", all.tenant_move.tenant_id, "32 hex digits (default: the default tenant)");
    return sub;
  };
  on(verb("locations", "Show which pageservers have a tenant, and as what"), all, tenant_locations,
     all.tenant_move);
  auto to = [&](CLI::App* sub) {
    sub->add_option("--to", all.tenant_move.to, "A pageserver's number")->required();
    sub->add_option("-t,--timeout", all.tenant_move.timeout, "How long to wait until the copy is warm")
        ->capture_default_str();
  };
  CLI::App* secondary = verb("secondary", "Keep a warm copy of a tenant on another pageserver");
  to(secondary);
  secondary->add_flag("--remove", all.tenant_move.remove, "Give the copy up");
  on(secondary, all, tenant_secondary, all.tenant_move);
  CLI::App* migrate = verb("migrate", "Move a tenant to another pageserver, while its endpoints go on");
  to(migrate);
  migrate->add_flag("--detach", all.tenant_move.detach, "Keep no warm copy where it was");
  migrate->add_flag("--force", all.tenant_move.force, "Take it over where its pageserver does not answer");
  on(migrate, all, tenant_migrate, all.tenant_move);
}

void add_history(CLI::App& timeline, Commands& all) {
  CLI::App* lsn = timeline.add_subcommand("lsn-by-timestamp", "Show the last commit that a time has");
  lsn->add_option("TIME", all.timeline.timestamp,
                  "As 2026-11-29T04:20:00Z or '2026-11-29 04:20:00+01' (UTC unless it says otherwise)")
      ->required();
  CLI::App* time = timeline.add_subcommand("timestamp-of-lsn", "Show when the last commit up to an LSN was");
  time->add_option("LSN", all.timeline.lsn, "As 0/16F9A00")->required();
  CLI::App* gc =
      timeline.add_subcommand("gc", "Remove history that is older than the tenant's configuration says, now");
  CLI::App* detach = timeline.add_subcommand(
      "detach-ancestor",
      "Make a branch a root: it keeps what it reads from its ancestors, which may be deleted then. Its "
      "endpoints connect again. May be ended and run again");
  CLI::App* archive = timeline.add_subcommand(
      "archive",
      "Keep a timeline in the object store only: it takes no room and no work at the pageserver, and cannot "
      "be "
      "used until it is back. Its endpoints must be stopped, its branches archived before");
  CLI::App* unarchive = timeline.add_subcommand("unarchive", "Bring an archived timeline back");
  for (CLI::App* sub : {lsn, time, gc, detach, archive, unarchive}) {
    sub->add_option("--branch-name", all.timeline.branch_name, "The timeline's name (default: main)");
    sub->add_option("--tenant-id", all.timeline.tenant_id, "32 hex digits (default: the default tenant)");
  }
  on(lsn, all, timeline_lsn_by_timestamp, all.timeline);
  on(time, all, timeline_timestamp_of_lsn, all.timeline);
  on(gc, all, timeline_gc, all.timeline);
  on(detach, all, timeline_detach_ancestor, all.timeline);
  on(archive, all, timeline_archive, all.timeline);
  on(unarchive, all, timeline_unarchive, all.timeline);
}

void add_timeline(CLI::App& app, Commands& all) {
  CLI::App* timeline = group(app, "timeline", "Timelines: the branches of a tenant");
  CLI::App* list = timeline->add_subcommand("list", "Draw the tree of timelines");
  CLI::App* create = timeline->add_subcommand("create", "Make a root timeline, with an empty database");
  CLI::App* branch = timeline->add_subcommand("branch", "Make a branch of a timeline");
  for (CLI::App* sub : {list, create, branch})
    sub->add_option("--tenant-id", all.timeline.tenant_id, "32 hex digits (default: the default tenant)");
  for (CLI::App* sub : {create, branch}) {
    sub->add_option("--branch-name", all.timeline.branch_name, "The new timeline's name")->required();
    sub->add_option("--timeline-id", all.timeline.timeline_id, "32 hex digits (default: random)");
  }
  create->add_option("--pg-version", all.timeline.pg_version, "Major version of PostgreSQL")
      ->capture_default_str();
  create->add_flag("--data-checksums", all.timeline.data_checksums,
                   "Its pages carry checksums, as of initdb -k");
  branch->add_option("--ancestor-branch-name", all.timeline.ancestor_branch_name, "Where it branches off")
      ->capture_default_str();
  branch->add_option("--ancestor-start-lsn", all.timeline.ancestor_start_lsn,
                     "At which position, as 0/16F9A00 (default: the end)");
  branch
      ->add_option(
          "--ancestor-start-timestamp", all.timeline.ancestor_start_timestamp,
          "As it was at that time, as 2026-11-29T04:20:00Z or '2026-11-29 04:20:00+01' (UTC unless it says "
          "otherwise)")
      ->excludes("--ancestor-start-lsn");
  add_history(*timeline, all);
  on(list, all, timeline_list, all.timeline);
  on(create, all, timeline_create, all.timeline);
  on(branch, all, timeline_branch, all.timeline);
  CLI::App* migrate = timeline->add_subcommand(
      "migrate-safekeepers",
      "Move a timeline to other safekeepers, while its endpoints go on. May be ended and run again");
  migrate->add_option("--tenant-id", all.timeline.tenant_id, "32 hex digits (default: the default tenant)");
  migrate->add_option("--branch-name", all.timeline.branch_name, "The timeline's name")->required();
  migrate->add_option("--to", all.timeline.safekeepers, "Numbers of all its safekeepers afterwards, as 1,2,4")
      ->delimiter(',')
      ->required();
  migrate->add_option("-t,--timeout", all.timeline.timeout, "How long to go on")->capture_default_str();
  on(migrate, all, timeline_migrate_safekeepers, all.timeline);
}

void add_safekeepers(CLI::App& app, Commands& all) {
  SafekeeperOptions& options = all.safekeeper;
  CLI::App* group = app.get_subcommand("safekeeper");
  on(group->add_subcommand("list", "List safekeepers"), all, safekeeper_list);
  on(group->add_subcommand("add", "Add a safekeeper to the cluster, and start it"), all, safekeeper_add,
     options);
  CLI::App* replace =
      group->add_subcommand("replace", "Let another one take its place in all timelines, then take it away");
  CLI::App* remove = group->add_subcommand("remove", "Let all timelines go on without it, then take it away");
  replace->add_option("--by", options.by, "By this one, which is there (default: a new one)");
  for (CLI::App* sub : {replace, remove}) {
    sub->add_option("ID", options.id, "Its number")->required();
    sub->add_option("-t,--timeout", options.timeout, "How long to go on with one timeline")
        ->capture_default_str();
  }
  on(replace, all, safekeeper_replace, options);
  on(remove, all, safekeeper_remove, options);
}

void add_endpoint(CLI::App& app, Commands& all) {
  EndpointOptions& options = all.endpoint;
  CLI::App* endpoint = group(app, "endpoint", "Endpoints: PostgreSQL servers on timelines");
  CLI::App* create = endpoint->add_subcommand("create", "Make an endpoint; start runs it");
  CLI::App* start =
      endpoint->add_subcommand("start", "Start an endpoint and wait until it takes connections");
  CLI::App* reconfigure = endpoint->add_subcommand(
      "reconfigure",
      "Change settings of an endpoint, which goes on; without options, take up argon.toml's anew");
  CLI::App* promote = endpoint->add_subcommand(
      "promote", "Make a replica the primary of its branch; the former primary is stopped first");
  CLI::App* stop = endpoint->add_subcommand("stop", "Stop an endpoint");
  CLI::App* list = endpoint->add_subcommand("list", "List endpoints");
  for (CLI::App* sub : {create, start, reconfigure, promote, stop})
    sub->add_option("NAME", options.name, "The endpoint's name")->required();
  for (CLI::App* sub : {create, list})
    sub->add_option("--tenant-id", options.tenant_id, "32 hex digits (default: the default tenant)");
  create->add_option("--branch-name", options.branch_name, "The timeline's name")->capture_default_str();
  create->add_option("--lsn", options.lsn, "Read-only at this position, as 0/16F9A00");
  create->add_option("--mode", options.mode, "primary, static (needs --lsn) or replica")
      ->check(CLI::IsMember({"primary", "static", "replica"}));
  create->add_option("--hot-standby", options.hot_standby, "true: a replica")
      ->check(CLI::IsMember({"true", "false"}));
  create->add_option("--pg-port", options.pg_port, "PostgreSQL's port (default: the next free one)");
  create->add_option("--http-port", options.http_port,
                     "Port of /status and /metrics (default: the next free one)");
  create->add_option(
      "--suspend-after", options.suspend_after,
      "Stop it after so long without activity, as 5m; the proxy starts it again (default: never)");
  reconfigure->add_option("--suspend-after", options.suspend_after,
                          "Stop it after so long without activity, as 5m; 0: never (default: as it is)");
  for (CLI::App* sub : {create, reconfigure})
    sub->add_option("-c,--setting", options.settings, "NAME=VALUE for postgresql.conf; may be repeated")
        ->allow_extra_args(false);
  reconfigure->add_option("--reset", options.reset, "A setting by NAME that it has no more; may be repeated")
      ->allow_extra_args(false);
  for (CLI::App* sub : {create, start})
    sub->add_flag("--allow-multiple", options.allow_multiple,
                  "Do not look for other primaries of the timeline");
  for (CLI::App* sub : {start, promote})
    sub->add_option("-t,--start-timeout", options.timeout, "How long to wait")->capture_default_str();
  promote->add_flag("--swap", options.swap, "The former primary goes on as a replica");
  stop->add_flag("--destroy", options.destroy, "Remove the endpoint afterwards");
  stop->add_option("-m,--mode", options.stop_mode, "fast: in order; immediate: at once")
      ->check(CLI::IsMember({"fast", "immediate"}))
      ->capture_default_str();
  on(create, all, endpoint_create, options);
  on(start, all, endpoint_start, options);
  on(reconfigure, all, endpoint_reconfigure, options);
  on(promote, all, endpoint_promote, options);
  on(stop, all, endpoint_stop, options);
  on(list, all, endpoint_list, options);
}

void add_deletions(CLI::App& app, Commands& all) {
  DeleteOptions& options = all.deletion;
  CLI::App* timeline =
      app.get_subcommand("timeline")
          ->add_subcommand(
              "delete",
              "Delete a timeline, for good. Refused while it has branches. May be ended and run again");
  CLI::App* tenant = app.get_subcommand("tenant")->add_subcommand(
      "delete", "Delete a tenant with all its timelines, for good. May be ended and run again");
  CLI::App* endpoint = app.get_subcommand("endpoint")->add_subcommand("delete", "Remove an endpoint");
  timeline->add_option("--branch-name", options.branch_name, "The timeline's name")->required();
  timeline->add_option("--tenant-id", options.tenant_id, "32 hex digits (default: the default tenant)");
  tenant->add_option("TENANT", options.tenant_id, "32 hex digits")->required();
  endpoint->add_option("NAME", options.endpoint, "The endpoint's name")->required();
  for (CLI::App* sub : {timeline, tenant}) {
    sub->add_flag("--force", options.force,
                  "Stop and remove its endpoints, too; go on where the pageserver has never heard of it");
    sub->add_option("-t,--timeout", options.timeout, "How long to go on")->capture_default_str();
  }
  endpoint->add_flag("--force", options.force, "Stop it first, at once, if it runs");
  on(timeline, all, timeline_delete, options);
  on(tenant, all, tenant_delete, options);
  on(endpoint, all, endpoint_delete, options);
}

void add_inspect_wal(CLI::App& inspect, Commands& all) {
  InspectWalOptions& options = all.inspect_wal;
  CLI::App* wal = inspect.add_subcommand("wal", "Show the records of WAL segments, or what they add up to");
  wal->add_option("SEGMENT", options.files,
                  "Segment files, in order: a server's, a safekeeper's, the object store's")
      ->required();
  wal->add_option("--start", options.start, "From this LSN on, where a record begins");
  wal->add_option("--end", options.end, "Records that begin below this LSN");
  wal->add_option(
      "--relation", options.relation,
      "Only records of this relation: TABLESPACE/DATABASE/RELATION, with _vm or another fork for that alone");
  wal->add_option("--block", options.block, "Only records of a block of this number");
  wal->add_option("--xid", options.xid, "Only records of this transaction");
  wal->add_option("--rmgr", options.rmgr, "Only records of this resource manager, as it is printed");
  wal->add_option("-n,--limit", options.most, "So many records at most")->check(CLI::PositiveNumber);
  wal->add_flag("--stats", options.stats, "Sums by record type and by relation, instead of the records");
  wal->add_option("--relations", options.relations, "So many relations in --stats")->capture_default_str();
  on(wal, all, cli::inspect_wal, options);
}

void add_inspect_page(CLI::App& inspect, Commands& all) {
  InspectPageOptions& options = all.inspect_page;
  CLI::App* page =
      inspect.add_subcommand("page", "Show one page: header, line pointers, tuples, special area");
  page->add_option("PAGES", options.file, "A file of a data directory, such as base/5/1259 or 16384_vm.1");
  page->add_option(
      "--relation", options.relation,
      "Instead of a file, of the pageserver: TABLESPACE/DATABASE/RELATION, with _vm, _fsm or _init "
      "for another fork (`select pg_relation_filepath(...)` shows the last two)");
  page->add_option("--block", options.block, "Its number, from 0 on")->capture_default_str();
  page->add_option("--lsn", options.lsn, "As it was there (default: the last that the pageserver received)");
  page->add_option("--branch-name", options.branch_name, "The timeline's name")->capture_default_str();
  page->add_option("--tenant-id", options.tenant_id, "32 hex digits (default: the default tenant)");
  page->add_flag("--whole", options.whole, "Long values to their end");
  on(page, all, cli::inspect_page, options);
}

void add_inspect_layers(CLI::App& inspect, Commands& all) {
  InspectLayersOptions& options = all.inspect_layers;
  CLI::App* layers = inspect.add_subcommand("layers", "Show the layers of a timeline, and draw them");
  layers->add_option(
      "INDEX", options.file,
      "A timeline's index: the pageserver's file, or an object (default: the pageserver's, of the "
      "branch)");
  layers->add_option("--branch-name", options.branch_name, "The timeline's name")->capture_default_str();
  layers->add_option("--tenant-id", options.tenant_id, "32 hex digits (default: the default tenant)");
  layers->add_option("--svg", options.svg, "Draw them into this file: keys to the right, LSNs upward");
  on(layers, all, cli::inspect_layers, options);
}

void add_inspect(CLI::App& app, Commands& all) {
  CLI::App* inspect = app.add_subcommand("inspect", "Show what a file of the cluster says, and check it");
  inspect->require_subcommand(0, 1);
  inspect->add_option("FILE", all.inspect.file,
                      "safekeeper.control, a layer file, a timeline's index, pg_control");
  add_inspect_wal(*inspect, all);
  add_inspect_page(*inspect, all);
  add_inspect_layers(*inspect, all);
  // Called also where a subcommand was chosen.
  inspect->callback([&all] {
    if (all.inspect.file.empty()) return;
    all.chosen = [&all] {
      return run(all.globals,
                 [&](Task& task, Env& env) { return cli::inspect(task, env, all.globals, all.inspect); });
    };
  });
  on(app.add_subcommand(
         "scrub",
         "Read and check all that the state folder keeps, the cluster running or not; exit status 1 "
         "with findings"),
     all, cli::scrub);
}

void add_daemons(CLI::App& app, Commands& all) {
  auto daemon = [&](const char* name, const char* what, std::function<int()> main) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->group("Daemons (in the foreground; `start` runs them)");
    sub->add_option("--log-file", all.globals.log_file,
                    "Where the log goes (default: standard error); opened anew on SIGHUP");
    sub->callback([&all, main] { all.chosen = main; });
    return sub;
  };
  daemon("broker", "Run the broker", [&all] { return broker_main(all.globals); });
  daemon("pageserver", "Run a pageserver", [&all] {
    return pageserver_main(all.globals, all.pageserver_id);
  })->add_option("--id", all.pageserver_id, "Its number in argon.toml (default: that of [pageserver])");
  daemon("proxy", "Run the proxy, which starts endpoints that sleep",
         [&all] { return proxy_main(all.globals); })
      ->footer(
          "A client names its endpoint, by what comes first: options=endpoint=NAME; the database\n"
          "NAME/DATABASE; with TLS the host name NAME.anything. Where there is one endpoint, it needs none.\n"
          "Addresses and TLS (tls_cert, tls_key, tls_required): section [proxy] of argon.toml.");
  CLI::App* safekeeper =
      daemon("safekeeper", "Run one safekeeper (with --id), or show and change which there are",
             [&all] { return safekeeper_main(all.globals, all.safekeeper_id); });
  safekeeper->require_subcommand(0, 1);
  safekeeper->add_option("--id", all.safekeeper_id, "Run this one: its number in argon.toml");
  // Called also where a subcommand was chosen.
  safekeeper->callback([&all] {
    if (all.safekeeper_id != 0)
      all.chosen = [&all] { return safekeeper_main(all.globals, all.safekeeper_id); };
  });
  daemon("compute", "Run one endpoint: its sidecar and server",
         [&all] { return compute_main(all.globals, all.endpoint.name); })
      ->add_option("--endpoint", all.endpoint.name, "The endpoint's name")
      ->required();
}

}  // namespace

int main(int argc, char** argv) {
  Commands all;
  nlohmann::json answer;
  all.globals.answered = &answer;
  CLI::App app("Argon: serverless PostgreSQL storage. One cluster on this machine, in a state folder.",
               "argon");
  app.set_version_flag("--version", "argon 0.1.0");
  app.set_help_all_flag("--help-all", "The help of all commands");
  app.require_subcommand(0, 1);
  app.fallthrough();
  app.add_option("--dir", all.globals.dir, "The state folder (default: ARGON_DIR, or ./.argon)");
  app.add_flag("--json", all.globals.json,
               "Answer in JSON on standard output; progress goes to standard error");
  add_cluster(app, all);
  add_tenant(app, all);
  add_tenant_moves(app, all);
  add_timeline(app, all);
  add_endpoint(app, all);
  add_deletions(app, all);
  add_inspect(app, all);
  add_daemons(app, all);
  add_safekeepers(app, all);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0 || !wants_json(argc, argv)) return app.exit(error) == 0 ? 0 : kUsage;
    all.globals.json = true;
    print_end(all.globals, Error(Code::Invalid, error.what()));
    return kUsage;
  }
  if (all.chosen) return all.chosen();
  CLI::App* deepest = &app;
  while (!deepest->get_subcommands().empty()) deepest = deepest->get_subcommands().front();
  std::fputs(deepest->help().c_str(), stderr);
  print_end(all.globals, Error(Code::Invalid, "a command is missing"));
  return kUsage;
}
