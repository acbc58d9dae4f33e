// What a commit costs: one round trip to each safekeeper and one sync on each, no more. Messages and syncs
// are counted in the events of a plain world.

#include <gtest/gtest.h>

#include <array>

#include "scenarios/wal_service_parts.h"

namespace argon::scenarios {
namespace {

using namespace argon::literals;
using sim::Event;
using sim::EventKind;

sim::WorldOptions with_events() {
  sim::WorldOptions options;
  options.keep_events = true;
  return options;
}

// On one safekeeper and its connection.
struct Cost {
  int requests = 0;
  int answers = 0;
  int syncs = 0;

  friend bool operator==(const Cost&, const Cost&) = default;
};

void PrintTo(const Cost& cost, std::ostream* out) {
  *out << cost.requests << " requests, " << cost.answers << " answers, " << cost.syncs << " syncs";
}

class CommitCost : public testing::Test {
 protected:
  // What happened from one event to another, by safekeeper.
  std::vector<Cost> costs(uint64_t from, uint64_t until) {
    std::vector<Event> events = world_.log().events();
    std::map<uint32_t, size_t> to;  // connections of the compute
    std::vector<Cost> all(cluster_.safekeepers().size());
    for (uint64_t i = 0; i < until; i++) {
      const Event& event = events[i];
      bool compute = event.node == cluster_.compute().index();
      if (event.kind == EventKind::Connect && compute)
        if (auto place = place_of(world_.log().size(i))) to[event.a] = *place;
      if (i < from) continue;
      if (event.kind == EventKind::Send && to.contains(event.a))
        (compute ? all[to[event.a]].requests : all[to[event.a]].answers)++;
      if (event.kind == EventKind::DiskSync)
        if (auto place = place_of(event.node)) all[*place].syncs++;
    }
    return all;
  }
  std::optional<size_t> place_of(uint32_t node) const {
    for (size_t i = 0; i < cluster_.safekeepers().size(); i++)
      if (cluster_.safekeepers()[i]->index() == node) return i;
    return std::nullopt;
  }
  uint64_t now() { return world_.log().count(); }

  // Leads a term, in which `body` appends.
  void lead(const std::function<Status(Task&, compute::ProposerDriver&, pg::WalWriter&)>& body) {
    Status done = world_.run(cluster_.compute(), [&](Task& task) -> Status {
      Env& env = task.env();
      Scope scope(task);
      compute::ProposerDriver driver(scope, env, Logger(env.log()), cluster_.proposer_config(),
                                     [](Task& t, Term, Lsn) { return t.yield(); });
      driver.start();
      TRY_ASSIGN(consensus::Elected elected, driver.elect(task));
      pg::WalWriter writer({cluster_.proposer_config().proposer.server.system_id}, elected.start, Lsn());
      TRY(append(task, driver, writer));
      TRY(driver.finish(task));
      TRY(task.sleep(1_s));  // what follows an election is over
      TRY(body(task, driver, writer));
      return driver.stop(task);
    });
    EXPECT_TRUE(done.ok()) << done.error().to_string();
  }
  static Status append(Task& task, compute::ProposerDriver& driver, pg::WalWriter& writer) {
    Bytes body(100);
    pg::RecordBuilder record(pg::Rmgr::Xlog, 0x20, 3);
    record.main(body);
    writer.append(record);
    Lsn begin = writer.begin();
    return driver.append(task, begin, writer.take());
  }

  sim::World world_{with_events()};
  WalCluster cluster_{world_};
};

constexpr int kCommits = 50;

TEST_F(CommitCost, OneRoundTripAndOneSyncEach) {
  struct Span {
    uint64_t begin, acknowledged;
  };
  std::vector<Span> spans;
  uint64_t end = 0;
  lead([&](Task& task, compute::ProposerDriver& driver, pg::WalWriter& writer) -> Status {
    for (int i = 0; i < kCommits; i++) {
      uint64_t begin = now();
      TRY(append(task, driver, writer));
      TRY(driver.wait_committed(task, driver.end()));
      spans.push_back({begin, now()});
      TRY(task.sleep(10_ms));  // the slowest of the three has it, and all know that it is committed
    }
    end = now();
    return {};
  });
  ASSERT_EQ(spans.size(), static_cast<size_t>(kCommits));
  for (const Span& span : spans) {
    int whole = 0;
    for (const Cost& cost : costs(span.begin, span.acknowledged)) {
      EXPECT_LE(cost.syncs, 1);
      EXPECT_LE(cost.answers, 1);
      whole += cost.answers == 1 && cost.syncs == 1 ? 1 : 0;
    }
    EXPECT_GE(whole, 2) << "a quorum synced once and answered once";
  }
  // Afterwards each hears once that it is committed, and need not answer.
  for (const Cost& cost : costs(spans.front().begin, end))
    EXPECT_EQ(cost, (Cost{2 * kCommits, kCommits, kCommits}));
}

// Told that all is committed, they said nothing: they are asked, and no heartbeat (1 s) is waited for.
TEST_F(CommitCost, AnOrderlyEndTakesARoundTrip) {
  Duration took;
  lead([&](Task& task, compute::ProposerDriver& driver, pg::WalWriter& writer) -> Status {
    TRY(append(task, driver, writer));
    TRY(driver.wait_committed(task, driver.end()));
    TRY(task.sleep(10_ms));
    MonotonicTime begin = task.env().now();
    TRY(driver.finish(task));
    took = task.env().now() - begin;
    return {};
  });
  EXPECT_LT(took, 50_ms);
}

TEST_F(CommitCost, CommitsThatWaitTogetherShareASync) {
  uint64_t begin = 0, end = 0;
  lead([&](Task& task, compute::ProposerDriver& driver, pg::WalWriter& writer) -> Status {
    begin = now();
    for (int i = 0; i < kCommits; i++) {
      TRY(append(task, driver, writer));
      TRY(task.sleep(20_us));  // a sync takes some 700
    }
    TRY(driver.wait_committed(task, driver.end()));
    TRY(task.sleep(10_ms));
    end = now();
    return {};
  });
  for (const Cost& cost : costs(begin, end)) {
    EXPECT_LE(cost.syncs, kCommits / 4);
    EXPECT_LE(cost.answers, cost.syncs);
  }
}

}  // namespace
}  // namespace argon::scenarios
