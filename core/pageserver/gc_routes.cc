#include "core/pageserver/gc_routes.h"

#include <nlohmann/json.hpp>

#include "core/base/timestamp.h"

namespace argon::pageserver {

namespace {

using http::Request;
using nlohmann::json;
using Answer = Result<http::Response>;

Result<std::shared_ptr<Timeline>> timeline_of(const Tenants& tenants, const Request& request) {
  TRY_ASSIGN(TenantId tenant, parse_tenant_id(request.parameter("tenant")));
  TRY_ASSIGN(TimelineId timeline, parse_timeline_id(request.parameter("timeline")));
  return tenants.find({tenant, timeline});
}

Result<std::string> query_field(const Request& request, const std::string& name) {
  auto found = request.query.find(name);
  if (found != request.query.end()) return found->second;
  return Error(Code::Invalid, "'?" + name + "=' is missing");
}

std::string_view kind_text(LsnAtTime::Kind kind) {
  switch (kind) {
    case LsnAtTime::Kind::Present:
      return "present";
    case LsnAtTime::Kind::Future:
      return "future";
    case LsnAtTime::Kind::Past:
      return "past";
    case LsnAtTime::Kind::NoData:
      return "nodata";
  }
  return "nodata";
}

// The tenant's settings with what the request has in their place.
Result<std::optional<GcSettings>> settings_of(const Tenants& tenants, const Timeline& timeline,
                                              const Request& request) {
  if (request.body.empty()) return std::optional<GcSettings>();
  TRY_ASSIGN(json body, request.json());
  if (body.is_null()) return std::optional<GcSettings>();
  TRY_ASSIGN(const Tenants::Tenant* tenant, tenants.find(timeline.id().tenant));
  TRY(tenant->config);
  json whole = json::parse(to_json(*tenant->config));
  if (!body.is_object()) return Error(Code::Invalid, "a JSON object is expected");
  whole.update(body);
  TRY_ASSIGN(TenantConfig config, parse_tenant_config(whole.dump()));
  return std::optional(config.gc);
}

Answer do_gc(Task& task, const Tenants& tenants, const Request& request) {
  TRY_ASSIGN(std::shared_ptr<Timeline> timeline, timeline_of(tenants, request));
  TRY_ASSIGN(std::optional<GcSettings> settings, settings_of(tenants, *timeline, request));
  TRY_ASSIGN(GcResult result, timeline->gc(task, settings));
  return http::json_response({{"gc_cutoff_lsn", to_string(result.cutoff)},
                              {"layers_removed", result.layers},
                              {"bytes_removed", result.bytes}});
}

Answer lease(Task& task, const Tenants& tenants, const Request& request) {
  TRY_ASSIGN(std::shared_ptr<Timeline> timeline, timeline_of(tenants, request));
  TRY_ASSIGN(json body, request.json());
  if (!body.is_object() || !body.contains("lsn") || !body["lsn"].is_string())
    return Error(Code::Invalid, "field 'lsn' must be a text");
  TRY_ASSIGN(Lsn lsn, parse_lsn(body["lsn"].get<std::string>()));
  TRY_ASSIGN(WallTime until, timeline->lease(task, lsn));
  return http::json_response({{"lsn", to_string(lsn)}, {"valid_until", until.ns / 1'000'000}});
}

Answer lsn_by_timestamp(Task& task, const Tenants& tenants, const Request& request) {
  TRY_ASSIGN(std::shared_ptr<Timeline> timeline, timeline_of(tenants, request));
  TRY_ASSIGN(std::string text, query_field(request, "timestamp"));
  TRY_ASSIGN(WallTime time, parse_timestamp(text));
  TRY_ASSIGN(LsnAtTime at, timeline->lsn_at(task, time.to_postgres()));
  return http::json_response({{"lsn", to_string(at.lsn)}, {"kind", kind_text(at.kind)}});
}

Answer timestamp_of_lsn(Task& task, const Tenants& tenants, const Request& request) {
  TRY_ASSIGN(std::shared_ptr<Timeline> timeline, timeline_of(tenants, request));
  TRY_ASSIGN(std::string text, query_field(request, "lsn"));
  TRY_ASSIGN(Lsn lsn, parse_lsn(text));
  TRY_ASSIGN(std::optional<CommitTime> commit, timeline->commit_at(task, lsn));
  if (commit) return http::json_response(timestamp_text(WallTime::from_postgres(commit->time)));
  return Error(Code::NotFound,
               "timeline " + to_string(timeline->id()) + " has no commit up to " + to_string(lsn));
}

}  // namespace

void describe_gc(json& out, const Timeline& timeline, const TimelineIndex& index) {
  out["min_readable_lsn"] = to_string(timeline.min_readable());
  out["gc_cutoff_lsn"] = to_string(index.gc_cutoff);
  json retained = json::array();
  for (Lsn lsn : index.retained) retained.push_back(to_string(lsn));
  out["retained_lsns"] = retained;
  out["lsn_leases"] = timeline.leases();
  Status allowed = timeline.gc_allowed();
  out["gc_waits"] = allowed.ok() ? json(nullptr) : json(allowed.error().message());
}

void add_gc_routes(http::Router& router, Tenants& tenants) {
  const std::string timeline = "/v1/tenant/:tenant/timeline/:timeline/";
  auto add = [&](const char* method, const char* name, auto handler) {
    router.add(method, timeline + name,
               [&tenants, handler](Task& task, const Request& r) { return handler(task, tenants, r); });
  };
  add("PUT", "do_gc", do_gc);
  add("PUT", "lsn_lease", lease);
  add("POST", "lsn_lease", lease);
  add("GET", "get_lsn_by_timestamp", lsn_by_timestamp);
  add("GET", "get_timestamp_of_lsn", timestamp_of_lsn);
}

}  // namespace argon::pageserver
