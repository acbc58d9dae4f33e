// tenant locations, secondary, migrate: which pageserver has a tenant.
//
// A move goes in the order that leaves no gap: a warm copy; the old pageserver stale, which has uploaded all
// it has; the new one attached beside it; endpoints over; the new one alone; the old one a copy, or nothing.
// state.json says where a tenant is from the moment the new one has it. Each step may be done again: so a
// move that was interrupted is ended by the same command.

#include <fmt/format.h>

#include <algorithm>

#include "core/http/json_fields.h"
#include "daemons/main/commands.h"

namespace argon::cli {
namespace {

using nlohmann::json;
using namespace literals;

constexpr const char* kHeatmapPeriod = "60s";
constexpr Duration kCatchUp = Duration::seconds(30);

std::string path_of(const TenantId& tenant) {
  return "/v1/tenant/" + to_string(tenant);
}

class Move {
 public:
  Move(Session& session, const TenantId& tenant, const PageserverNode& home, const PageserverNode& to)
      : session_(session), tenant_(tenant), home_(home), to_(to) {}

  Result<json> at(Task& task, const PageserverNode& node, const char* method, const std::string& rest,
                  const json& body = nullptr) {
    return session_.pageserver_at(task, node, method, path_of(tenant_) + rest, body, 90_s);
  }
  Status put(Task& task, const PageserverNode& node, const std::string& mode, uint64_t generation = 0) {
    json body{{"mode", mode}};
    if (generation > 0) body["generation"] = generation;
    TRY(at(task, node, "PUT", "/location_config", body));
    session_.say(fmt::format("pageserver {}: {}", node.id, mode));
    return {};
  }
  // "Detached" where it has nothing.
  Result<std::pair<std::string, uint64_t>> mode_at(Task& task, const PageserverNode& node) {
    auto shown = at(task, node, "GET", "/location_config");
    if (shown.is(Code::NotFound)) return std::pair(std::string("Detached"), uint64_t{0});
    TRY(shown);
    return std::pair(http::text_at(*shown, "mode"), http::number_at(*shown, "generation"));
  }

  // A copy at `to` that has all that is listed, or as much as comes in time.
  Result<json> warm(Task& task, Duration timeout) {
    TRY_ASSIGN(json config, at(task, home_, "GET", "/config"));
    if (!config.contains("heatmap_period")) {
      config["heatmap_period"] = kHeatmapPeriod;
      TRY(at(task, home_, "PUT", "/config", config));
    }
    TRY(at(task, home_, "POST", "/heatmap_upload"));
    TRY(put(task, to_, "Secondary"));
    MonotonicTime end = task.env().now() + timeout;
    for (;;) {
      TRY_ASSIGN(json progress, at(task, to_, "POST", "/secondary/download?wait_ms=5000"));
      uint64_t here = http::number_at(progress, "layers_downloaded");
      uint64_t all = http::number_at(progress, "layers_total");
      session_.say(fmt::format("pageserver {}: {} of {} layers are there", to_.id, here, all));
      if (here == all || task.env().now() >= end) return progress;
      TRY(task.sleep(500_ms));
    }
  }

  // From here on `to` has the tenant. After an error the old one goes on with it.
  Status attach(Task& task, bool force) {
    auto old = mode_at(task, home_);
    if (!old.ok() && !force)
      return old.error().with("the pageserver it leaves does not answer (--force takes it over)");
    if (old.ok() && old->first.starts_with("Attached")) TRY(put(task, home_, "AttachedStale"));
    TRY_ASSIGN(auto there, mode_at(task, to_));
    uint64_t newest = std::max(old.ok() ? old->second : 0, there.second);
    // What this pageserver does not know of is known in the object store.
    Status attached = put(task, to_, "AttachedMulti", force ? 0 : newest + 1);
    if (attached.ok()) return {};
    if (old.ok()) ignore_result(put(task, home_, "AttachedSingle"));
    return attached.error().with("the tenant stays at pageserver " + std::to_string(home_.id));
  }

  // Until `to` has ingested what the old one had.
  Status catch_up(Task& task) {
    auto old = at(task, home_, "GET", "/timeline");
    if (!old.ok()) return {};
    MonotonicTime end = task.env().now() + kCatchUp;
    for (;;) {
      TRY_ASSIGN(json now, at(task, to_, "GET", "/timeline"));
      if (!is_behind(*old, now) || task.env().now() >= end) return {};
      TRY(task.sleep(200_ms));
    }
  }

  // Those that run go on, and ask the new pageserver from here on.
  Status move_endpoints(Task& task) {
    TRY_ASSIGN(std::vector<Endpoint> endpoints, load_endpoints(session_.config()));
    auto runs = [&](const Endpoint& endpoint) {
      return endpoint_status(session_.config(), endpoint) == "running";
    };
    for (const Endpoint& endpoint : endpoints) {
      if (endpoint.id.tenant != tenant_ || !runs(endpoint)) continue;
      auto told = reload_endpoint(task, endpoint);
      if (!told.ok() && !runs(endpoint)) continue;
      // Settings that it refuses are not the move's business.
      if (!told.ok() && !told.is(Code::Invalid))
        return told.error().with("endpoint " + endpoint.name +
                                 " (the move goes on when it is asked for again)");
      session_.say(fmt::format("endpoint {}: asks pageserver {}", endpoint.name, to_.id));
    }
    return {};
  }

 private:
  static bool is_behind(const json& old, const json& now) {
    std::map<std::string, Lsn> there;
    auto lsn_of = [](const json& one) {
      auto lsn = parse_lsn(http::text_at(one, "last_record_lsn"));
      return lsn.ok() ? *lsn : Lsn();
    };
    for (const json& one : now) there[http::text_at(one, "timeline_id")] = lsn_of(one);
    return std::ranges::any_of(
        old, [&](const json& one) { return there[http::text_at(one, "timeline_id")] < lsn_of(one); });
  }

  Session& session_;
  TenantId tenant_;
  PageserverNode home_;
  PageserverNode to_;
};

struct Chosen {
  TenantId tenant;
  PageserverNode home;
  PageserverNode to;
};

Result<Chosen> choose(Session& session, const TenantMoveOptions& options) {
  Chosen chosen;
  TRY_ASSIGN(chosen.tenant, session.state().tenant(options.tenant_id));
  TRY_ASSIGN(chosen.home, session.config().pageserver(session.state().pageserver_of(chosen.tenant)));
  TRY_ASSIGN(chosen.to, session.config().pageserver(options.to));
  return chosen;
}

}  // namespace

Status tenant_locations(Task& task, Env& env, const Globals& globals, const TenantMoveOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  TRY_ASSIGN(TenantId tenant, session.state().tenant(options.tenant_id));
  std::vector<std::vector<std::string>> rows{{"PAGESERVER", "MODE", "GENERATION"}};
  json list = json::array();
  for (const PageserverNode& node : session.config().pageservers()) {
    Move move(session, tenant, node, node);
    auto mode = move.mode_at(task, node);
    std::string text = mode.ok() ? mode->first : "unknown";
    rows.push_back({std::to_string(node.id), text, mode.ok() ? std::to_string(mode->second) : "-"});
    list.push_back({{"pageserver", node.id}, {"mode", text}});
    if (mode.ok()) list.back()["generation"] = mode->second;
    if (!mode.ok()) list.back()["error"] = mode.error().message();
  }
  if (globals.json)
    globals.answer({{"tenant_id", to_string(tenant)}, {"locations", list}});
  else
    fmt::print("{}", table(rows));
  return {};
}

Status tenant_secondary(Task& task, Env& env, const Globals& globals, const TenantMoveOptions& options) {
  TRY_ASSIGN(Duration timeout, parse_duration(options.timeout));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(Chosen chosen, choose(session, options));
  if (chosen.to.id == chosen.home.id)
    return Error(
        Code::Invalid,
        fmt::format("pageserver {} serves the tenant: its warm copy belongs on another", chosen.to.id));
  Move move(session, chosen.tenant, chosen.home, chosen.to);
  json answer{{"tenant_id", to_string(chosen.tenant)}, {"pageserver", chosen.to.id}};
  if (options.remove) {
    TRY(move.put(task, chosen.to, "Detached"));
    answer["mode"] = "Detached";
  } else {
    TRY_ASSIGN(json progress, move.warm(task, timeout));
    answer["mode"] = "Secondary";
    answer.update(progress);
  }
  if (globals.json) globals.answer(answer);
  return {};
}

Status tenant_migrate(Task& task, Env& env, const Globals& globals, const TenantMoveOptions& options) {
  TRY_ASSIGN(Duration timeout, parse_duration(options.timeout));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(Chosen chosen, choose(session, options));
  Move move(session, chosen.tenant, chosen.home, chosen.to);
  bool moves = chosen.to.id != chosen.home.id;
  TRY_ASSIGN(auto there, move.mode_at(task, chosen.to));
  if (moves) {
    if (!there.first.starts_with("Attached")) {
      Result<json> warm = move.warm(task, timeout);
      if (!warm.ok() && !options.force) return warm.error();
    }
    TRY(move.attach(task, options.force));
    session.state().tenants[chosen.tenant].pageserver = chosen.to.id;
    TRY(session.save());
    TRY(move.catch_up(task));
  }
  // Which comes after endpoints.
  bool ended = !moves && there.first == "AttachedSingle";
  if (!ended) TRY(move.move_endpoints(task));
  if (!ended) TRY(move.put(task, chosen.to, "AttachedSingle"));
  for (const PageserverNode& node : session.config().pageservers()) {
    if (node.id == chosen.to.id) continue;
    auto mode = move.mode_at(task, node);
    if (mode.ok() && mode->first.starts_with("Attached"))
      TRY(move.put(task, node, options.detach ? "Detached" : "Secondary"));
  }
  if (globals.json)
    globals.answer({{"tenant_id", to_string(chosen.tenant)}, {"pageserver", chosen.to.id}});
  else
    session.say(fmt::format("tenant {} is at pageserver {}", to_string(chosen.tenant), chosen.to.id));
  return {};
}

}  // namespace argon::cli
