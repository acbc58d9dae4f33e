// Back-pressure of compaction: a writer that never pauses has to wait for it, so that the number of L0
// layers, and with it what a read looks at, stays bounded. It does not wait where nothing compacts.

#include <gtest/gtest.h>

#include "core/env/points.h"
#include "core/fiber/scope.h"
#include "core/pageserver/value.h"
#include "sim/bucket.h"
#include "sim/machine.h"
#include "sim/pageserver_services.h"

namespace argon::sim {
namespace {

using namespace argon::literals;
using pageserver::LocationMode;
using pageserver::Timeline;

const TenantTimelineId kRoot{{{1}}, {{2}}};
constexpr Lsn kStart(0x2000000);
constexpr uint32_t kFrozen = 2;

// One timeline that lives.
class Attached {
 public:
  explicit Attached(uint32_t l0_limit) : l0_limit_(l0_limit) {
    machine_ = &world_.add_machine("pageserver");
    machine_->boot([](Task& task, Env&) { return task.sleep(Duration::seconds(100'000)); });
  }
  ~Attached() { machine_->power_loss(); }

  // Writes for a second of virtual time what fills hundreds of layers; the most L0 layers that were there at
  // once.
  Result<size_t> write(LocationMode mode) {
    size_t most = 0;
    Status done = world_.run(*machine_, [&](Task& task) -> Status {
      TRY(attach(task));
      gc_->mode = mode;
      Scope scope(task);
      scope.spawn("timeline", [this](Task& t) { return timeline_->run(t, [](Scope&) {}); });
      TRY(write_until(task, task.env().now() + 1_s, most));
      return scope.stop(task);
    });
    if (!done.ok()) return done.error();
    return most;
  }
  Lsn written() { return timeline_->last_record(); }
  uint64_t waits() const {
    return world_.probes()[static_cast<size_t>("pageserver.ingest-waited-for-compaction"_probe)];
  }

 private:
  Status attach(Task& task) {
    lived_.emplace(task.env(), store_);
    pageserver::TimelineOptions options;
    options.store.checkpoint_distance = 20'000;
    options.store.max_frozen = kFrozen;
    options.store.compaction_threshold = 4;
    options.store.compaction_limit = 4;
    options.store.l0_limit = l0_limit_;
    options.store.image_threshold = UINT32_MAX;  // these keys are no relation's
    timeline_.emplace(lived_->services, options, kRoot, "/data", nullptr, nullptr, gc_);
    pageserver::TimelineIndex index;
    index.id = kRoot;
    index.generation = Generation(1);
    index.start_lsn = index.disk_consistent = kStart;
    return timeline_->store().create(task, index);
  }

  // As ingest does.
  Status write_until(Task& task, MonotonicTime end, size_t& most) {
    pageserver::LayerStore& store = timeline_->store();
    for (uint32_t n = 0; task.env().now() < end; n++) {
      TRY(store.wait_for_room(task));
      Lsn lsn = store.last_record().value() + 8;
      store.put({0, 1663, 5, n % 97, 0, 0}, lsn, pageserver::image_value(Bytes(1000)));
      store.advance(lsn, lsn - 8);
      if (store.wants_freeze()) store.freeze();
      most = std::max(most, store.l0_count());
      TRY(n % 4 == 0 ? task.sleep(Duration::microseconds(100)) : Status());
    }
    return {};
  }

  uint32_t l0_limit_;
  World world_{WorldOptions{}};
  Machine* machine_ = nullptr;
  Bucket bucket_;
  BucketStore store_{bucket_, 1_ms};
  std::optional<PageserverServices> lived_;
  std::shared_ptr<pageserver::TenantGc> gc_ = std::make_shared<pageserver::TenantGc>();
  std::optional<Timeline> timeline_;
};

TEST(CompactionPressure, WritersWaitSoThatL0LayersAreBounded) {
  Attached unlimited(UINT32_MAX);
  auto most = unlimited.write(LocationMode::AttachedSingle);
  ASSERT_TRUE(most.ok()) << most.error().to_string();
  ASSERT_GT(*most, 40u) << "compaction keeps up by itself: nothing is tried here";
  EXPECT_EQ(unlimited.waits(), 0u);

  Attached limited(10);
  most = limited.write(LocationMode::AttachedSingle);
  ASSERT_TRUE(most.ok()) << most.error().to_string();
  // What was in memory when the limit was reached is flushed still.
  EXPECT_LE(*most, 10 + kFrozen + 1);
  EXPECT_GT(limited.waits(), 0u);
  EXPECT_GT(limited.written(), kStart + 8 * 1000) << "writers stand still";
}

TEST(CompactionPressure, NobodyWaitsWhereNothingMayBeCompacted) {
  Attached stale(10);
  auto most = stale.write(LocationMode::AttachedStale);
  ASSERT_TRUE(most.ok()) << most.error().to_string();
  EXPECT_GT(*most, 20u);
  EXPECT_EQ(stale.waits(), 0u);
}

}  // namespace
}  // namespace argon::sim
