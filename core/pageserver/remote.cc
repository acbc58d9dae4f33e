#include "core/pageserver/remote.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/env/io.h"
#include "core/env/points.h"
#include "core/pageserver/deletion.h"

namespace argon::pageserver {

namespace {

using objstore::ObjectStore;
using objstore::PutMode;

constexpr std::string_view kIndexPrefix = "index-";
constexpr int kGenerationsTried = 100;
constexpr int kPutAttempts = 10;

Result<uint64_t> parse_hex(std::string_view text) {
  uint64_t value = 0;
  if (text.empty() || text.size() > 16) return Error(Code::Invalid, "no hex number");
  for (char c : text) {
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return Error(Code::Invalid, "no hex number");
    value = value * 16 + static_cast<uint64_t>(digit);
  }
  return value;
}

Status check_layer(ByteView bytes, const LayerName& name, uint64_t size) {
  if (bytes.size() != size)
    return Error(Code::Corrupt, "the layer has " + std::to_string(bytes.size()) +
                                    " bytes where the index says " + std::to_string(size));
  return check_layer_file(bytes, name);
}

constexpr std::string_view kTenants = "tenants/";
constexpr std::string_view kGeneration = "generation-";
constexpr std::string_view kTimelines = "timelines/";
constexpr std::string_view kConfig = "config-";

// Of "tenants/TENANT/NAME" the id and what comes after it.
std::optional<std::pair<TenantId, std::string_view>> split_tenant(std::string_view key) {
  if (!key.starts_with(kTenants) || key.size() < kTenants.size() + 33) return {};
  auto tenant = parse_tenant_id(key.substr(kTenants.size(), 32));
  if (!tenant.ok()) return {};
  return std::pair(*tenant, key.substr(kTenants.size() + 33));
}

// Of "GENERATION-SEQUENCE"; 0 where it is none.
Generation generation_in(std::string_view name) {
  auto generation = parse_hex(name.substr(0, 8));
  return generation.ok() ? Generation(static_cast<uint32_t>(*generation)) : Generation();
}

// `rest` is the key behind "tenants/TENANT/". Generations and sequences have a fixed width: of indexes, and
// of configurations, the greatest name is the newest. False: it tells nothing of the tenant.
bool note_object(RemoteTenant& tenant, std::string_view key, std::string_view rest) {
  if (rest.starts_with(kGeneration)) {
    auto generation = parse_hex(rest.substr(kGeneration.size()));
    if (!generation.ok()) return false;
    tenant.newest = std::max(tenant.newest, Generation(static_cast<uint32_t>(*generation)));
    return true;
  }
  if (rest.starts_with(kConfig)) {
    tenant.changed = std::max(tenant.changed, generation_in(rest.substr(kConfig.size())));
    tenant.newest_config = std::max(tenant.newest_config, std::string(key));
    return true;
  }
  if (!rest.starts_with(kTimelines)) return note_mark(tenant, rest);
  rest.remove_prefix(kTimelines.size());
  if (rest.size() < 33 || !rest.substr(33).starts_with(kIndexPrefix)) return true;
  auto timeline = parse_timeline_id(rest.substr(0, 32));
  if (!timeline.ok()) return false;
  std::string& newest = tenant.newest_index[*timeline];
  newest = std::max(newest, std::string(key));
  tenant.changed = std::max(tenant.changed, generation_in(rest.substr(33 + kIndexPrefix.size())));
  return true;
}

// Claims the generation, unless somebody has; returns what its claim says then. It is put again until that is
// known, and no other number meanwhile. So, where the number below was claimed before, a put that is carried
// out in a later life does not supersede that one: it has claimed this number itself, or a higher one.
Result<Claim> put_claim(Task& task, ObjectStore& store, const TenantId& tenant, Generation generation,
                        const Claim& claim) {
  std::string key = generation_key(tenant, generation);
  std::string text = claim_text(claim);
  Status last;
  for (int i = 0; i < kPutAttempts; i++) {
    Status put = store.put(task, key, as_bytes(text), PutMode::IfAbsent).with("claim " + key);
    if (put.ok()) return claim;
    if (!put.is(Code::AlreadyExists) && !put.is(Code::MaybeApplied)) return put.error();
    task.env().probe("pageserver.generation-taken"_probe);
    auto there = read_claim(task, store, tenant, generation);
    if (there.ok() || there.is(Code::Cancelled)) return there;
    last = there.is(Code::NotFound) ? put : there.error();
  }
  return Error(Code::MaybeApplied, last.error().message());
}

}  // namespace

Result<std::map<TenantId, RemoteTenant>> list_tenants(Task& task, ObjectStore& store) {
  std::map<TenantId, RemoteTenant> tenants;
  std::string after;
  for (;;) {
    TRY_ASSIGN(objstore::Listing page, store.list(task, std::string(kTenants), after, objstore::kPageMax));
    for (const objstore::ObjectInfo& object : page.objects) {
      auto parts = split_tenant(object.key);
      if (!parts) continue;
      auto [tenant, made] = tenants.try_emplace(parts->first);
      if (!note_object(tenant->second, object.key, parts->second) && made) tenants.erase(tenant);
    }
    if (!page.next) break;
    after = *page.next;
    // A tenant's timelines are the last of its objects.
    auto parts = split_tenant(after);
    if (parts && parts->second.starts_with(kTimelines))
      after = objstore::tenant_prefix(parts->first) + std::string(kTimelines) + "~";
  }
  for (auto& [id, tenant] : tenants) tenant.changed = std::max(tenant.changed, tenant.newest);
  return tenants;
}

Result<RemoteTenant> list_tenant(Task& task, ObjectStore& store, const TenantId& id) {
  std::string prefix = objstore::tenant_prefix(id);
  RemoteTenant tenant;
  std::string after;
  for (;;) {
    TRY_ASSIGN(objstore::Listing page, store.list(task, prefix, after, objstore::kPageMax));
    for (const objstore::ObjectInfo& object : page.objects)
      note_object(tenant, object.key, std::string_view(object.key).substr(prefix.size()));
    if (!page.next) return tenant;
    after = *page.next;
  }
}

Result<Claim> read_claim(Task& task, ObjectStore& store, const TenantId& tenant, Generation generation) {
  std::string key = generation_key(tenant, generation);
  auto bytes = store.get(task, key);
  if (!bytes.ok()) return bytes.error().with("read " + key);
  return parse_claim(as_text(*bytes));
}

Result<Generation> claim_generation(Task& task, ObjectStore& store, const TenantId& tenant, Generation above,
                                    const Claim& claim) {
  for (int i = 1; i <= kGenerationsTried; i++) {
    Generation generation(above.value + static_cast<uint32_t>(i));
    TRY_ASSIGN(Claim there, put_claim(task, store, tenant, generation, claim));
    if (there == claim) return generation;
    // Of an earlier life of ours the next number is as good.
    if (there.pageserver != claim.pageserver && there.pageserver != NodeId())
      return Error(Code::AlreadyExists, generation_key(tenant, generation) + " was claimed by pageserver " +
                                            std::to_string(there.pageserver.value));
  }
  return Error(Code::Unavailable,
               "claim a generation of tenant " + to_string(tenant) + ": too many attempts");
}

Status claim_exactly(Task& task, ObjectStore& store, const TenantId& tenant, Generation generation,
                     const Claim& claim) {
  TRY_ASSIGN(Claim there, put_claim(task, store, tenant, generation, claim));
  if (there.pageserver == claim.pageserver && there.life == claim.life) return {};
  return Error(Code::AlreadyExists, generation_key(tenant, generation) + " was claimed by pageserver " +
                                        std::to_string(there.pageserver.value) +
                                        ", or by an earlier start of it");
}

Result<std::optional<NewestClaim>> newest_claim(Task& task, ObjectStore& store, const TenantId& tenant) {
  std::string prefix = objstore::tenant_prefix(tenant) + std::string(kGeneration);
  TRY_ASSIGN(std::vector<objstore::ObjectInfo> claims, objstore::list_all(task, store, prefix));
  NewestClaim newest;
  for (const objstore::ObjectInfo& claim : claims) {
    auto generation = parse_hex(std::string_view(claim.key).substr(prefix.size()));
    if (generation.ok())
      newest.generation = std::max(newest.generation, Generation(static_cast<uint32_t>(*generation)));
  }
  if (newest.generation == Generation()) return std::optional<NewestClaim>();
  TRY_ASSIGN(newest.claim, read_claim(task, store, tenant, newest.generation));
  return std::optional(newest);
}

Result<TimelineIndex> get_index(Task& task, ObjectStore& store, const std::string& key,
                                const TenantTimelineId& id) {
  auto bytes = store.get(task, key);
  if (!bytes.ok()) return bytes.error().with("read " + key);
  TRY_ASSIGN(TimelineIndex index, decode_index(*bytes, key));
  if (index.id != id) return Error(Code::Corrupt, "index " + key + " is of timeline " + to_string(index.id));
  return index;
}

Result<std::string> put_index(Task& task, ObjectStore& store, const TimelineIndex& index) {
  std::string key = objstore::timeline_prefix(index.id) +
                    fmt::format("{}{:08x}-{:016x}", kIndexPrefix, index.generation.value, index.sequence);
  TRY(store.put(task, key, encode_index(index), PutMode::Replace));
  return key;
}

std::string config_key(const TenantId& tenant, Generation generation, uint64_t sequence) {
  return objstore::tenant_prefix(tenant) + fmt::format("config-{:08x}-{:016x}", generation.value, sequence);
}

Result<TenantConfig> get_config(Task& task, ObjectStore& store, const std::string& key) {
  auto bytes = store.get(task, key);
  if (!bytes.ok()) return bytes.error().with("read " + key);
  auto config = parse_tenant_config(as_text(*bytes));
  if (!config.ok()) return Error(Code::Corrupt, key + ": " + config.error().message());
  return config;
}

std::string Remote::key_of(const LayerName& name) const {
  return objstore::timeline_prefix(id_) + to_string(name);
}

void Remote::set_present(const TimelineIndex& index, const std::string& key) {
  for (const TimelineIndex::Layer& layer : index.layers) present_.insert(layer.name);
  index_key_ = key;
  uploaded_ = index;
  uploaded_.layers.clear();
}

bool Remote::behind(const LayerStore& layers) const {
  if (index_key_.empty() || unconfirmed_ || unsettled_ ||
      layers.disk_consistent() != uploaded_.disk_consistent)
    return true;
  TimelineIndex index = layers.index();
  if (index.generation != uploaded_.generation || index.gc_cutoff != uploaded_.gc_cutoff ||
      index.retained != uploaded_.retained)
    return true;
  if (index.layers.size() != present_.size()) return true;
  return !std::ranges::all_of(index.layers, [&](const auto& layer) { return present_.contains(layer.name); });
}

Status Remote::upload_layer(Task& task, LayerFile& layer) {
  TRY(uploads_.acquire(task));
  struct Release {
    ~Release() { semaphore.release(); }
    Semaphore& semaphore;
  } release{uploads_};
  auto bytes = read_file(task, task.env().disk(), layer.path());
  if (bytes.is(Code::NotFound)) bytes = Error(Code::Corrupt, "it is not there");
  if (!bytes.ok()) return bytes.error().with("upload layer " + layer.path());
  if (Status good = check_layer(*bytes, layer.name(), layer.size()); !good.ok())
    return good.error().with("upload layer " + layer.path());
  return store_.put(task, key_of(layer.name()), *bytes, PutMode::Replace);
}

Result<std::string> Remote::put_detached(Task& task, TimelineIndex& index,
                                         const std::vector<LayerStore::LayerPtr>& copies) {
  for (const LayerStore::LayerPtr& copy : copies) {
    TRY(upload_layer(task, *copy));
    index.layers.push_back({copy->name(), copy->size()});
  }
  std::ranges::sort(index.layers);
  TRY_ASSIGN(std::string key, put_index(task, store_, index));
  TRY(check_generation(task, store_, id_.tenant, index.generation));
  index_key_ = key;
  return key;
}

Result<std::string> Remote::put_archived(Task& task, const TimelineIndex& index) {
  unsettled_ = true;
  TRY_ASSIGN(std::string key, put_index(task, store_, index));
  TRY(check_generation(task, store_, id_.tenant, index.generation));
  return key;
}

Result<TimelineIndex> Remote::upload(Task& task, LayerStore& layers) {
  TimelineIndex index = layers.next_index();
  std::vector<LayerStore::LayerPtr> files = layers.layers();
  std::set<LayerName> named;
  for (const LayerStore::LayerPtr& file : files) {
    named.insert(file->name());
    if (present_.contains(file->name())) continue;
    TRY(upload_layer(task, *file));
    present_.insert(file->name());
  }
  TRY_ASSIGN(std::string key, put_index(task, store_, index));
  for (const LayerStore::LayerPtr& file : files) file->set_uploaded(fetch());
  std::vector<std::string> garbage;
  if (!index_key_.empty()) garbage.push_back(index_key_);
  index_key_ = key;
  uploaded_ = index;
  uploaded_.layers.clear();
  for (auto name = present_.begin(); name != present_.end();) {
    if (named.contains(*name)) {
      ++name;
      continue;
    }
    garbage.push_back(key_of(*name));
    name = present_.erase(name);
  }
  deletions_.push(id_.tenant, index.generation, garbage);
  unconfirmed_ = true;
  TRY(check_generation(task, store_, id_.tenant, index.generation));
  unconfirmed_ = false;
  unsettled_ = false;
  return index;
}

// An index of an earlier generation is no longer the newest; a layer of one is garbage unless it is named
// here. What this life uploads now bears its own generation, or is named by its layers.
Status Remote::find_orphans(Task& task, const LayerStore& layers) {
  Generation ours = uploaded_.generation;
  if (orphans_found_ || !has_index() || ours != layers.index().generation) return {};
  std::string prefix = objstore::timeline_prefix(id_);
  TRY_ASSIGN(std::vector<objstore::ObjectInfo> objects, objstore::list_all(task, store_, prefix));
  std::set<std::string> named{index_key_};
  for (const LayerName& name : present_) named.insert(key_of(name));
  for (const LayerStore::LayerPtr& layer : layers.layers()) named.insert(key_of(layer->name()));
  std::vector<std::string> orphans;
  for (const objstore::ObjectInfo& object : objects) {
    std::string_view name = std::string_view(object.key).substr(prefix.size());
    auto layer = parse_layer_name(name);
    auto index = name.starts_with(kIndexPrefix) ? parse_hex(name.substr(kIndexPrefix.size(), 8))
                                                : Result<uint64_t>(Error(Code::Invalid, "no index"));
    bool earlier = layer.ok() ? layer->generation < ours : index.ok() && *index < ours.value;
    if (earlier && !named.contains(object.key)) orphans.push_back(object.key);
  }
  if (!orphans.empty()) task.env().probe("pageserver.orphans-found"_probe);
  deletions_.push(id_.tenant, ours, orphans);
  orphans_found_ = true;
  return {};
}

Result<TimelineIndex> Remote::uploaded_index(Task& task) {
  if (!has_index())
    return Error(Code::Corrupt, "timeline " + to_string(id_) + " is not in the object store yet");
  return get_index(task, store_, index_key_, id_);
}

Status download_layer(Task& task, ObjectStore& store, const TenantTimelineId& id, const LayerName& name,
                      uint64_t size, const std::string& path) {
  std::string key = objstore::timeline_prefix(id) + to_string(name);
  auto bytes = store.get(task, key);
  if (!bytes.ok()) return bytes.error().with("download " + key);
  if (Status good = check_layer(*bytes, name, size); !good.ok()) return good.error().with("download " + key);
  return write_file_durably(task, task.env().disk(), path, *bytes);
}

LayerFile::Fetch Remote::fetch() {
  return [this](Task& task, const LayerFile& layer) -> Status {
    TRY(download_layer(task, store_, id_, layer.name(), layer.size(), layer.path()));
    task.env().probe("pageserver.layer-downloaded"_probe);
    downloads_.add();
    return {};
  };
}

}  // namespace argon::pageserver
