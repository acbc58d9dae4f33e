// What a pageserver consists of apart from its services on the network, for programs that measure it.

#pragma once

#include <memory>
#include <string>

#include "bench/clock.h"
#include "core/objstore/local_store.h"
#include "core/pageserver/tenants.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace argon::bench {

// One tenant, whose object store is a folder. The object store outlives it.
class PageserverWorld {
 public:
  // `background`: timelines flush, compact and upload by themselves, in `scope`.
  PageserverWorld(Env& env, objstore::ObjectStore& objects, const std::string& folder, Scope& scope,
                  bool background)
      : deletions_(env, objects, metrics_),
        services_{env, objects, nodes_, uploads_, metrics_, deletions_},
        tenants_(services_, {}, folder, [&scope, background](std::shared_ptr<pageserver::Timeline> timeline) {
          if (!background) return;
          scope.spawn("timeline", [timeline](Task& t) {
            return timeline->live(t, [timeline](Scope& life) {
              life.spawn("layers", [timeline](Task& fiber) { return timeline->run(fiber, [](Scope&) {}); });
            });
          });
        }) {}

  pageserver::Tenants& tenants() { return tenants_; }
  static TenantTimelineId id(uint8_t number) {
    TenantTimelineId id;
    id.tenant.bytes[0] = id.timeline.bytes[0] = 1;
    id.timeline.bytes[1] = number;
    return id;
  }

 private:
  Metrics metrics_;
  pageserver::NodeCache nodes_{8192};
  Semaphore uploads_{2};
  pageserver::DeletionQueue deletions_;
  pageserver::Services services_;
  pageserver::Tenants tenants_;
};

// Runs `body` in the real world with an object store in DIR/objects. The program's exit status.
template <typename Body>
int run_world(const char* program, const std::string& folder, const Body& body) {
  posix::LogFile log("bench", "", LogLevel::Warn, posix::read_wall_clock);
  posix::PosixEnv env(log, {});
  Status done = env.run("bench", [&](Task& task) -> Status {
    TRY_ASSIGN(auto objects, objstore::LocalStore::open(task, env.disk(), folder + "/objects", "bench"));
    Scope scope(task);
    Status ran = body(task, env, *objects, scope);
    Status stopped = scope.stop(task);
    return ran.ok() ? stopped : ran;
  });
  if (done.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", program, done.error().to_string().c_str());
  return 1;
}

}  // namespace argon::bench
