// Scrub of layers and indexes, in the object store and on the pageserver's disk.

#include <fmt/format.h>

#include <set>

#include "core/env/io.h"
#include "daemons/main/scrub.h"

namespace argon::cli {
namespace {

using namespace pageserver;

constexpr uint64_t kMaxFile = 4ull << 30;
// Looks at a timeline whose index is replaced meanwhile.
constexpr int kLayerLooks = 5;

struct Found {
  std::string file;
  Fault fault;
};

Fault fault_of(const Error& error) {
  return {error, {}, {}};
}

std::optional<Fault> differs_from_name(const LayerHeader& header, const LayerName& name,
                                       const TenantTimelineId& id) {
  auto wrong = [](std::string what) { return Fault{Error(Code::Corrupt, std::move(what)), 0}; };
  if (header.owner != id) return wrong("the header says that it is of timeline " + to_string(header.owner));
  bool same = header.kind == name.kind && header.keys == name.keys && header.begin == name.begin &&
              header.end == name.end && header.file_id == name.file_id;
  if (!same) return wrong("the header tells of another layer than the file's name");
  return {};
}

// One layer's file, held to what an index says of it. Digest of a whole one.
Result<uint64_t> check_file(Task& task, Disk& disk, const std::string& path,
                            const TimelineIndex::Layer& layer, const TenantTimelineId& id,
                            ScrubReport& report, std::optional<Fault>& fault) {
  TRY_ASSIGN(Bytes bytes, read_file(task, disk, path, kMaxFile));
  report.count_file();
  report.count(bytes.size());
  report.progress();
  CheckedLayer checked = check_layer(bytes);
  fault = checked.fault;
  if (!fault && bytes.size() != layer.size)
    fault =
        Fault{Error(Code::Corrupt, fmt::format("{} bytes where the index says {}", bytes.size(), layer.size)),
              bytes.size()};
  if (!fault) fault = differs_from_name(checked.header, layer.name, id);
  if (fault) fault->lsn = layer.name.begin;
  return checked.digest;
}

// ---- The object store

class StoredTimeline {
 public:
  StoredTimeline(Disk& disk, const TenantTimelineId& id, std::string folder, ScrubReport& report)
      : disk_(disk), id_(id), folder_(std::move(folder)), report_(report) {}

  // Nothing where the timeline does not exist: no index, or one that cannot be read.
  Result<std::optional<ScrubbedTimeline>> run(Task& task) {
    for (int look = 1;; look++) {
      found_.clear();
      TRY_ASSIGN(std::string before, newest_index(task));
      if (before.empty()) return std::optional<ScrubbedTimeline>();
      TRY_ASSIGN(bool readable, read(task, before));
      TRY_ASSIGN(std::string after, newest_index(task));
      // What a newer index does not name may be gone by now.
      if (after != before && look < kLayerLooks && !found_.empty()) continue;
      for (const Found& one : found_) report_.finding(one.file, id_, one.fault);
      if (!readable) return std::optional<ScrubbedTimeline>();
      return std::optional(std::move(timeline_));
    }
  }

 private:
  Result<std::string> newest_index(Task& task) {
    TRY_ASSIGN(std::vector<DirEntry> entries, disk_.list(task, folder_));
    std::string newest;
    for (const DirEntry& entry : entries)
      if (entry.name.starts_with("index-")) newest = std::max(newest, entry.name);
    return newest;
  }

  Result<bool> read(Task& task, const std::string& name) {
    std::string path = join_path(folder_, name);
    auto bytes = read_file(task, disk_, path, kMaxFile);
    if (bytes.is(Code::Cancelled)) return bytes.error();
    auto index = bytes.ok() ? decode_index(*bytes, path) : Result<TimelineIndex>(bytes.error());
    if (index.ok() && index->id != id_)
      index = Error(Code::Corrupt, "it is of timeline " + to_string(index->id));
    if (!index.ok()) {
      found_.push_back({path, fault_of(index.error())});
      return false;
    }
    report_.count_file();
    report_.count(bytes->size());
    timeline_.folder = folder_;
    timeline_.index = *index;
    for (const TimelineIndex::Layer& layer : index->layers) TRY(check(task, layer));
    return true;
  }

  Status check(Task& task, const TimelineIndex::Layer& layer) {
    if (timeline_.digests.contains(layer.name)) return {};
    std::string path = join_path(folder_, to_string(layer.name));
    std::optional<Fault> fault;
    auto digest = check_file(task, disk_, path, layer, id_, report_, fault);
    if (digest.is(Code::Cancelled)) return digest.error();
    if (digest.is(Code::NotFound))
      fault = Fault{Error(Code::NotFound, "the index names it, but it is not there"), {}, layer.name.begin};
    else if (!digest.ok())
      fault = Fault{digest.error(), {}, layer.name.begin};
    if (fault)
      found_.push_back({path, *fault});
    else
      timeline_.digests[layer.name] = *digest;
    return {};
  }

  Disk& disk_;
  TenantTimelineId id_;
  std::string folder_;
  ScrubReport& report_;
  ScrubbedTimeline timeline_;
  std::vector<Found> found_;
};

// ---- The pageserver's disk

class LocalTimeline {
 public:
  LocalTimeline(Disk& disk, const TenantTimelineId& id, std::string folder, const StoreFolder& store,
                const ScrubbedTimeline& stored, ScrubReport& report)
      : disk_(disk), id_(id), folder_(std::move(folder)), store_(store), stored_(stored), report_(report) {}

  Status run(Task& task) {
    std::string path = join_path(folder_, "index");
    for (int look = 1;; look++) {
      found_.clear();
      auto before = read_file(task, disk_, path, kMaxFile);
      // A cache that was emptied, or is being filled for the first time.
      if (before.is(Code::NotFound)) return {};
      if (before.is(Code::Cancelled)) return before.error();
      TRY(read(task, path, before));
      auto after = read_file(task, disk_, path, kMaxFile);
      bool same = before.ok() && after.ok() && *before == *after;
      if (!same && look < kLayerLooks && !found_.empty()) continue;
      for (const Found& one : found_) report_.finding(one.file, id_, one.fault);
      return {};
    }
  }

 private:
  Status read(Task& task, const std::string& path, const Result<Bytes>& bytes) {
    auto index = bytes.ok() ? decode_index(*bytes, path) : Result<TimelineIndex>(bytes.error());
    if (index.ok() && index->id != id_)
      index = Error(Code::Corrupt, "it is of timeline " + to_string(index->id));
    if (!index.ok()) {
      found_.push_back({path, fault_of(index.error())});
      return {};
    }
    report_.count_file();
    report_.count(bytes->size());
    for (const TimelineIndex::Layer& layer : index->layers) TRY(check(task, layer));
    return {};
  }

  Status check(Task& task, const TimelineIndex::Layer& layer) {
    if (whole_.contains(layer.name)) return {};
    std::string path = join_path(folder_, to_string(layer.name));
    auto stored = stored_.digests.find(layer.name);
    std::optional<Fault> fault;
    auto digest = check_file(task, disk_, path, layer, id_, report_, fault);
    if (digest.is(Code::Cancelled)) return digest.error();
    if (digest.is(Code::NotFound)) {
      // Layers come from the object store on demand.
      auto there = store_.disk.stat(task, join_path(stored_.folder, to_string(layer.name)));
      if (there.ok()) return {};
      fault =
          Fault{Error(Code::NotFound, "the index names it, but it is neither here nor in the object store"),
                {},
                layer.name.begin};
    } else if (!digest.ok()) {
      fault = Fault{digest.error(), {}, layer.name.begin};
    } else if (!fault && stored != stored_.digests.end() && stored->second != *digest) {
      fault = Fault{
          Error(Code::Corrupt, "it differs from the object store's copy, though both have right checksums"),
          {},
          layer.name.begin};
    }
    if (fault)
      found_.push_back({path, *fault});
    else
      whole_.insert(layer.name);
    return {};
  }

  Disk& disk_;
  TenantTimelineId id_;
  std::string folder_;
  const StoreFolder& store_;
  const ScrubbedTimeline& stored_;
  ScrubReport& report_;
  std::set<LayerName> whole_;
  std::vector<Found> found_;
};

// Ancestors must be there, and of the same cluster. `folders`: those there are, damaged ones too.
void check_ancestor(const std::map<TenantTimelineId, std::string>& folders, const TenantTimelineId& id,
                    const ScrubbedTimelines& all, ScrubReport& report) {
  const TimelineIndex& index = all.at(id).index;
  if (!index.ancestor) return;
  TenantTimelineId ancestor_id{id.tenant, *index.ancestor};
  auto ancestor = all.find(ancestor_id);
  std::optional<Error> error;
  if (!folders.contains(ancestor_id))
    error = Error(Code::NotFound, "its ancestor " + to_string(*index.ancestor) + " is not there");
  else if (ancestor != all.end() && ancestor->second.index.system_id != index.system_id)
    error = Error(Code::Corrupt, fmt::format("its system identifier is {}, its ancestor's {}",
                                             index.system_id, ancestor->second.index.system_id));
  if (error) report.finding(folders.at(id), id, {*error, {}, index.ancestor_lsn});
}

}  // namespace

Status scrub_object_store(Task& task, const StoreFolder& store, const Deleted& deleted, ScrubReport& report,
                          ScrubbedTimelines& out) {
  report.part("object store, layers");
  TRY_ASSIGN(auto timelines, timelines_below(task, store.disk, store.objects + "/tenants", "timelines/"));
  std::erase_if(timelines, [&](const auto& one) { return is_deleted(deleted, one.first); });
  for (const auto& [id, folder] : timelines) {
    StoredTimeline timeline(store.disk, id, folder, report);
    TRY_ASSIGN(std::optional<ScrubbedTimeline> scrubbed, timeline.run(task));
    if (scrubbed) out.emplace(id, std::move(*scrubbed));
  }
  for (const auto& [id, timeline] : out) check_ancestor(timelines, id, out, report);
  return {};
}

Status scrub_pageserver(Task& task, Disk& disk, Session& session, const PageserverNode& node,
                        const StoreFolder& store, const ScrubbedTimelines& known, ScrubReport& report) {
  const Config& config = session.config();
  report.part(config.more_pageservers.empty() ? "pageserver" : "pageserver " + std::to_string(node.id));
  std::string tenants = config.pageserver_dir(node.id) + "/data/tenants";
  TRY_ASSIGN(auto timelines, timelines_below(task, disk, tenants, "timelines/"));
  for (const auto& [id, folder] : timelines) {
    // What another pageserver has left behind, or holds as a warm copy, is looked at when it is used.
    TRY_ASSIGN(PageserverNode home, config.pageserver(session.state().pageserver_of(id.tenant)));
    if (home.id != node.id) continue;
    // A creation that never ended leaves a folder; without an index in the object store it is no timeline.
    auto stored = known.find(id);
    if (stored == known.end()) continue;
    LocalTimeline timeline(disk, id, folder, store, stored->second, report);
    TRY(timeline.run(task));
  }
  return {};
}

}  // namespace argon::cli
