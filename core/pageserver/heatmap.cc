#include "core/pageserver/heatmap.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/env/points.h"
#include "core/http/json_fields.h"

namespace argon::pageserver {

namespace {

using nlohmann::json;

constexpr uint64_t kHeatmapVersion = 1;
constexpr Duration kLookForDue = Duration::milliseconds(500);

Result<Heatmap::Layer> parse_layer(const json& of) {
  if (!of.is_object()) return Error(Code::Corrupt, "a layer is no object");
  Heatmap::Layer layer;
  auto name = parse_layer_name(http::text_at(of, "name"));
  if (!name.ok()) return Error(Code::Corrupt, "'" + http::text_at(of, "name") + "' is no layer");
  layer.name = *name;
  layer.size = http::number_at(of, "size");
  layer.access_time = static_cast<int64_t>(std::min<uint64_t>(http::number_at(of, "access_time"), INT64_MAX));
  return layer;
}

std::map<TimelineId, std::vector<LayerName>> names_in(const Heatmap& heatmap) {
  std::map<TimelineId, std::vector<LayerName>> names;
  for (const auto& [timeline, layers] : heatmap.timelines)
    for (const Heatmap::Layer& layer : layers) names[timeline].push_back(layer.name);
  return names;
}

}  // namespace

std::string heatmap_key(const TenantId& tenant) {
  return objstore::tenant_prefix(tenant) + "heatmap-v1.json";
}

std::string heatmap_text(const Heatmap& heatmap) {
  json timelines = json::array();
  for (const auto& [id, layers] : heatmap.timelines) {
    json list = json::array();
    for (const Heatmap::Layer& layer : layers)
      list.push_back(
          {{"name", to_string(layer.name)}, {"size", layer.size}, {"access_time", layer.access_time}});
    timelines.push_back({{"timeline_id", to_string(id)}, {"layers", list}});
  }
  return json{{"version", kHeatmapVersion},
              {"generation", heatmap.generation.value},
              {"upload_period_ms", heatmap.upload_period.to_milliseconds()},
              {"timelines", timelines}}
      .dump();
}

Result<Heatmap> parse_heatmap(std::string_view text) {
  json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("timelines") || !parsed["timelines"].is_array())
    return Error(Code::Corrupt, "no heatmap");
  if (http::number_at(parsed, "version") != kHeatmapVersion)
    return Error(Code::Unsupported,
                 "a heatmap of version " + std::to_string(http::number_at(parsed, "version")));
  Heatmap heatmap;
  heatmap.generation = Generation(static_cast<uint32_t>(http::number_at(parsed, "generation")));
  // A day at most.
  heatmap.upload_period = Duration::milliseconds(
      static_cast<int64_t>(std::min<uint64_t>(http::number_at(parsed, "upload_period_ms"), 86'400'000)));
  for (const json& one : parsed["timelines"]) {
    if (!one.is_object() || !one.contains("layers") || !one["layers"].is_array())
      return Error(Code::Corrupt, "a timeline without layers");
    auto id = parse_timeline_id(http::text_at(one, "timeline_id"));
    if (!id.ok()) return Error(Code::Corrupt, id.error().message());
    std::vector<Heatmap::Layer>& layers = heatmap.timelines[*id];
    for (const json& layer : one["layers"]) {
      TRY_ASSIGN(Heatmap::Layer read, parse_layer(layer));
      layers.push_back(read);
    }
  }
  return heatmap;
}

HeatmapUploader::HeatmapUploader(Services& services, const Tenants& tenants)
    : services_(services),
      tenants_(tenants),
      uploaded_(services.metrics.counter("pageserver_secondary_upload_heatmap",
                                         "Heatmaps put into the object store")),
      failed_(services.metrics.counter("pageserver_secondary_upload_heatmap_errors",
                                       "Heatmaps that could not be put")) {}

Heatmap HeatmapUploader::heatmap_of(const Tenants::Tenant& tenant) const {
  Heatmap heatmap;
  heatmap.generation = tenant.generation;
  if (tenant.config.ok()) heatmap.upload_period = tenant.config->heatmap_period;
  MonotonicTime now = services_.env.now();
  int64_t wall = services_.env.wall_now().ns;
  for (const auto& [id, timeline] : tenant.timelines) {
    std::vector<Heatmap::Layer>& layers = heatmap.timelines[id];
    for (const LayerStore::LayerPtr& layer : timeline->store().layers()) {
      if (!layer->resident() || !layer->uploaded()) continue;
      bool read = layer->last_read() > MonotonicTime();
      int64_t seconds = read ? (wall - (now - layer->last_read()).ns) / 1'000'000'000 : 0;
      layers.push_back({layer->name(), layer->size(), std::max<int64_t>(seconds, 0)});
    }
  }
  return heatmap;
}

Status HeatmapUploader::upload(Task& task, const TenantId& id) {
  TRY_ASSIGN(const Tenants::Tenant* tenant, tenants_.find(id));
  if (!may_upload(tenant->gc->mode))
    return Error(Code::Stale,
                 "tenant " + to_string(id) + ": this location is AttachedStale, nothing is uploaded");
  Heatmap heatmap = heatmap_of(*tenant);
  Status put = check_generation(task, services_.objects, id, heatmap.generation);
  if (put.ok()) put = services_.objects.put(task, heatmap_key(id), as_bytes(heatmap_text(heatmap)));
  if (put.is(Code::Cancelled)) return put;
  if (!put.ok()) {
    failed_.add();
    return std::move(put).with("put " + heatmap_key(id));
  }
  uploaded_.add();
  services_.env.probe("pageserver.heatmap-uploaded"_probe);
  puts_[id].layers = names_in(heatmap);
  return {};
}

Status HeatmapUploader::upload_due(Task& task, const TenantId& id, Put& put) {
  const Tenants::Tenant& tenant = tenants_.all().at(id);
  Duration period = tenant.config.ok() ? tenant.config->heatmap_period : Duration();
  MonotonicTime now = services_.env.now();
  if (period <= Duration() || put.due > now) return {};
  put.due = now + period;
  if (!may_upload(tenant.gc->mode) || !tenant.gc->all_loaded || names_in(heatmap_of(tenant)) == put.layers)
    return {};
  return upload(task, id);
}

Status HeatmapUploader::run(Task& task) {
  while (!task.cancelled()) {
    TRY(task.sleep(kLookForDue));
    std::erase_if(puts_, [this](const auto& one) { return !tenants_.all().contains(one.first); });
    std::vector<TenantId> ids;
    for (const auto& [id, tenant] : tenants_.all()) ids.push_back(id);
    for (const TenantId& id : ids) {
      if (!tenants_.all().contains(id)) continue;
      Status put = upload_due(task, id, puts_[id]);
      if (put.is(Code::Cancelled)) return put;
      if (!put.ok()) Logger(services_.env.log()).warn("heatmap, will try again: {}", put.error().to_string());
    }
  }
  return {};
}

}  // namespace argon::pageserver
