#include "core/pageserver/secondary.h"

#include <algorithm>
#include <tuple>

#include "core/env/io.h"
#include "core/env/points.h"
#include "core/pageserver/heatmap.h"

namespace argon::pageserver {

namespace {

constexpr Duration kLookForTenants = Duration::milliseconds(500);
constexpr uint64_t kHeatmapBytesMax = 256u << 20;

}  // namespace

Secondaries::Secondaries(Services& services, std::string folder)
    : services_(services),
      folder_(std::move(folder)),
      heatmaps_(services.metrics.counter("pageserver_secondary_download_heatmap",
                                         "Heatmaps read by secondary locations")),
      layers_(services.metrics.counter("pageserver_secondary_download_layer",
                                       "Layers fetched by secondary locations")) {}

std::string Secondaries::folder_of(const TenantTimelineId& id) const {
  return folder_ + "/tenants/" + to_string(id.tenant) + "/timelines/" + to_string(id.timeline);
}

void Secondaries::add(const TenantId& tenant) {
  auto [copy, made] = copies_.try_emplace(tenant, nullptr);
  if (!made) return;
  copy->second = std::make_shared<Copy>();
  copy->second->tenant = tenant;
  copy->second->due = services_.env.now();
  added_.notify_all();
}

Status Secondaries::remove(Task& task, const TenantId& tenant) {
  auto found = copies_.find(tenant);
  if (found == copies_.end()) return {};
  std::shared_ptr<Copy> copy = found->second;
  if (copy->round != nullptr) {
    services_.env.probe("pageserver.secondary-interrupted"_probe);
    copy->round->cancel();
  }
  Lock lock;
  TRY(lock.acquire(task, copy->busy));
  copies_.erase(tenant);
  return {};
}

// ---- A round

Status Secondaries::download(Task& task, const TenantId& tenant) {
  auto found = copies_.find(tenant);
  if (found == copies_.end())
    return Error(Code::NotFound, "tenant " + to_string(tenant) + " has no secondary location here");
  std::shared_ptr<Copy> copy = found->second;
  Lock lock;
  TRY(lock.acquire(task, copy->busy));
  if (!copies_.contains(tenant) || copies_.at(tenant) != copy)
    return Error(Code::NotFound, "tenant " + to_string(tenant) + " has no secondary location here any more");
  Scope scope(task);
  copy->round = &scope;
  Status done;
  scope.spawn("secondary", [&](Task& t) -> Status {
    done = round(t, *copy);
    return {};
  });
  Status joined = scope.join(task);
  copy->round = nullptr;
  copy->due = services_.env.now() + (done.ok() ? copy->period : options_.retry_delay);
  return joined.ok() ? done : joined;
}

Status Secondaries::round(Task& task, Copy& copy) {
  copy.period = options_.period;
  copy.tidying = true;
  Status tidy = copy.listed ? Status() : list(task, copy);
  if (tidy.ok()) tidy = read_heatmap(task, copy);
  if (tidy.ok()) tidy = remove_unwanted(task, copy);
  copy.tidying = false;
  TRY(tidy);
  return fetch_missing(task, copy);
}

Status Secondaries::list(Task& task, Copy& copy) {
  copy.here.clear();
  std::string folder = folder_ + "/tenants/" + to_string(copy.tenant) + "/timelines";
  auto entries = services_.env.disk().list(task, folder);
  if (!entries.ok() && !entries.is(Code::NotFound)) return entries.error();
  if (entries.ok())
    for (const DirEntry& entry : *entries)
      if (auto timeline = parse_timeline_id(entry.name); timeline.ok())
        TRY(list_timeline(task, copy, *timeline));
  copy.listed = true;
  return {};
}

// What is no layer is of a fetch that did not end.
Status Secondaries::list_timeline(Task& task, Copy& copy, const TimelineId& timeline) {
  Disk& disk = services_.env.disk();
  std::string folder = folder_of({copy.tenant, timeline});
  TRY_ASSIGN(std::vector<DirEntry> files, disk.list(task, folder));
  for (const DirEntry& file : files) {
    std::string path = join_path(folder, file.name);
    auto name = parse_layer_name(file.name);
    if (!name.ok()) {
      TRY(disk.unlink(task, path));
      continue;
    }
    TRY_ASSIGN(auto info, disk.stat(task, path));
    copy.here[timeline][*name] = {info.size, 0};
  }
  return {};
}

Status Secondaries::read_heatmap(Task& task, Copy& copy) {
  std::string key = heatmap_key(copy.tenant);
  auto bytes = services_.objects.get(task, key);
  if (bytes.is(Code::NotFound)) {
    TRY_ASSIGN(RemoteTenant listed, list_tenant(task, services_.objects, copy.tenant));
    copy.deleted = listed.is_deleted();
  }
  if (!bytes.ok()) return bytes.error().with("read " + key);
  if (bytes->size() > kHeatmapBytesMax) return Error(Code::Corrupt, key + " is too large");
  auto heatmap = parse_heatmap(as_text(*bytes));
  if (!heatmap.ok()) return heatmap.error().with("read " + key);
  heatmaps_.add();
  // One that a former owner put late.
  if (heatmap->generation < copy.generation) return {};
  copy.generation = heatmap->generation;
  if (heatmap->upload_period > Duration()) copy.period = heatmap->upload_period;
  copy.wanted.clear();
  for (const auto& [timeline, layers] : heatmap->timelines)
    for (const Heatmap::Layer& layer : layers)
      copy.wanted[timeline][layer.name] = {layer.size, layer.access_time};
  return {};
}

Status Secondaries::remove_unwanted(Task& task, Copy& copy) {
  Disk& disk = services_.env.disk();
  for (auto at = copy.here.begin(); at != copy.here.end();) {
    auto& [timeline, files] = *at;
    std::string folder = folder_of({copy.tenant, timeline});
    auto wanted = copy.wanted.find(timeline);
    for (auto file = files.begin(); file != files.end();) {
      bool keep = false;
      if (wanted != copy.wanted.end()) {
        auto as = wanted->second.find(file->first);
        keep = as != wanted->second.end() && as->second.size == file->second.size;
        if (keep) file->second.access_time = as->second.access_time;
      }
      if (keep) {
        ++file;
        continue;
      }
      Status gone = disk.unlink(task, join_path(folder, to_string(file->first)));
      if (!gone.ok() && !gone.is(Code::NotFound)) return gone.error().with("remove a layer of " + folder);
      services_.env.probe("pageserver.secondary-layer-removed"_probe);
      file = files.erase(file);
    }
    if (!files.empty() || wanted != copy.wanted.end()) {
      ++at;
      continue;
    }
    TRY(remove_tree(task, disk, folder));
    at = copy.here.erase(at);
  }
  return {};
}

Status Secondaries::fetch_missing(Task& task, Copy& copy) {
  struct Missing {
    TimelineId timeline;
    LayerName name;
    File file;
  };
  std::vector<Missing> missing;
  for (const auto& [timeline, layers] : copy.wanted)
    for (const auto& [name, file] : layers)
      if (!copy.here.contains(timeline) || !copy.here.at(timeline).contains(name))
        missing.push_back({timeline, name, file});
  std::ranges::sort(missing, {}, [](const Missing& one) {
    return std::tuple(-one.file.access_time, one.timeline, one.name);
  });
  for (const Missing& one : missing) {
    if (has_room_) {
      TRY_ASSIGN(bool room, has_room_(task, one.file.size));
      if (!room) {
        services_.env.probe("pageserver.secondary-has-no-room"_probe);
        return {};
      }
    }
    TRY_ASSIGN(bool fetched, fetch(task, copy, one.timeline, one.name));
    if (!fetched || options_.bytes_per_second == 0) continue;
    uint64_t bytes = std::min<uint64_t>(one.file.size, 1u << 30);
    TRY(task.sleep(Duration::seconds(1) * static_cast<int64_t>(bytes) /
                   static_cast<int64_t>(options_.bytes_per_second)));
  }
  return {};
}

// False: it is not in the object store any more.
Result<bool> Secondaries::fetch(Task& task, Copy& copy, const TimelineId& timeline, const LayerName& name) {
  TenantTimelineId id{copy.tenant, timeline};
  File file = copy.wanted.at(timeline).at(name);
  std::string folder = folder_of(id);
  TRY(make_dirs(task, services_.env.disk(), folder));
  Status fetched =
      download_layer(task, services_.objects, id, name, file.size, join_path(folder, to_string(name)));
  if (fetched.is(Code::NotFound)) return false;
  TRY(fetched);
  copy.here[timeline][name] = file;
  layers_.add();
  services_.env.probe("pageserver.secondary-layer-fetched"_probe);
  return true;
}

Status Secondaries::run(Task& task, const SecondaryOptions& options) {
  options_ = options;
  while (!task.cancelled()) {
    std::vector<TenantId> due;
    for (const auto& [id, copy] : copies_)
      if (copy->due <= services_.env.now() && !copy->deleted) due.push_back(id);
    for (const TenantId& id : due) {
      Status done = download(task, id);
      if (task.cancelled()) return done;
      if (!done.ok() && !done.is(Code::NotFound) && !done.is(Code::Cancelled))
        Logger(services_.env.log())
            .with("tenant", to_string(id))
            .warn("warm copy, will try again: {}", done.error().to_string());
    }
    TRY(wait_at_most(task, added_, kLookForTenants));
  }
  return {};
}

// ---- What others look at

Result<Secondaries::Progress> Secondaries::progress(const TenantId& tenant) const {
  auto found = copies_.find(tenant);
  if (found == copies_.end())
    return Error(Code::NotFound, "tenant " + to_string(tenant) + " has no secondary location here");
  const Copy& copy = *found->second;
  Progress progress;
  for (const auto& [timeline, layers] : copy.wanted) {
    auto here = copy.here.find(timeline);
    for (const auto& [name, file] : layers) {
      progress.layers_total++;
      progress.bytes_total += file.size;
      if (here == copy.here.end() || !here->second.contains(name)) continue;
      progress.layers_here++;
      progress.bytes_here += file.size;
    }
  }
  return progress;
}

std::vector<Secondaries::Resident> Secondaries::resident() const {
  std::vector<Resident> out;
  for (const auto& [tenant, copy] : copies_)
    for (const auto& [timeline, files] : copy->here)
      for (const auto& [name, file] : files)
        out.push_back({{tenant, timeline}, name, file.size, file.access_time});
  return out;
}

uint64_t Secondaries::resident_bytes() const {
  uint64_t bytes = 0;
  for (const Resident& one : resident()) bytes += one.size;
  return bytes;
}

uint64_t Secondaries::heatmap_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [tenant, copy] : copies_)
    for (const auto& [timeline, layers] : copy->wanted)
      for (const auto& [name, file] : layers) bytes += file.size;
  return bytes;
}

std::vector<TenantId> Secondaries::deleted() const {
  std::vector<TenantId> out;
  for (const auto& [tenant, copy] : copies_)
    if (copy->deleted) out.push_back(tenant);
  return out;
}

// Not under `busy`: a round may take long, and only ever adds what was not there.
Result<bool> Secondaries::evict(Task& task, const Resident& layer) {
  auto found = copies_.find(layer.id.tenant);
  if (found == copies_.end()) return false;
  std::shared_ptr<Copy> copy = found->second;
  auto files = copy->here.find(layer.id.timeline);
  if (copy->tidying || files == copy->here.end() || files->second.erase(layer.name) == 0) return false;
  Status gone = services_.env.disk().unlink(task, join_path(folder_of(layer.id), to_string(layer.name)));
  if (gone.ok() || gone.is(Code::NotFound)) return true;
  copy->listed = false;
  return gone.error().with("evict a layer of " + folder_of(layer.id));
}

}  // namespace argon::pageserver
