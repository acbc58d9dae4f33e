#include "core/pageserver/management.h"

#include <nlohmann/json.hpp>

#include "core/base/timestamp.h"
#include "core/pageserver/gc_routes.h"
#include "core/pageserver/location_routes.h"
#include "core/pageserver/tenant_size.h"

namespace argon::pageserver {

namespace {

using nlohmann::json;

constexpr Duration kCheckpointTimeout = Duration::seconds(120);

Result<std::string> text_field(const json& body, const std::string& field) {
  if (!body.is_object() || !body.contains(field) || !body[field].is_string())
    return Error(Code::Invalid, "field '" + field + "' must be a text");
  return body[field].get<std::string>();
}

bool has_text(const json& body, const std::string& field) {
  return body.is_object() && body.contains(field) && body[field].is_string();
}

Result<TenantTimelineId> id_of(const http::Request& request) {
  TRY_ASSIGN(TenantId tenant, parse_tenant_id(request.parameter("tenant")));
  TRY_ASSIGN(TimelineId timeline, parse_timeline_id(request.parameter("timeline")));
  return TenantTimelineId{tenant, timeline};
}

json describe(Timeline& timeline) {
  TimelineIndex index = timeline.store().index();
  json out{{"tenant_id", to_string(index.id.tenant)},
           {"timeline_id", to_string(index.id.timeline)},
           {"state", "Active"},
           {"is_archived", false},
           {"pg_version", index.server_version},
           {"system_id", std::to_string(index.system_id)},
           {"generation", index.generation.value},
           {"initdb_lsn", to_string(index.start_lsn)},
           {"wal_begin_lsn", to_string(index.wal_begin())},
           {"last_record_lsn", to_string(timeline.last_record())},
           {"prev_record_lsn", to_string(timeline.store().prev_record())},
           {"disk_consistent_lsn", to_string(index.disk_consistent)},
           {"remote_consistent_lsn", to_string(timeline.remote_consistent())},
           {"current_physical_size", timeline.store().layer_bytes()},
           {"resident_physical_size", timeline.store().resident_bytes()},
           {"memory_bytes", timeline.store().memory_bytes()},
           {"layers", index.layers.size()},
           {"l0_layers", timeline.store().l0_count()}};
  describe_gc(out, timeline, index);
  if (index.ancestor) {
    out["ancestor_timeline_id"] = to_string(*index.ancestor);
    out["ancestor_lsn"] = to_string(index.ancestor_lsn);
  }
  return out;
}

json describe(const Tenants::Archived& archived) {
  const TimelineIndex& index = archived.index;
  json out{{"tenant_id", to_string(index.id.tenant)},
           {"timeline_id", to_string(index.id.timeline)},
           {"state", "Offloaded"},
           {"is_archived", true},
           {"pg_version", index.server_version},
           {"system_id", std::to_string(index.system_id)},
           {"generation", index.generation.value},
           {"disk_consistent_lsn", to_string(index.disk_consistent)},
           {"current_physical_size", archived.bytes},
           {"resident_physical_size", 0},
           {"layers", archived.layers}};
  if (index.archived_at) out["archived_at"] = timestamp_text(*index.archived_at);
  if (index.ancestor) {
    out["ancestor_timeline_id"] = to_string(*index.ancestor);
    out["ancestor_lsn"] = to_string(index.ancestor_lsn);
  }
  return out;
}

const char* text_of(KeptAs kept) {
  return kept == KeptAs::Snapshot ? "snapshot" : kept == KeptAs::Wal ? "wal" : "nothing";
}

json describe(const TenantId& id, const TenantSize& of) {
  json points = json::array();
  for (size_t i = 0; i < of.points.size(); i++) {
    json point{{"timeline_id", to_string(of.places[i].timeline)},
               {"lsn", to_string(of.places[i].lsn)},
               {"kind", of.places[i].kind},
               {"kept_as", text_of(of.size.kept[i])},
               {"needed", of.points[i].needed},
               {"in_window", of.points[i].window}};
    if (of.points[i].parent) point["parent"] = *of.points[i].parent;
    if (!of.points[i].window) point["logical_size"] = of.points[i].logical_size;
    points.push_back(point);
  }
  return {{"id", to_string(id)}, {"size", of.size.bytes}, {"points", points}};
}

class Routes {
 public:
  Routes(Tenants& tenants, Eviction& eviction, NodeId id) : tenants_(tenants), eviction_(eviction), id_(id) {}

  Result<http::Response> status() const {
    json unreadable = json::array();
    for (const auto& [id, tenant] : tenants_.all())
      for (const auto& [timeline_id, timeline] : tenant.timelines)
        for (const auto& [key, why] : timeline->catalog().unreadable())
          unreadable.push_back({{"tenant_id", to_string(id)},
                                {"timeline_id", to_string(timeline_id)},
                                {"page", describe(key)},
                                {"error", why}});
    return http::json_response({{"id", id_.value}, {"unreadable_pages", unreadable}});
  }

  Result<http::Response> list_tenants() const {
    json out = json::array();
    for (const auto& [id, tenant] : tenants_.all()) out.push_back(tenant_json(id, tenant));
    return http::json_response(out);
  }
  Result<http::Response> show_tenant(const http::Request& request) const {
    TRY_ASSIGN(TenantId id, parse_tenant_id(request.parameter("tenant")));
    TRY_ASSIGN(const Tenants::Tenant* tenant, tenants_.find(id));
    return http::json_response(tenant_json(id, *tenant));
  }
  Result<http::Response> show_config(const http::Request& request) const {
    TRY_ASSIGN(TenantId id, parse_tenant_id(request.parameter("tenant")));
    TRY_ASSIGN(const Tenants::Tenant* tenant, tenants_.find(id));
    TRY(tenant->config);
    return http::json_response(json::parse(to_json(*tenant->config)));
  }
  Result<http::Response> configure(Task& task, const http::Request& request) const {
    TRY_ASSIGN(TenantId id, parse_tenant_id(request.parameter("tenant")));
    TRY_ASSIGN(TenantConfig config, parse_tenant_config(request.body));
    TRY(tenants_.configure(task, id, config));
    return show_config(request);
  }
  Result<http::Response> synthetic_size(Task& task, const http::Request& request) {
    TRY_ASSIGN(TenantId id, parse_tenant_id(request.parameter("tenant")));
    TRY_ASSIGN(TenantSize size, sizes_.size_of(task, id));
    return http::json_response(describe(id, size));
  }
  Result<http::Response> create_tenant(Task& task, const TenantId& id) const {
    TRY(tenants_.create_tenant(task, id));
    return http::json_response(to_string(id), 201);
  }
  Result<http::Response> list_timelines(const http::Request& request) const {
    TRY_ASSIGN(TenantId id, parse_tenant_id(request.parameter("tenant")));
    TRY_ASSIGN(const Tenants::Tenant* tenant, tenants_.find(id));
    json out = json::array();
    for (const auto& [timeline_id, timeline] : tenant->timelines) out.push_back(describe(*timeline));
    return http::json_response(out);
  }
  Result<http::Response> list_all_timelines(const http::Request& request) const {
    TRY_ASSIGN(TenantId id, parse_tenant_id(request.parameter("tenant")));
    TRY_ASSIGN(const Tenants::Tenant* tenant, tenants_.find(id));
    json out{{"timelines", json::array()}, {"offloaded", json::array()}};
    for (const auto& [timeline_id, timeline] : tenant->timelines)
      out["timelines"].push_back(describe(*timeline));
    for (const auto& [archived_id, archived] : tenants_.archived())
      if (archived_id.tenant == id) out["offloaded"].push_back(describe(archived));
    return http::json_response(out);
  }
  Result<http::Response> show_timeline(Task& task, const http::Request& request) const {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    auto archived = tenants_.archived().find(id);
    if (archived != tenants_.archived().end() && !archived->second.returning)
      return http::json_response(describe(archived->second));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, tenants_.find(id));
    json out = describe(*timeline);
    if (request.query.contains("logical_size")) {
      TRY_ASSIGN(uint64_t bytes, timeline->current_size(task));
      out["current_logical_size"] = bytes;
    }
    return http::json_response(out);
  }
  Result<http::Response> create_timeline(Task& task, const http::Request& request) const {
    TRY_ASSIGN(json body, request.json());
    TRY_ASSIGN(TenantId tenant, parse_tenant_id(request.parameter("tenant")));
    TRY_ASSIGN(std::string text, text_field(body, "new_timeline_id"));
    TRY_ASSIGN(TimelineId timeline, parse_timeline_id(text));
    TenantTimelineId id{tenant, timeline};
    if (has_text(body, "ancestor_timeline_id")) return branch(task, id, body);
    const char* field = has_text(body, "data_directory") ? "data_directory" : "import_datadir";
    TRY_ASSIGN(std::string data, text_field(body, field));
    uint64_t system_id = 0;  // the data directory's own
    if (has_text(body, "system_id")) {
      TRY_ASSIGN(std::string number, text_field(body, "system_id"));
      TRY_ASSIGN(system_id, parse_u64(number));
    }
    TRY_ASSIGN(std::shared_ptr<Timeline> made, tenants_.create_root(task, id, data, system_id));
    return http::json_response(describe(*made), 201);
  }
  Result<http::Response> remove(Task& task, const DeletionTarget& target) const {
    Status removed = tenants_.remove(task, target);
    if (removed.ok()) return http::json_response(json::object(), 202);
    if (!removed.is(Code::NotFound)) return removed.error();
    return http::json_response({{"msg", removed.error().message()},
                                {"code", to_string(Code::NotFound)},
                                {"deleted", tenants_.was_deleted(target)}},
                               404);
  }
  Result<http::Response> checkpoint(Task& task, const http::Request& request) const {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, tenants_.find(id));
    Deadline deadline(task, kCheckpointTimeout);
    TRY(timeline->checkpoint(task));
    return http::json_response(describe(*timeline));
  }
  Result<http::Response> compact(Task& task, const http::Request& request) const {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, tenants_.find(id));
    TRY(timeline->compact(task));
    return http::json_response(describe(*timeline));
  }
  Result<http::Response> detach_ancestor(Task& task, const http::Request& request) const {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, tenants_.detach_ancestor(task, id));
    return http::json_response(describe(*timeline));
  }
  Result<http::Response> configure_archival(Task& task, const http::Request& request) const {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(json body, request.json());
    TRY_ASSIGN(std::string state, text_field(body, "state"));
    if (state == "Archived")
      TRY(tenants_.archive(task, id));
    else if (state == "Unarchived")
      TRY(tenants_.unarchive(task, id));
    else
      return Error(Code::Invalid, "field 'state' must be \"Archived\" or \"Unarchived\"");
    return show_timeline(task, request);
  }
  Result<http::Response> evict(Task& task, const http::Request& request) const {
    TRY_ASSIGN(json body, request.json());
    if (!body.is_object() || !body.contains("evict_bytes") || !body["evict_bytes"].is_number_unsigned())
      return Error(Code::Invalid, "field 'evict_bytes' must be a number of bytes");
    TRY_ASSIGN(EvictionResult evicted, eviction_.evict(task, body["evict_bytes"].get<uint64_t>()));
    return http::json_response({{"evicted_layers", evicted.layers}, {"evicted_bytes", evicted.bytes}});
  }

 private:
  Result<http::Response> branch(Task& task, const TenantTimelineId& id, const json& body) const {
    TRY_ASSIGN(std::string text, text_field(body, "ancestor_timeline_id"));
    TRY_ASSIGN(TimelineId ancestor, parse_timeline_id(text));
    std::optional<Lsn> lsn;
    if (has_text(body, "ancestor_start_lsn")) {
      TRY_ASSIGN(Lsn parsed, parse_lsn(body["ancestor_start_lsn"].get<std::string>()));
      lsn = parsed;
    }
    TRY_ASSIGN(std::shared_ptr<Timeline> made, tenants_.branch(task, id, ancestor, lsn));
    return http::json_response(describe(*made), 201);
  }
  static json tenant_json(const TenantId& id, const Tenants::Tenant& tenant) {
    json timelines = json::array();
    for (const auto& [timeline, unused] : tenant.timelines) timelines.push_back(to_string(timeline));
    return {{"id", to_string(id)},
            {"state", {{"slug", "Active"}}},
            {"generation", tenant.generation.value},
            {"location", to_string(tenant.gc->mode)},
            {"timelines", timelines}};
  }

  Tenants& tenants_;
  TenantSizes sizes_{tenants_};
  Eviction& eviction_;
  NodeId id_;
};

}  // namespace

void add_routes(http::Router& router, Tenants& tenants, Eviction& eviction, const Metrics& metrics,
                NodeId id) {
  auto routes = std::make_shared<Routes>(tenants, eviction, id);
  using Request = http::Request;
  router.add_metrics(metrics);
  router.add("GET", "/v1/status", [routes](Task&, const Request&) { return routes->status(); });
  router.add("GET", "/status", [routes](Task&, const Request&) { return routes->status(); });
  router.add("GET", "/v1/tenant", [routes](Task&, const Request&) { return routes->list_tenants(); });
  router.add("POST", "/v1/tenant", [routes](Task& task, const Request& request) -> Result<http::Response> {
    TRY_ASSIGN(json body, request.json());
    TRY_ASSIGN(std::string text, text_field(body, "new_tenant_id"));
    TRY_ASSIGN(TenantId tenant, parse_tenant_id(text));
    return routes->create_tenant(task, tenant);
  });
  auto create_named = [routes](Task& task, const Request& request) -> Result<http::Response> {
    TRY_ASSIGN(TenantId tenant, parse_tenant_id(request.parameter("tenant")));
    return routes->create_tenant(task, tenant);
  };
  router.add("POST", "/v1/tenant/:tenant", create_named);
  router.add("GET", "/v1/tenant/:tenant/config",
             [routes](Task&, const Request& r) { return routes->show_config(r); });
  router.add("PUT", "/v1/tenant/:tenant/config",
             [routes](Task& task, const Request& r) { return routes->configure(task, r); });
  router.add("GET", "/v1/tenant/:tenant",
             [routes](Task&, const Request& r) { return routes->show_tenant(r); });
  router.add("GET", "/v1/tenant/:tenant/synthetic_size",
             [routes](Task& task, const Request& r) { return routes->synthetic_size(task, r); });
  router.add("GET", "/v1/tenant/:tenant/timeline",
             [routes](Task&, const Request& r) { return routes->list_timelines(r); });
  router.add("POST", "/v1/tenant/:tenant/timeline",
             [routes](Task& task, const Request& r) { return routes->create_timeline(task, r); });
  const std::string timeline = "/v1/tenant/:tenant/timeline/:timeline";
  router.add("GET", timeline,
             [routes](Task& task, const Request& r) { return routes->show_timeline(task, r); });
  router.add("DELETE", timeline, [routes](Task& task, const Request& r) -> Result<http::Response> {
    TRY_ASSIGN(TenantTimelineId id, id_of(r));
    return routes->remove(task, {id.tenant, id.timeline});
  });
  router.add("DELETE", "/v1/tenant/:tenant",
             [routes](Task& task, const Request& r) -> Result<http::Response> {
               TRY_ASSIGN(TenantId tenant, parse_tenant_id(r.parameter("tenant")));
               return routes->remove(task, {tenant, {}});
             });
  router.add("PUT", timeline + "/checkpoint",
             [routes](Task& task, const Request& r) { return routes->checkpoint(task, r); });
  router.add("PUT", timeline + "/compact",
             [routes](Task& task, const Request& r) { return routes->compact(task, r); });
  router.add("PUT", timeline + "/detach_ancestor",
             [routes](Task& task, const Request& r) { return routes->detach_ancestor(task, r); });
  router.add("PUT", timeline + "/archival_config",
             [routes](Task& task, const Request& r) { return routes->configure_archival(task, r); });
  router.add("GET", "/v1/tenant/:tenant/timeline_and_offloaded",
             [routes](Task&, const Request& r) { return routes->list_all_timelines(r); });
  router.add("PUT", "/v1/disk_usage_eviction/run",
             [routes](Task& task, const Request& r) { return routes->evict(task, r); });
  add_gc_routes(router, tenants);
  add_location_routes(router, tenants);
}

}  // namespace argon::pageserver
