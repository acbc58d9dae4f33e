#include "core/pageserver/pageserver.h"

#include "core/env/io.h"
#include "core/http/server.h"
#include "core/pageserver/heatmap.h"
#include "core/pageserver/location_routes.h"
#include "core/pageserver/management.h"

namespace argon::pageserver {

namespace {

constexpr Duration kStopTimeout = Duration::seconds(10);

// What is in memory is durable after a restart too, since safekeepers have it; this makes it quick.
void save_all(Task& task, Tenants& tenants) {
  Shield shield(task);
  Deadline deadline(task, kStopTimeout);
  for (const auto& [id, tenant] : tenants.all()) {
    for (const auto& [timeline_id, timeline] : tenant.timelines) {
      Status saved = timeline->save(task);
      if (!saved.ok()) timeline->log().warn("stopping without saving: {}", saved.error().to_string());
    }
  }
}

void add_gauges(Metrics& metrics, const Tenants& tenants) {
  auto sum = [&tenants](auto of) {
    int64_t total = 0;
    for (const auto& [id, tenant] : tenants.all())
      for (const auto& [timeline_id, timeline] : tenant.timelines)
        total += static_cast<int64_t>(of(*timeline));
    return total;
  };
  metrics.gauge_from("pageserver_timelines", "Timelines attached", {},
                     [sum] { return sum([](Timeline&) { return 1; }); });
  metrics.gauge_from("pageserver_timelines_resting", "Timelines that have nothing to do in the background",
                     {}, [sum] { return sum([](Timeline& t) { return t.rests() ? 1 : 0; }); });
  metrics.gauge_from("pageserver_memory_layer_bytes", "Values in memory layers", {},
                     [sum] { return sum([](Timeline& t) { return t.store().memory_bytes(); }); });
  metrics.gauge_from("pageserver_layer_bytes", "Bytes of all layer files", {},
                     [sum] { return sum([](Timeline& t) { return t.store().layer_bytes(); }); });
  metrics.gauge_from("pageserver_resident_layer_bytes", "Bytes of these on the node's disk", {},
                     [sum] { return sum([](Timeline& t) { return t.store().resident_bytes(); }); });
  metrics.gauge_from("pageserver_unreadable_pages", "Pages that could not be made of their records", {},
                     [sum] { return sum([](Timeline& t) { return t.catalog().unreadable().size(); }); });
  metrics.gauge_from("pageserver_redo_errors", "How often such a page was asked for", {},
                     [sum] { return sum([](Timeline& t) { return t.catalog().redo_errors(); }); });
  metrics.gauge_from("pageserver_layers", "Layer files", {},
                     [sum] { return sum([](Timeline& t) { return t.store().layers().size(); }); });
  metrics.gauge_from("pageserver_l0_layers", "Layer files that wait for compaction", {},
                     [sum] { return sum([](Timeline& t) { return t.store().l0_count(); }); });
  metrics.gauge_from("pageserver_timelines_waiting_for_compaction",
                     "Timelines that take no WAL until they have fewer L0 layers", {},
                     [sum] { return sum([](Timeline& t) { return t.store().too_many_l0() ? 1 : 0; }); });
  metrics.gauge_from("pageserver_secondary_resident_physical_size",
                     "Bytes of layers of secondary locations on the node's disk", {},
                     [&] { return static_cast<int64_t>(tenants.secondaries().resident_bytes()); });
  metrics.gauge_from("pageserver_secondary_heatmap_total_size",
                     "Bytes of layers that heatmaps of secondary locations list", {},
                     [&] { return static_cast<int64_t>(tenants.secondaries().heatmap_bytes()); });
}

}  // namespace

Status run_pageserver(Task& task, Env& env, const PageserverConfig& config, objstore::ObjectStore& store) {
  Logger log(env.log());
  TRY(make_dirs(task, env.disk(), config.data_dir));
  Metrics metrics;
  NodeCache nodes(config.index_blocks_cached);
  MaterializedPages made_pages(config.pages_cached, config.pages_cached_from, metrics);
  Semaphore uploads(config.uploads_at_once);
  DeletionQueue deletions(env, store, metrics);
  Services services{env,       store,      nodes, uploads, metrics, deletions, config.redo_process,
                    config.id, &made_pages};
  SafekeeperNews news;
  std::optional<Tenants> tenants;
  TRY_ASSIGN(std::unique_ptr<Listener> pages, env.network().listen(task, config.listen_pg));
  TRY_ASSIGN(std::unique_ptr<Listener> local_pages, listen_locally(task, env, config.listen_local));
  TRY_ASSIGN(std::unique_ptr<Listener> management, env.network().listen(task, config.listen_http));

  http::Router router;
  Status ended;
  TimelineOptions options = config.timeline;
  options.store.checkpoint_distance = config.checkpoint_distance;
  {
    Scope scope(task);
    tenants.emplace(services, options, config.data_dir, [&](std::shared_ptr<Timeline> timeline) {
      scope.spawn("timeline", [&, timeline](Task& t) {
        return timeline->live(t, [&](Scope& life) {
          life.spawn("layers", [&](Task& fiber) {
            return timeline->run(fiber, [&](Scope& busy) {
              if (!config.broker) return;
              busy.spawn("rebuild",
                         [&](Task& t) { return rebuild_layers(t, *timeline, news, config.receiver); });
            });
          });
          if (!config.broker) return;
          life.spawn("receiver",
                     [&](Task& fiber) { return receive_wal(fiber, *timeline, news, config.receiver); });
        });
      });
    });
    Status attached = tenants->attach_all(task);
    if (!attached.ok()) {
      ignore_result(scope.stop(task));
      return attached;
    }
    add_gauges(metrics, *tenants);
    metrics.gauge_from("pageserver_deletion_queue_objects", "Objects that wait to be removed", {},
                       [&] { return static_cast<int64_t>(deletions.size()); });
    Eviction eviction(services, *tenants, config.data_dir, config.eviction);
    tenants->secondaries().set_room([&](Task& t, uint64_t bytes) { return eviction.has_room(t, bytes); });
    HeatmapUploader heatmaps(services, *tenants);
    add_routes(router, *tenants, eviction, metrics, config.id);
    add_secondary_routes(router, *tenants, heatmaps);
    if (config.broker)
      scope.spawn("broker", [&](Task& t) { return follow_broker(t, *config.broker, news, config.receiver); });
    scope.spawn("deletions", [&](Task& t) { return deletions.run(t, options.retry_delay); });
    scope.spawn("attach", [&](Task& t) -> Status {
      while (!t.cancelled()) {
        TRY(t.sleep(options.retry_delay));
        if (tenants->pending()) TRY(tenants->attach_pending(t));
      }
      return {};
    });
    scope.spawn("deletions", [&](Task& t) { return tenants->run_deletions(t); });
    scope.spawn("heatmaps", [&](Task& t) { return heatmaps.run(t); });
    scope.spawn("secondaries", [&](Task& t) { return tenants->secondaries().run(t, config.secondary); });
    scope.spawn("eviction", [&](Task& t) { return eviction.run(t); });
    scope.spawn("pages", [&](Task& t) { return serve_pages(t, *pages, *tenants, metrics, config.pages); });
    if (local_pages != nullptr)
      scope.spawn("local pages",
                  [&](Task& t) { return serve_pages(t, *local_pages, *tenants, metrics, config.pages); });
    scope.spawn("management", [&](Task& t) { return http::serve(t, *management, router); });
    log.info("pageserver {} serves pages at {}, management at {}", config.id.value,
             to_string(pages->address()), to_string(management->address()));
    ended = scope.join(task);
  }
  save_all(task, *tenants);
  return ended;
}

}  // namespace argon::pageserver
