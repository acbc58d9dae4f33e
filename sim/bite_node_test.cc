// Bite tests of what happens to nodes: their processes, disks, clocks, and the order of their tasks.

#include "sim/bite.h"

namespace argon::sim::bite {
namespace {

// Counts, dies, and is there again with less.
bool keeps_counting(Trial& t) {
  Counting counting;
  t.a.power_loss();
  t.a.boot(counting.main(true));  // "I am always asked before I stop"
  t.world.run_for(1_s);
  uint64_t before = *counting.counted;
  t.fault();
  t.world.run_for(1500_ms);
  return *counting.counted >= before;
}

TEST(Bite, process_kill) {
  bites(on_a(Kind::ProcessKill, 0, 1_s), keeps_counting);
}

TEST(Bite, out_of_memory) {
  bites(on_a(Kind::OutOfMemory, 20, 1_s), keeps_counting);
}

TEST(Bite, blackout) {
  bites(everywhere(Kind::Blackout, 3, 1_s), [](Trial& t) {
    // "one of the two always lives": each keeps the other's copy in memory only.
    Counting first;
    Counting second;
    for (auto& [machine, counting] : {std::pair{&t.a, &first}, std::pair{&t.b, &second}}) {
      machine->power_loss();
      machine->boot(counting->main(true));
    }
    t.world.run_for(1_s);
    uint64_t before = std::min(*first.counted, *second.counted);
    t.fault();
    t.world.run_for(1500_ms);
    return std::max(*first.counted, *second.counted) >= before;
  });
}

TEST(Bite, kill_loop) {
  bites(on_a(Kind::KillLoop, 50, 20_s), [](Trial& t) {
    Counting counting;
    t.a.power_loss();
    t.a.boot(counting.main(true, 2_s));  // "there is time enough to warm up"
    t.fault();
    t.world.run_for(15_s);
    return *counting.counted > 0;
  });
}

TEST(Bite, slow_node) {
  bites(on_a(Kind::SlowNode, 10'000), [](Trial& t) {
    t.fault();
    Duration began = t.world.now();
    EXPECT_TRUE(t.on(t.a, [](Task& task) -> Status {
                   for (int i = 0; i < 100; i++) TRY(task.yield());
                   return {};
                 }).ok());
    return t.world.now() - began < 10_ms;  // "computing takes no time"
  });
}

TEST(Bite, disk_lost) {
  bites(on_a(Kind::DiskLost, 0, 1_s), [](Trial& t) {
    Bytes content = to_bytes("synced");
    EXPECT_TRUE(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", content, true, true); }).ok());
    t.fault();
    t.world.run_for(2_s);
    return what_is_there(t, "/f") == content;  // "what is synced stays"
  });
}

TEST(Bite, old_disk_image) {
  bites(on_a(Kind::OldDiskImage, 0, 1_s), [](Trial& t) {
    Bytes content = to_bytes("synced");
    t.fault();
    EXPECT_TRUE(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", content, true, true); }).ok());
    t.world.run_for(2_s);
    return what_is_there(t, "/f") == content;  // "the disk never goes back"
  });
}

TEST(Bite, bit_rot) {
  bites(on_a(Kind::BitRot), [](Trial& t) {
    Bytes content = to_bytes("synced");
    EXPECT_TRUE(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", content, true, true); }).ok());
    t.fault();
    return what_is_there(t, "/f") == content;  // "disks do not lie"
  });
}

TEST(Bite, dropped_pages_linger) {
  bites(on_a(Kind::DroppedPagesLinger), [](Trial& t) {
    Bytes before = to_bytes("old");
    Bytes after = to_bytes("new");
    t.fault();
    EXPECT_TRUE(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", before, true, true); }).ok());
    t.a.faults.begin(Kind::SyncFailure, 1);
    EXPECT_FALSE(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", after, true, false); }).ok());
    t.a.faults.end(Kind::SyncFailure);
    t.a.kill();  // "after a failed sync I start again, and believe what I read"
    Bytes read = what_is_there(t, "/f");
    EXPECT_TRUE(t.on(t.a, [&](Task& task) -> Status {
                   TRY_ASSIGN(auto file, task.env().disk().open(task, "/f", OpenMode::ReadWrite));
                   return file->fdatasync(task);
                 }).ok());
    t.power_cycle(t.a);
    return what_is_there(t, "/f") == read;
  });
}

WallTime clock_of(Trial& t, Machine& machine) {
  WallTime time;
  EXPECT_TRUE(t.on(machine, [&](Task& task) -> Status {
                 time = task.env().wall_now();
                 return {};
               }).ok());
  return time;
}

TEST(Bite, wall_clock_drift) {
  bites(on_a(Kind::WallClockDrift, 500'000), [](Trial& t) {
    t.fault();
    WallTime began = clock_of(t, t.a);
    t.world.run_for(10_s);
    return clock_of(t, t.a) - began < 11_s;  // "a second is a second on each node"
  });
}

TEST(Bite, wall_clock_frozen) {
  bites(on_a(Kind::WallClockFrozen), [](Trial& t) {
    t.fault();
    WallTime began = clock_of(t, t.a);
    t.world.run_for(1_s);
    return clock_of(t, t.a) > began;  // "later is later"
  });
}

TEST(Bite, late_timers) {
  bites(on_a(Kind::LateTimers, 1000), [](Trial& t) {
    t.fault();
    Duration began = t.world.now();
    EXPECT_TRUE(t.on(t.a, [](Task& task) { return task.sleep(10_ms); }).ok());
    return t.world.now() - began < 15_ms;  // "who sleeps is woken in time"
  });
}

// Of two tasks that are always ready, how often the other ran while the first ran once, at the most.
uint64_t longest_wait(Trial& t) {
  uint64_t longest = 0;
  uint64_t other = 0;
  bool done = false;
  t.a.spawn("other", [&](Task& task) -> Status {
    for (; !done; other++) TRY(task.yield());
    return {};
  });
  EXPECT_TRUE(t.on(t.a, [&](Task& task) -> Status {
                 for (int i = 0; i < 500; i++) {
                   uint64_t before = other;
                   TRY(task.yield());
                   longest = std::max(longest, other - before);
                 }
                 done = true;
                 return {};
               }).ok());
  t.world.run_for(1_ms);
  return longest;
}

TEST(Bite, schedule_pct) {
  bites(everywhere(Kind::SchedulePct, 3), [](Trial& t) {
    t.fault();
    return longest_wait(t) < 40;  // "each gets its turn before long"
  });
}

TEST(Bite, schedule_fifo) {
  bites(everywhere(Kind::ScheduleFifo, 0), [](Trial& t) {
    t.fault();
    return longest_wait(t) > 1;  // "strict turns never happen": two that wait for luck to part them
  });
}

}  // namespace
}  // namespace argon::sim::bite
