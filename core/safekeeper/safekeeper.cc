#include "core/safekeeper/safekeeper.h"

#include "core/env/io.h"
#include "core/safekeeper/broker_link.h"
#include "core/safekeeper/http_api.h"
#include "core/safekeeper/wal_service.h"

namespace argon::safekeeper {
namespace {

constexpr Duration kStopTimeout = Duration::seconds(30);

Status manage_loop(Task& task, const SafekeeperConfig& config, Timelines& timelines) {
  for (;;) {
    TRY(task.sleep(config.manage_interval));
    timelines.manage(task);
    TRY(timelines.needs_restart().with("a restart is needed"));
  }
}

// Serves until something ends: the task, or a part that should not.
Status serve(Task& task, Env& env, const SafekeeperConfig& config, Timelines& timelines) {
  Logger log(env.log());
  TRY_ASSIGN(auto wal_listener, env.network().listen(task, config.listen_wal));
  TRY_ASSIGN(auto local_listener, listen_locally(task, env, config.listen_local));
  TRY_ASSIGN(auto http_listener, env.network().listen(task, config.listen_http));
  log.info("safekeeper {} listens on {}, HTTP on {}", to_string(config.id),
           to_string(wal_listener->address()), to_string(http_listener->address()));
  Metrics metrics;
  WalService service(env, config, timelines);
  BrokerLink broker(env, config, timelines);
  http::Router router = make_router(config, timelines, metrics);
  Scope scope(task);
  scope.spawn("safekeeper.wal", [&](Task& t) { return service.serve(t, *wal_listener); });
  if (local_listener != nullptr)
    scope.spawn("safekeeper.local", [&](Task& t) { return service.serve(t, *local_listener); });
  scope.spawn("safekeeper.http", [&](Task& t) { return http::serve(t, *http_listener, router); });
  scope.spawn("safekeeper.manage", [&](Task& t) { return manage_loop(t, config, timelines); });
  scope.spawn("safekeeper.look", [&](Task& t) { return timelines.look_at_unknown(t); });
  if (config.evict_after > Duration())
    scope.spawn("safekeeper.evict", [&](Task& t) { return timelines.evict_idle(t); });
  if (config.broker) scope.spawn("safekeeper.broker", [&](Task& t) { return broker.run(t); });
  return scope.join(task);
}

}  // namespace

Status run_safekeeper(Task& task, Env& env, const SafekeeperConfig& config, objstore::ObjectStore* store) {
  if (config.id == NodeId(0)) return Error(Code::Invalid, "a safekeeper needs an id that is not 0");
  Logger log(env.log());
  Scope scope(task);
  Timelines timelines(env, scope, config, store);
  Status ended = timelines.load(task);
  if (ended.ok()) ended = serve(task, env, config, timelines);
  {
    Shield shield(task);
    Deadline deadline(task, kStopTimeout);
    ignore_result(timelines.stop(task));  // logs what could not be saved
    ignore_result(scope.stop(task));
  }
  log.info("safekeeper {} stopped", to_string(config.id));
  return ended.is(Code::Cancelled) ? Status() : ended;
}

}  // namespace argon::safekeeper
