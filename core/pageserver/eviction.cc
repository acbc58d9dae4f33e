#include "core/pageserver/eviction.h"

#include <algorithm>
#include <tuple>

#include "core/env/points.h"

namespace argon::pageserver {

Eviction::Eviction(Services& services, Tenants& tenants, std::string folder, const EvictionOptions& options)
    : env_(services.env),
      tenants_(tenants),
      folder_(std::move(folder)),
      options_(options),
      layers_(
          services.metrics.counter("pageserver_layers_evicted_total", "Layer files evicted from the disk")),
      bytes_(services.metrics.counter("pageserver_bytes_evicted_total", "Bytes of these files")) {}

std::vector<LayerStore::LayerPtr> Eviction::resident() const {
  std::vector<LayerStore::LayerPtr> out;
  for (const auto& [id, tenant] : tenants_.all())
    for (const auto& [timeline_id, timeline] : tenant.timelines)
      for (const LayerStore::LayerPtr& layer : timeline->store().layers())
        if (layer->resident()) out.push_back(layer);
  return out;
}

uint64_t Eviction::too_many(const std::vector<LayerStore::LayerPtr>& layers, uint64_t more) const {
  uint64_t bytes = tenants_.secondaries().resident_bytes() + more;
  for (const LayerStore::LayerPtr& layer : layers) bytes += layer->size();
  return options_.layer_bytes_max == 0 ? 0 : bytes - std::min(bytes, options_.layer_bytes_max);
}

Result<uint64_t> Eviction::too_few_free(Task& task) {
  if (options_.disk_free_min == 0) return uint64_t{0};
  TRY_ASSIGN(SpaceInfo space, env_.disk().space(task, folder_));
  return options_.disk_free_min - std::min(space.available, options_.disk_free_min);
}

Result<bool> Eviction::has_room(Task& task, uint64_t bytes) {
  if (too_many(resident(), bytes) > 0) return false;
  if (options_.disk_free_min == 0) return true;
  TRY_ASSIGN(SpaceInfo space, env_.disk().space(task, folder_));
  return space.available >= options_.disk_free_min && space.available - options_.disk_free_min >= bytes;
}

void Eviction::note(uint64_t size, EvictionResult& result) {
  env_.probe("pageserver.layer-evicted"_probe);
  layers_.add();
  bytes_.add(size);
  result.layers++;
  result.bytes += size;
}

Status Eviction::evict_copies(Task& task, uint64_t much, EvictionResult& result) {
  std::vector<Secondaries::Resident> copies = tenants_.secondaries().resident();
  std::ranges::sort(copies, {}, [](const Secondaries::Resident& one) {
    return std::tuple(one.access_time, one.id, one.name);
  });
  for (const Secondaries::Resident& one : copies) {
    if (result.bytes >= much) break;
    TRY_ASSIGN(bool evicted, tenants_.secondaries().evict(task, one));
    if (!evicted) continue;
    env_.probe("pageserver.secondary-layer-evicted"_probe);
    note(one.size, result);
  }
  return {};
}

Result<EvictionResult> Eviction::evict(Task& task, uint64_t bytes) {
  TRY_ASSIGN(uint64_t at_any_rate, too_few_free(task));
  at_any_rate = std::max(at_any_rate, bytes);
  std::vector<LayerStore::LayerPtr> layers = resident();
  uint64_t much = std::max(at_any_rate, too_many(layers));
  EvictionResult result;
  if (much == 0) return result;
  TRY(evict_copies(task, much, result));
  std::erase_if(layers, [](const LayerStore::LayerPtr& layer) { return !layer->uploaded(); });
  auto order = [](const LayerStore::LayerPtr& layer) { return std::pair(layer->last_read(), layer->path()); };
  std::ranges::sort(layers, {}, order);
  MonotonicTime in_use = env_.now() - options_.in_use;
  for (LayerStore::LayerPtr& layer : layers) {
    if (result.bytes >= (layer->last_read() > in_use ? at_any_rate : much)) break;
    TRY(layer->evict(task));
    note(layer->size(), result);
    layer.reset();
  }
  if (result.layers > 0)
    Logger(env_.log())
        .info("evicted {} layers of {} bytes: {} bytes were too much", result.layers, result.bytes, much);
  return result;
}

Status Eviction::run(Task& task) {
  while (!task.cancelled()) {
    TRY(task.sleep(options_.period));
    auto evicted = evict(task);
    if (evicted.is(Code::Cancelled)) return evicted.error();
    if (!evicted.ok())
      Logger(env_.log()).warn("eviction failed, will try again: {}", evicted.error().to_string());
  }
  return {};
}

}  // namespace argon::pageserver
