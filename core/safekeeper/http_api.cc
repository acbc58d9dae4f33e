#include "core/safekeeper/http_api.h"

#include <nlohmann/json.hpp>

#include "core/base/checksum.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/management_json.h"
#include "core/safekeeper/pull.h"

namespace argon::safekeeper {
namespace {

using nlohmann::json;

constexpr uint64_t kDigestMax = 1u << 30;

Result<TenantTimelineId> id_of(const http::Request& request) {
  TRY_ASSIGN(TenantId tenant, parse_tenant_id(request.parameter("tenant")));
  TRY_ASSIGN(TimelineId timeline, parse_timeline_id(request.parameter("timeline")));
  return TenantTimelineId{tenant, timeline};
}

json describe(const SafekeeperConfig& config, Timeline& timeline, MonotonicTime now) {
  json out = {{"tenant_id", to_string(timeline.id().tenant)},
              {"timeline_id", to_string(timeline.id().timeline)}};
  if (!timeline.failure().ok()) {
    out["failure"] = timeline.failure().error().to_string();
    return out;
  }
  const consensus::AcceptorState& state = timeline.state();
  out.update(to_json(timeline.report()));
  out["wal_address"] = config.advertise_wal.empty() ? to_string(config.listen_wal) : config.advertise_wal;
  json history = json::array();
  for (const auto& entry : state.history.entries())
    history.push_back({{"term", entry.term.value}, {"lsn", to_string(entry.start)}});
  json peers = json::array();
  for (const auto& [id, peer] : timeline.peers())
    peers.push_back({{"sk_id", id.value},
                     {"term", peer.report.term.value},
                     {"last_log_term", peer.report.position.last_log_term.value},
                     {"flush_lsn", to_string(peer.report.position.flush)},
                     {"commit_lsn", to_string(peer.commit)},
                     {"heard_ms_ago", (now - peer.heard).to_milliseconds()}});
  out["mconf"] = to_json(state.configuration);
  out["acceptor_state"] = {{"term", state.term.value},
                           {"epoch", timeline.position().position.last_log_term.value},
                           {"term_history", history}};
  out["pg_info"] = {{"pg_version", state.server.pg_version},
                    {"system_id", state.server.system_id},
                    {"wal_seg_size", state.server.wal_segment_size}};
  out["asleep"] = timeline.asleep();
  out["evicted"] = timeline.evicted();
  if (!timeline.asleep()) {
    out["flush_lsn"] = to_string(timeline.acceptor().flush());
    out["write_lsn"] = to_string(timeline.acceptor().write());
    out["oldest_local_lsn"] = to_string(timeline.storage().oldest());
  }
  out["timeline_start_lsn"] = to_string(state.timeline_start);
  out["local_start_lsn"] = to_string(state.local_start);
  out["commit_lsn"] = to_string(state.commit);
  out["backup_lsn"] = to_string(timeline.backup());
  out["peer_horizon_lsn"] = to_string(timeline.peer_horizon());
  out["remote_consistent_lsn"] = to_string(timeline.remote_consistent());
  out["proposers"] = timeline.proposers();
  out["readers"] = timeline.readers();
  out["damaged_reads"] = timeline.damaged_reads();
  if (!timeline.wal_refused().ok()) out["wal_refused"] = timeline.wal_refused().error().message();
  out["peers"] = peers;
  return out;
}

class Api {
 public:
  Api(const SafekeeperConfig& config, Timelines& timelines, Metrics& metrics)
      : config_(config), timelines_(timelines), metrics_(metrics) {}

  Result<http::Response> list(Task&, const http::Request&) {
    json all = json::array();
    for (const TenantTimelineId& id : timelines_.ids())
      all.push_back({{"tenant_id", to_string(id.tenant)}, {"timeline_id", to_string(id.timeline)}});
    return http::json_response(all);
  }

  Result<http::Response> create(Task& task, const http::Request& request) {
    TRY_ASSIGN(json body, request.json());
    TRY_ASSIGN(std::string tenant, text_field(body, "tenant_id"));
    TRY_ASSIGN(std::string timeline, text_field(body, "timeline_id"));
    TenantTimelineId id;
    TRY_ASSIGN(id.tenant, parse_tenant_id(tenant));
    TRY_ASSIGN(id.timeline, parse_timeline_id(timeline));
    TRY_ASSIGN(consensus::Configuration configuration, configuration_of(body));
    TRY_ASSIGN(uint64_t version, number_field(body, "pg_version", 0));
    TRY_ASSIGN(uint64_t system_id, number_field(body, "system_id", 0));
    TRY_ASSIGN(uint64_t segment, number_field(body, "wal_seg_size", pg::kWalSegmentSize));
    if (segment != pg::kWalSegmentSize)
      return Error(Code::Unsupported, "WAL segments other than 16 MB are not supported");
    Lsn start;
    if (body.contains("start_lsn")) {
      TRY_ASSIGN(std::string text, text_field(body, "start_lsn"));
      TRY_ASSIGN(start, parse_lsn(text));
    }
    consensus::ServerInfo server{static_cast<uint32_t>(version), system_id, static_cast<uint32_t>(segment)};
    TRY_ASSIGN(std::shared_ptr<Timeline> created, timelines_.create(task, id, configuration, server, start));
    return http::json_response(describe(config_, *created, task.env().now()), 201);
  }

  Result<http::Response> status(Task& task, const http::Request& request) {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, timelines_.find(id));
    if (!timeline->known()) {
      TRY_ASSIGN(timeline, timelines_.use(task, id));
    }
    return http::json_response(describe(config_, *timeline, task.env().now()));
  }

  // Copies the timeline from a peer, and joins.
  Result<http::Response> pull(Task& task, const http::Request& request) {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(json body, request.json());
    PullRequest pull{id, {}, {}};
    TRY_ASSIGN(pull.configuration, configuration_of(body));
    auto donors = body.find("donors");
    if (donors == body.end() || !donors->is_array() ||
        donors->size() > 2 * consensus::Configuration::kMembersMax)
      return Error(Code::Invalid, "field 'donors' must be a list of HOST:PORT, of HTTP");
    for (const json& donor : *donors) {
      if (!donor.is_string()) return Error(Code::Invalid, "a donor must be HOST:PORT");
      TRY_ASSIGN(Address address, parse_address(donor.get<std::string>()));
      pull.donors.push_back(std::move(address));
    }
    TRY_ASSIGN(std::shared_ptr<Timeline> pulled, pull_timeline(task, timelines_, pull));
    return http::json_response(to_json(pulled->report()), 201);
  }

  Result<http::Response> exclude(Task& task, const http::Request& request) {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(json body, request.json());
    TRY_ASSIGN(consensus::Configuration configuration, configuration_of(body));
    TRY(timelines_.exclude(task, id, configuration));
    return http::json_response(json::object());
  }

  Result<http::Response> raise_term(Task& task, const http::Request& request) {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(json body, request.json());
    TRY_ASSIGN(uint64_t term, number_field(body, "term", 0));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, timelines_.use(task, id));
    TRY(timeline->raise_term(task, Term(term)));
    return http::json_response(to_json(timeline->report()));
  }

  Result<http::Response> remove(Task& task, const Tombstone& what) {
    TRY_ASSIGN(bool done, timelines_.remove(task, what));
    return http::json_response({{"done", done}}, done ? 200 : 202);
  }
  Result<http::Response> remove_timeline(Task& task, const http::Request& request) {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    return remove(task, {id.tenant, id.timeline});
  }
  Result<http::Response> remove_tenant(Task& task, const http::Request& request) {
    TRY_ASSIGN(TenantId tenant, parse_tenant_id(request.parameter("tenant")));
    return remove(task, {tenant, {}});
  }
  Result<http::Response> tombstones(Task&, const http::Request&) {
    json all = json::array();
    for (const Tombstone& what : timelines_.tombstones()) {
      json one{{"tenant_id", to_string(what.tenant)}};
      if (what.timeline) one["timeline_id"] = to_string(*what.timeline);
      all.push_back(std::move(one));
    }
    return http::json_response(all);
  }

  Result<http::Response> membership(Task& task, const http::Request& request) {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(json body, request.json());
    TRY_ASSIGN(consensus::Configuration configuration, configuration_of(body));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, timelines_.use(task, id));
    TRY(timeline->set_configuration(task, configuration));
    json answer = to_json(timeline->report());
    answer["current_conf"] = to_json(timeline->state().configuration);
    return http::json_response(answer);
  }

  Result<http::Response> checkpoint(Task& task, const http::Request& request) {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, timelines_.use(task, id));
    TRY(timeline->save(task));
    return http::json_response(json::object());
  }

  Result<http::Response> digest(Task& task, const http::Request& request) {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, timelines_.use(task, id));
    TRY(timeline->failure());
    auto from_text = request.query.find("from_lsn");
    auto until_text = request.query.find("until_lsn");
    if (from_text == request.query.end() || until_text == request.query.end())
      return Error(Code::Invalid, "digest needs from_lsn and until_lsn");
    TRY_ASSIGN(Lsn from, parse_lsn(from_text->second));
    TRY_ASSIGN(Lsn until, parse_lsn(until_text->second));
    if (until < from || until - from > kDigestMax || until > timeline->acceptor().commit())
      return Error(Code::Invalid, "digest of a range that is not committed WAL, or longer than 1 GB");
    uint32_t crc = 0;
    Bytes chunk(128 * 1024);
    for (Lsn at = from; at < until;) {
      TRY_ASSIGN(size_t n, timeline->read_wal(task, at, until, chunk));
      if (n == 0) return Error(Code::NotFound, "no WAL at " + to_string(at));
      crc = crc32c_extend(crc, ByteView(chunk).first(n));
      at += n;
    }
    return http::json_response({{"crc32c", crc}});
  }

  Result<http::Response> wal_chain(Task& task, const http::Request& request) {
    TRY_ASSIGN(TenantTimelineId id, id_of(request));
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, timelines_.use(task, id));
    TRY(timeline->failure());
    Lsn at = timeline->state().commit;
    if (auto text = request.query.find("lsn"); text != request.query.end()) {
      TRY_ASSIGN(at, parse_lsn(text->second));
    }
    TRY_ASSIGN(ChainLink link, timeline->chain_at(task, at));
    return http::json_response(to_json(link));
  }

  Result<http::Response> metrics(Task&, const http::Request&) {
    for (const TenantTimelineId& id : timelines_.ids()) refresh(id);
    metrics_.gauge("argon_safekeeper_timelines", "Timelines served.")
        .set(static_cast<int64_t>(timelines_.size()));
    metrics_.gauge("argon_safekeeper_timelines_broken", "Timelines on disk whose control file is damaged.")
        .set(static_cast<int64_t>(timelines_.broken().size()));
    metrics_.gauge("argon_safekeeper_timelines_unknown", "Timelines whose WAL is still to be looked at.")
        .set(static_cast<int64_t>(timelines_.unknown()));
    metrics_.gauge("argon_safekeeper_timelines_evicted", "Timelines whose WAL is in the object store alone.")
        .set(static_cast<int64_t>(timelines_.evicted()));
    return http::text_response(metrics_.to_text());
  }

 private:
  void refresh(const TenantTimelineId& id) {
    auto found = timelines_.find(id);
    if (!found.ok()) return;
    const Timeline& timeline = **found;
    Labels labels{{"tenant_id", to_string(id.tenant)}, {"timeline_id", to_string(id.timeline)}};
    auto set = [&](const std::string& name, std::string_view help, uint64_t value) {
      metrics_.gauge("argon_safekeeper_" + name, help, labels).set(static_cast<int64_t>(value));
    };
    set("serving", "1 while the timeline is served.", timeline.failure().ok() ? 1 : 0);
    set("wal_refused", "1 while the disk is too full to take WAL; readers are served.",
        timeline.wal_refused().ok() ? 0 : 1);
    set("damaged_reads", "Reads and uploads refused since WAL was changed on this disk.",
        timeline.damaged_reads());
    set("asleep", "1 while nobody uses the timeline.", timeline.asleep() ? 1 : 0);
    set("evicted", "1 while its WAL is in the object store alone.", timeline.evicted() ? 1 : 0);
    set("evictions", "Times its WAL went from this disk, since the start.", timeline.evictions());
    set("returns", "Times its WAL came back from the object store, since the start.", timeline.returns());
    set("return_failures", "Times its WAL could not be had from the object store.",
        timeline.failed_returns());
    const DecodedWal& decoded = timeline.decoded();
    set("wal_decoders", "Decoders of WAL for readers that want it interpreted.", decoded.windows());
    set("wal_decoders_made", "Those since the start.", decoded.windows_made());
    set("wal_decoded_bytes", "WAL decoded for such readers since the start.", decoded.bytes_decoded());
    set("wal_decoded_batches", "Batches of it that were made.", decoded.batches_decoded());
    if (!timeline.failure().ok() || !timeline.known()) return;
    const consensus::AcceptorState& state = timeline.state();
    set("flush_lsn", "End of the last whole record on disk.", timeline.position().position.flush.value);
    set("commit_lsn", "Committed by a quorum.", state.commit.value);
    set("backup_lsn", "In the object store as full segments.", timeline.backup().value);
    set("remote_consistent_lsn", "In the object store as a pageserver's layers.",
        timeline.remote_consistent().value);
    set("peer_horizon_lsn", "Flushed by every member.", timeline.peer_horizon().value);
    set("acceptor_term", "Term of the acceptor.", state.term.value);
    set("feedback_readers", "Readers connected.", timeline.readers());
    set("proposers", "Proposers connected.", timeline.proposers());
    set("flushes", "Flushes of WAL since the start.", timeline.flushes());
    if (!timeline.asleep()) set("syncs", "Files synced since it awoke.", timeline.storage().syncs());
  }

  const SafekeeperConfig& config_;
  Timelines& timelines_;
  Metrics& metrics_;
};

}  // namespace

http::Router make_router(const SafekeeperConfig& config, Timelines& timelines, Metrics& metrics) {
  auto api = std::make_shared<Api>(config, timelines, metrics);
  http::Router router;
  using Method = Result<http::Response> (Api::*)(Task&, const http::Request&);
  auto add = [&](const char* verb, const char* pattern, Method method) {
    router.add(verb, pattern,
               [api, method](Task& t, const http::Request& r) { return ((*api).*method)(t, r); });
  };
  router.add("GET", "/v1/status", [&config](Task&, const http::Request&) -> Result<http::Response> {
    return http::json_response({{"id", config.id.value}});
  });
  add("GET", "/metrics", &Api::metrics);
  add("GET", "/v1/tenant/timeline", &Api::list);
  add("POST", "/v1/tenant/timeline", &Api::create);
  add("GET", "/v1/tenant/:tenant/timeline/:timeline", &Api::status);
  add("GET", "/v1/tombstone", &Api::tombstones);
  add("DELETE", "/v1/tenant/:tenant", &Api::remove_tenant);
  add("DELETE", "/v1/tenant/:tenant/timeline/:timeline", &Api::remove_timeline);
  add("PUT", "/v1/tenant/:tenant/timeline/:timeline/membership", &Api::membership);
  add("POST", "/v1/tenant/:tenant/timeline/:timeline/pull", &Api::pull);
  add("PUT", "/v1/tenant/:tenant/timeline/:timeline/exclude", &Api::exclude);
  add("POST", "/v1/tenant/:tenant/timeline/:timeline/term_bump", &Api::raise_term);
  add("POST", "/v1/tenant/:tenant/timeline/:timeline/checkpoint", &Api::checkpoint);
  add("GET", "/v1/tenant/:tenant/timeline/:timeline/digest", &Api::digest);
  add("GET", "/v1/tenant/:tenant/timeline/:timeline/wal_chain", &Api::wal_chain);
  return router;
}

}  // namespace argon::safekeeper
