#include "core/pageserver/location_routes.h"

#include <nlohmann/json.hpp>

namespace argon::pageserver {

namespace {

using http::Request;
using nlohmann::json;
using Answer = Result<http::Response>;

constexpr uint64_t kMillisecondsMax = 600'000;
constexpr Duration kDownloadWait = Duration::seconds(30);

json describe_location(const Location& location) {
  return {{"mode", to_string(location.mode)}, {"generation", location.generation.value}};
}

Result<Duration> milliseconds_of(const Request& request, const std::string& name, Duration usual) {
  auto found = request.query.find(name);
  if (found == request.query.end()) return usual;
  auto ms = parse_u64(found->second);
  if (!ms.ok() || *ms > kMillisecondsMax)
    return Error(Code::Invalid, "'?" + name + "=' must be a number of at most " +
                                    std::to_string(kMillisecondsMax) + " milliseconds");
  return Duration::milliseconds(static_cast<int64_t>(*ms));
}

Result<Tenants::LocationWish> wish_of(const Request& request) {
  Tenants::LocationWish wish;
  TRY_ASSIGN(wish.flush, milliseconds_of(request, "flush_ms", wish.flush));
  TRY_ASSIGN(json body, request.json());
  if (!body.is_object() || !body.contains("mode") || !body["mode"].is_string())
    return Error(Code::Invalid, "field 'mode' must be a text");
  TRY_ASSIGN(wish.mode, parse_location_mode(body["mode"].get<std::string>()));
  json generation = body.value("generation", json());
  if (generation.is_null()) return wish;
  uint64_t number = generation.is_number_unsigned() ? generation.get<uint64_t>() : 0;
  if (number == 0 || number > UINT32_MAX)
    return Error(Code::Invalid, "field 'generation' must be a number from 1 to 4294967295");
  wish.generation = Generation(static_cast<uint32_t>(number));
  return wish;
}

Answer put_location(Task& task, Tenants& tenants, const Request& request) {
  TRY_ASSIGN(TenantId id, parse_tenant_id(request.parameter("tenant")));
  TRY_ASSIGN(Tenants::LocationWish wish, wish_of(request));
  TRY_ASSIGN(Location location, tenants.set_location(task, id, wish));
  return http::json_response(describe_location(location));
}

Answer show_location(const Tenants& tenants, const Request& request) {
  TRY_ASSIGN(TenantId id, parse_tenant_id(request.parameter("tenant")));
  Location location = tenants.location(id);
  if (location.mode == LocationMode::Detached) TRY(tenants.find(id));
  return http::json_response(describe_location(location));
}

Answer list_locations(const Tenants& tenants) {
  json list = json::array();
  for (const auto& [id, location] : tenants.locations())
    list.push_back({to_string(id), describe_location(location)});
  return http::json_response({{"tenant_shards", list}});
}

Answer put_heatmap(Task& task, HeatmapUploader& heatmaps, const Request& request) {
  TRY_ASSIGN(TenantId id, parse_tenant_id(request.parameter("tenant")));
  TRY(heatmaps.upload(task, id));
  return http::json_response(json::object());
}

Answer secondary_status(const Secondaries& secondaries, const TenantId& id) {
  TRY_ASSIGN(Secondaries::Progress progress, secondaries.progress(id));
  json body{{"layers_downloaded", progress.layers_here},
            {"layers_total", progress.layers_total},
            {"bytes_downloaded", progress.bytes_here},
            {"bytes_total", progress.bytes_total}};
  return http::json_response(body, progress.layers_here == progress.layers_total ? 200 : 202);
}

Answer secondary_download(Task& task, Secondaries& secondaries, const Request& request) {
  TRY_ASSIGN(TenantId id, parse_tenant_id(request.parameter("tenant")));
  TRY_ASSIGN(Duration wait, milliseconds_of(request, "wait_ms", kDownloadWait));
  Status done = [&] {
    Deadline deadline(task, wait);
    return secondaries.download(task, id);
  }();
  if (!done.ok() && !done.is(Code::TimedOut)) return done.error();
  return secondary_status(secondaries, id);
}

}  // namespace

void add_secondary_routes(http::Router& router, Tenants& tenants, HeatmapUploader& heatmaps) {
  const std::string tenant = "/v1/tenant/:tenant";
  router.add("POST", tenant + "/heatmap_upload",
             [&](Task& task, const Request& r) { return put_heatmap(task, heatmaps, r); });
  router.add("POST", tenant + "/secondary/download", [&](Task& task, const Request& r) {
    return secondary_download(task, tenants.secondaries(), r);
  });
  router.add("GET", tenant + "/secondary/status", [&](Task&, const Request& r) -> Answer {
    TRY_ASSIGN(TenantId id, parse_tenant_id(r.parameter("tenant")));
    return secondary_status(tenants.secondaries(), id);
  });
}

void add_location_routes(http::Router& router, Tenants& tenants) {
  const std::string path = "/v1/tenant/:tenant/location_config";
  router.add("PUT", path, [&](Task& task, const Request& r) { return put_location(task, tenants, r); });
  router.add("GET", path, [&](Task&, const Request& r) { return show_location(tenants, r); });
  router.add("GET", "/v1/location_config", [&](Task&, const Request&) { return list_locations(tenants); });
}

}  // namespace argon::pageserver
