#include "daemons/main/scrub.h"

#include <fmt/format.h>

#include "core/env/io.h"
#include "core/objstore/keys.h"
#include "core/pg/control_file.h"
#include "daemons/main/commands.h"
#include "daemons/main/object_store.h"
#include "daemons/main/store_disk.h"

namespace argon::cli {

void ScrubReport::finding(const std::string& file, const std::optional<TenantTimelineId>& id,
                          const Fault& fault) {
  nlohmann::json one{{"file", file}, {"what", fault.error.message()}};
  std::string where;
  if (id) {
    one["tenant_id"] = to_string(id->tenant);
    one["timeline_id"] = to_string(id->timeline);
    where = fmt::format("tenant {}, timeline {}, ", to_string(id->tenant), to_string(id->timeline));
  }
  if (fault.lsn) {
    one["lsn"] = to_string(*fault.lsn);
    where += fmt::format("LSN {}, ", to_string(*fault.lsn));
  }
  if (fault.offset) {
    one["offset"] = *fault.offset;
    where += fmt::format("offset {}, ", *fault.offset);
  }
  findings_.push_back(one);
  session_.say(fmt::format("FINDING {}file {}: {}", where, file, fault.error.message()));
}

void ScrubReport::part(std::string name) {
  part_ = std::move(name);
  next_line_ = session_.env().now() + kLineEvery;
}

void ScrubReport::progress() {
  if (session_.env().now() < next_line_) return;
  session_.say(fmt::format("scrub: {}: {}", part_, summary()));
  next_line_ = session_.env().now() + kLineEvery;
}

std::string ScrubReport::summary() const {
  return fmt::format("{} files, {} MB read, {} findings", files_, bytes_ >> 20, findings());
}

nlohmann::json ScrubReport::json() const {
  return {{"files", files_}, {"bytes", bytes_}, {"findings", findings_}};
}

Result<std::map<TenantTimelineId, std::string>> timelines_below(Task& task, Disk& disk,
                                                                const std::string& folder,
                                                                const std::string& between) {
  std::map<TenantTimelineId, std::string> found;
  auto entries_of = [&](const std::string& path) -> Result<std::vector<DirEntry>> {
    auto entries = disk.list(task, path);
    if (entries.is(Code::NotFound)) return std::vector<DirEntry>();
    return entries;
  };
  TRY_ASSIGN(std::vector<DirEntry> tenants, entries_of(folder));
  for (const DirEntry& tenant : tenants) {
    auto tenant_id = parse_tenant_id(tenant.name);
    if (!tenant.is_directory || !tenant_id.ok()) continue;
    std::string path = join_path(folder, tenant.name) + "/" + between;
    TRY_ASSIGN(std::vector<DirEntry> timelines, entries_of(path.substr(0, path.size() - 1)));
    for (const DirEntry& timeline : timelines)
      if (auto id = parse_timeline_id(timeline.name); timeline.is_directory && id.ok())
        found[{*tenant_id, *id}] = path + timeline.name;
  }
  return found;
}

namespace {

// Names whose timelines are not there, endpoints that cannot be read.
Status scrub_names(Task& task, const StoreFolder& store, Session& session, const Deleted& deleted,
                   ScrubReport& report) {
  report.part("names");
  for (const auto& [tenant, entry] : session.state().tenants)
    for (const auto& [name, timeline] : entry.branches) {
      TenantTimelineId id{tenant, timeline};
      if (is_deleted(deleted, id)) {
        Error error(Code::NotFound, "branch '" + name +
                                        "' was deleted, but the command was ended before its end: run "
                                        "`argon timeline delete` or `argon tenant delete` again");
        report.finding(session.config().path("state.json"), id, {error, {}, {}});
        continue;
      }
      std::string folder = store.objects + "/" + objstore::timeline_prefix(id);
      folder.pop_back();
      auto there = store.disk.stat(task, folder);
      if (there.is(Code::Cancelled)) return there.error();
      if (there.ok()) continue;
      Error error(Code::NotFound, "branch '" + name + "' is of a timeline that is not in the object store");
      report.finding(session.config().path("state.json"), id, {error, {}, {}});
    }
  auto endpoints = load_endpoints(session.config());
  if (!endpoints.ok()) report.finding(session.config().path("endpoints"), {}, {endpoints.error(), {}, {}});
  return {};
}

// What initdb made is imported by later timelines.
Status scrub_templates(Task& task, Disk& disk, const Config& config, ScrubReport& report) {
  report.part("initdb");
  TRY_ASSIGN(std::vector<DirEntry> versions, disk.list(task, config.path("initdb")));
  for (const DirEntry& version : versions) {
    std::string folder = config.path("initdb/" + version.name);
    if (!version.is_directory || !disk.stat(task, folder + "/done").ok()) continue;
    std::string path = folder + "/data/global/pg_control";
    auto bytes = read_file(task, disk, path);
    auto control = bytes.ok() ? pg::decode_control_file(*bytes) : Result<pg::ControlFile>(bytes.error());
    if (!control.ok()) report.finding(path, {}, {control.error(), {}, {}});
    report.count_file();
  }
  return {};
}

Status scrub_in(Task& task, Env& env, const Globals& globals, Session& session, const StoreFolder& store) {
  const Config& config = session.config();
  ScrubReport report(session);
  ScrubbedTimelines known;
  TRY_ASSIGN(Deleted deleted, read_marks(task, store));
  TRY(scrub_object_store(task, store, deleted, report, known));
  TRY(scrub_stored_wal(task, store, known, report));
  for (const PageserverNode& node : config.pageservers())
    TRY(scrub_pageserver(task, env.disk(), session, node, store, known, report));
  KeptWals wals;
  for (const SafekeeperNode& node : config.safekeepers) {
    report.part("safekeeper " + std::to_string(node.id));
    TRY(scrub_safekeeper(task, env.disk(), node.id, config.safekeeper_dir(node.id) + "/data", store, known,
                         deleted, report, wals));
  }
  TRY(scrub_leftovers(task, env.disk(), config, store, deleted, report));
  TRY(scrub_wal_chains(task, env.disk(), store, wals, report));
  TRY(scrub_templates(task, env.disk(), config, report));
  TRY(scrub_names(task, store, session, deleted, report));
  session.say("scrub: " + report.summary());
  if (globals.json) globals.answer(report.json());
  if (report.findings() == 0) return {};
  return Error(Code::Corrupt, fmt::format("{} findings", report.findings()));
}

}  // namespace

Status scrub(Task& task, Env& env, const Globals& globals) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  const Config& config = session.config();
  if (!config.s3)
    return scrub_in(task, env, globals, session, {env.disk(), config.object_store_dir() + "/objects"});
  TRY_ASSIGN(std::unique_ptr<objstore::ObjectStore> bucket, open_object_store(task, env, config, "scrub"));
  std::string root = "s3://" + config.s3->bucket + (config.s3->prefix.empty() ? "" : "/" + config.s3->prefix);
  StoreDisk seen(*bucket, root);
  return scrub_in(task, env, globals, session, {seen, root});
}

}  // namespace argon::cli
