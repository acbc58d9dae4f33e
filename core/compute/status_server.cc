#include "core/compute/status_server.h"

#include <nlohmann/json.hpp>

#include "core/http/server.h"

namespace argon::compute {
namespace {

nlohmann::json describe(const ComputeConfig& config, const EndpointStatus& status) {
  nlohmann::json body = {{"endpoint", config.endpoint},
                         {"tenant_id", to_string(config.id.tenant)},
                         {"timeline_id", to_string(config.id.timeline)},
                         {"mode", to_string(config.mode)},
                         {"pageserver_address", to_string(config.pageserver)},
                         {"status", status.state},
                         {"postgres_pid", status.pid},
                         {"term", status.term.value},
                         {"start_lsn", to_string(status.start)}};
  if (status.driver != nullptr) {
    const PageserverPositions& pageserver = status.driver->pageserver();
    body["end_lsn"] = to_string(status.driver->end());
    body["commit_lsn"] = to_string(status.driver->committed());
    body["pageserver"] = {{"last_received_lsn", to_string(pageserver.last_received)},
                          {"disk_consistent_lsn", to_string(pageserver.disk_consistent)},
                          {"remote_consistent_lsn", to_string(pageserver.remote_consistent)}};
  }
  return body;
}

void add_metrics(Metrics& metrics, const ComputeConfig& config, const EndpointStatus& status) {
  Labels labels = {{"endpoint", config.endpoint},
                   {"tenant_id", to_string(config.id.tenant)},
                   {"timeline_id", to_string(config.id.timeline)}};
  auto lsn = [&](const char* name, const char* help, Lsn (*value)(const ProposerDriver&)) {
    metrics.gauge_from(name, help, labels, [&status, value] {
      return status.driver == nullptr ? 0 : static_cast<int64_t>(value(*status.driver).value);
    });
  };
  metrics.gauge_from("argon_compute_running", "1 while the server accepts connections", labels,
                     [&status] { return status.state == "running" ? 1 : 0; });
  metrics.gauge_from("argon_compute_term", "Term of the proposer", labels,
                     [&status] { return static_cast<int64_t>(status.term.value); });
  lsn("argon_compute_end_lsn", "End of the WAL handed over by the server",
      [](const ProposerDriver& driver) { return driver.end(); });
  lsn("argon_compute_commit_lsn", "WAL that a quorum has",
      [](const ProposerDriver& driver) { return driver.committed(); });
  lsn("argon_compute_pageserver_received_lsn", "WAL that the pageserver has received",
      [](const ProposerDriver& driver) { return driver.pageserver().last_received; });
  lsn("argon_compute_pageserver_remote_lsn", "WAL that is in the object store",
      [](const ProposerDriver& driver) { return driver.pageserver().remote_consistent; });
}

}  // namespace

Status serve_status(Task& task, Env& env, LiveConfig& live, const EndpointStatus& status) {
  const ComputeConfig& config = live.now();
  Metrics metrics;
  add_metrics(metrics, config, status);
  http::Router router;
  router.add_metrics(metrics);
  router.add("GET", "/status", [&](Task&, const http::Request&) -> Result<http::Response> {
    return http::json_response(describe(config, status));
  });
  router.add("POST", "/reload", [&](Task& t, const http::Request&) -> Result<http::Response> {
    TRY_ASSIGN(nlohmann::json done, live.reload(t));
    return http::json_response(done);
  });
  TRY_ASSIGN(std::unique_ptr<Listener> listener, env.network().listen(task, config.http_listen));
  return http::serve(task, *listener, router);
}

}  // namespace argon::compute
