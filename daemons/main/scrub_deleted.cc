// Scrub of what was deleted: which timelines and tenants are marked so, and what is left of them.

#include <fmt/format.h>

#include "core/env/io.h"
#include "core/objstore/keys.h"
#include "core/pageserver/deletion.h"
#include "core/safekeeper/tombstone.h"
#include "daemons/main/scrub.h"

namespace argon::cli {
namespace {

// Files below the path that have another name; the first of them, and how many there are.
struct Left {
  std::string first;
  size_t files = 0;
};
Status note_left(Task& task, Disk& disk, const std::string& path, std::string_view besides, Left& left) {
  auto entries = disk.list(task, path);
  if (entries.is(Code::Cancelled)) return entries.error();
  if (!entries.ok()) return {};  // what goes meanwhile is not left
  for (const DirEntry& entry : *entries) {
    std::string below = join_path(path, entry.name);
    if (entry.is_directory)
      TRY(note_left(task, disk, below, besides, left));
    else if (!entry.name.starts_with(besides) && left.files++ == 0)
      left.first = below;
  }
  return {};
}

Result<Left> left_below(Task& task, Disk& disk, const std::string& path, std::string_view besides) {
  Left left;
  TRY(note_left(task, disk, path, besides, left));
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

Status check_safekeeper(Task& task, Disk& disk, const std::string& data, const safekeeper::Tombstone& what,
                        ScrubReport& report) {
  std::string folder = below(data, what, "/");
  bool told = disk.stat(task, join_path(folder, safekeeper::kTombstoneName)).ok();
  TRY_ASSIGN(Left left, left_below(task, disk, folder, safekeeper::kTombstoneName));
  report_left(left, what,
              told ? "the safekeeper removes them when it runs"
                   : "this safekeeper has not heard of it; run the deletion again",
              report);
  return {};
}

}  // namespace

Result<Deleted> read_marks(Task& task, const StoreFolder& store) {
  Deleted deleted;
  Disk& disk = store.disk;
  std::string root = store.objects + "/tenants";
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

Status scrub_leftovers(Task& task, Disk& disk, const Config& config, const StoreFolder& store,
                       const Deleted& deleted, ScrubReport& report) {
  report.part("what was deleted");
  const char* by_pageserver = "the pageserver removes them when it runs";
  const char* by_safekeepers = "safekeepers remove them when they have heard of it; run the deletion again";
  for (const safekeeper::Tombstone& what : deleted) {
    auto check = [&](Disk& of, const std::string& path, std::string_view besides, const char* how) -> Status {
      TRY_ASSIGN(Left left, left_below(task, of, path, besides));
      report_left(left, what, how, report);
      return {};
    };
    // The mark stays; those of a tenant's timelines go with it, but are no harm.
    std::string objects = below(store.objects + "/tenants", what, "/timelines/");
    TRY(check(store.disk, objects, "deleted-", by_pageserver));
    TRY(check(store.disk, below(store.objects + "/wal", what, "/"), "/", by_safekeepers));
    for (const PageserverNode& node : config.pageservers()) {
      std::string local = config.pageserver_dir(node.id) + "/data/tenants";
      TRY(check(disk, below(local, what, "/timelines/"), "/", by_pageserver));
    }
    for (const SafekeeperNode& node : config.safekeepers)
      TRY(check_safekeeper(task, disk, config.safekeeper_dir(node.id) + "/data", what, report));
  }
  return {};
}

}  // namespace argon::cli
