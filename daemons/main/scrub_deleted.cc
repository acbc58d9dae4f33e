// Scrub of what was deleted: which timelines and tenants are marked so, and what is left of them.

#include <fmt/format.h>

#include <filesystem>

#include "core/objstore/keys.h"
#include "core/pageserver/deletion.h"
#include "core/safekeeper/tombstone.h"
#include "daemons/main/scrub.h"

namespace argon::cli {
namespace {

namespace fs = std::filesystem;

// Files below the path that have another name; the first of them, and how many there are.
struct Left {
  std::string first;
  size_t files = 0;
};
Left left_below(const std::string& path, std::string_view besides) {
  Left left;
  std::error_code ignored;  // what goes meanwhile is not left
  for (fs::recursive_directory_iterator at(path, ignored), end; at != end; at.increment(ignored)) {
    if (!at->is_regular_file(ignored) || at->path().filename().string().starts_with(besides)) continue;
    if (left.files++ == 0 || at->path().string() < left.first) left.first = at->path().string();
  }
  return left;
}

void report_left(const Left& left, const safekeeper::Tombstone& what, const std::string& how,
                 ScrubReport& report) {
  if (left.files == 0) return;
  std::optional<TenantTimelineId> id;
  if (what.timeline) id = {what.tenant, *what.timeline};
  report.finding(left.first, id,
                 {Error(Code::AlreadyExists,
                        fmt::format("{} was deleted; {} files of it are left: {}",
                                    what.timeline ? "the timeline" : to_string(what), left.files, how)),
                  {},
                  {}});
}

std::string below(const std::string& root, const safekeeper::Tombstone& what, const char* between) {
  std::string path = root + "/" + to_string(what.tenant);
  return what.timeline ? path + between + to_string(*what.timeline) : path;
}

void check_safekeeper(const std::string& data, const safekeeper::Tombstone& what, ScrubReport& report) {
  std::string folder = below(data, what, "/");
  std::error_code ignored;
  bool told = fs::exists(folder + "/" + std::string(safekeeper::kTombstoneName), ignored);
  report_left(left_below(folder, safekeeper::kTombstoneName), what,
              told ? "the safekeeper removes them when it runs"
                   : "this safekeeper has not heard of it; run the deletion again",
              report);
}

}  // namespace

Result<Deleted> read_marks(Task& task, Disk& disk, const std::string& store) {
  Deleted deleted;
  std::string root = store + "/objects/tenants";
  auto tenants = disk.list(task, root);
  if (tenants.is(Code::NotFound)) return deleted;
  TRY(tenants);
  TRY_ASSIGN(auto folders, timelines_below(task, disk, root, "timelines/"));
  for (const DirEntry& entry : *tenants) {
    auto id = parse_tenant_id(entry.name);
    if (!entry.is_directory || !id.ok()) continue;
    pageserver::RemoteTenant tenant;
    TRY_ASSIGN(std::vector<DirEntry> files, disk.list(task, root + "/" + entry.name));
    for (const DirEntry& file : files) {
      if (pageserver::note_mark(tenant, file.name)) continue;
      auto claim = objstore::split_generation(file.name);
      if (claim && claim->first == "generation") tenant.newest = std::max(tenant.newest, claim->second);
    }
    for (const auto& [timeline, mark] : tenant.timeline_marks) {
      auto folder = folders.find({*id, timeline});
      Result<std::vector<DirEntry>> objects = std::vector<DirEntry>();
      if (folder != folders.end()) objects = disk.list(task, folder->second);
      if (!objects.ok() && !objects.is(Code::NotFound)) return objects.error();
      for (const DirEntry& object : objects.ok() ? *objects : std::vector<DirEntry>())
        if (object.name.starts_with("index-"))
          tenant.newest_index[timeline] = std::max(tenant.newest_index[timeline], "/" + object.name);
      if (tenant.is_deleted(timeline)) deleted.insert({*id, timeline});
    }
    if (tenant.is_deleted()) deleted.insert({*id, {}});
  }
  return deleted;
}

bool is_deleted(const Deleted& deleted, const TenantTimelineId& id) {
  return deleted.contains({id.tenant, id.timeline}) || deleted.contains({id.tenant, {}});
}

void scrub_leftovers(const Config& config, const Deleted& deleted, ScrubReport& report) {
  report.part("what was deleted");
  std::string objects = config.object_store_dir() + "/objects";
  const char* by_pageserver = "the pageserver removes them when it runs";
  for (const safekeeper::Tombstone& what : deleted) {
    // The mark stays; those of a tenant's timelines go with it, but are no harm.
    report_left(left_below(below(objects + "/tenants", what, "/timelines/"), "deleted-"), what, by_pageserver,
                report);
    report_left(left_below(below(objects + "/wal", what, "/"), "/"), what,
                "safekeepers remove them when they have heard of it; run the deletion again", report);
    report_left(left_below(below(config.pageserver_dir() + "/data/tenants", what, "/timelines/"), "/"), what,
                by_pageserver, report);
    for (const SafekeeperNode& node : config.safekeepers)
      check_safekeeper(config.safekeeper_dir(node.id) + "/data", what, report);
  }
}

}  // namespace argon::cli
