// Bite tests of the network, the disk, processes and clocks.

#include "sim/bite.h"

namespace argon::sim::bite {
namespace {

TEST(Bite, latency_tail) {
  bites(everywhere(Kind::LatencyTail, 1), [](Trial& t) {
    t.fault();
    return round_trip(t, 10_s) < 20_ms;  // "it is always fast"
  });
}

TEST(Bite, slow_link) {
  bites(from_a_to_b(Kind::SlowLink, 100), [](Trial& t) {
    t.fault();
    return round_trip(t, 10_s) < 5_ms;
  });
}

TEST(Bite, short_reads) {
  bites(everywhere(Kind::ShortReads, 1), [](Trial& t) {
    t.fault();
    size_t got = 0;
    Status status = t.on(t.a, [&](Task& task) -> Status {
      TRY_ASSIGN(auto stream, dial(task));
      Bytes message(100);
      TRY(write_all(task, *stream, message));
      TRY(task.sleep(1_s));
      TRY_ASSIGN(got, stream->read(task, message));  // "one read gives the whole message"
      return {};
    });
    return status.ok() && got == 100;
  });
}

TEST(Bite, short_writes) {
  bites(everywhere(Kind::ShortWrites, 1), [](Trial& t) {
    t.fault();
    return t
        .on(t.a,
            [](Task& task) -> Status {
              TRY_ASSIGN(auto stream, dial(task));
              Bytes message(100);
              TRY(stream->write(task, message));  // "one write takes the whole message"
              return read_exact(task, *stream, message);
            })
        .ok();
  });
}

TEST(Bite, buffer_pressure) {
  bites(everywhere(Kind::BufferPressure, 100), [](Trial& t) {
    t.fault();
    return t
        .on(t.a,
            [](Task& task) -> Status {
              TRY_ASSIGN(auto stream, dial(task));
              Bytes message(4000);
              TRY(write_all(task, *stream, message));  // "writing never waits for my own reading"
              return read_exact(task, *stream, message);
            })
        .ok();
  });
}

TEST(Bite, reset) {
  bites(on_b(Kind::Reset), [](Trial& t) {
    bool reset_due = false;
    std::optional<Status> ended;
    t.a.spawn("client", [&](Task& task) -> Status {
      ended = [&]() -> Status {
        TRY_ASSIGN(auto stream, dial(task));
        while (!reset_due) TRY(task.sleep(10_ms));
        Bytes byte(1);
        TRY(write_all(task, *stream, byte));  // "a connection lasts for ever"
        return read_exact(task, *stream, byte);
      }();
      return {};
    });
    t.world.run_for(1_s);
    t.fault();
    reset_due = true;
    t.world.run_for(1_s);
    return ended.has_value() && ended->ok();
  });
}

TEST(Bite, refuse) {
  bites(on_b(Kind::Refuse), [](Trial& t) {
    t.fault();
    return round_trip(t, 10_s) < 10_s;  // "the server is there"
  });
}

TEST(Bite, connect_hang) {
  bites(on_b(Kind::ConnectHang), [](Trial& t) {
    t.fault();
    return round_trip(t, 10_s) < 10_s;  // "connect needs no deadline"
  });
}

TEST(Bite, one_way_partition) {
  bites(from_a_to_b(Kind::OneWayPartition), heartbeats_arrive);
}

TEST(Bite, group_partition) {
  bites(everywhere(Kind::GroupPartition, 1), heartbeats_arrive);
}

TEST(Bite, clog) {
  bites(from_a_to_b(Kind::Clog), heartbeats_arrive);
}

TEST(Bite, half_open) {
  bites(on_b(Kind::HalfOpen), [](Trial& t) {
    bool told = false;
    t.fault();
    t.a.spawn("reader", [&](Task& task) -> Status {
      TRY_ASSIGN(auto stream, dial(task));
      Bytes byte(1);
      ignore_result(stream->read(task, byte));  // "when the peer dies I am told"
      told = true;
      return {};
    });
    t.world.run_for(1_s);
    t.b.power_loss();
    t.world.run_for(1_s);
    bool survived = told;
    t.a.power_loss();
    return survived;
  });
}

TEST(Bite, unsynced_data_lost) {
  bites(on_a(Kind::UnsyncedDataLost), [](Trial& t) {
    t.fault();
    Bytes content = to_bytes("acknowledged");
    EXPECT_TRUE(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", content, false, true); }).ok());
    t.power_cycle(t.a);
    return what_is_there(t, "/f") == content;  // "written is written"
  });
}

TEST(Bite, torn_sectors) {
  bites(on_a(Kind::TornSectors), [](Trial& t) {
    t.fault();
    Bytes before(4096, 'b');
    Bytes after(4096, 'a');
    EXPECT_TRUE(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", before, true, true); }).ok());
    EXPECT_TRUE(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", after, false, true); }).ok());
    t.power_cycle(t.a);
    Bytes found = what_is_there(t, "/f");
    return found == before || found == after;  // "a page is written whole or not at all"
  });
}

TEST(Bite, unsynced_names_lost) {
  bites(on_a(Kind::UnsyncedNamesLost), [](Trial& t) {
    t.fault();
    Bytes content = to_bytes("synced");
    EXPECT_TRUE(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", content, true, false); }).ok());
    t.power_cycle(t.a);
    return what_is_there(t, "/f") == content;  // "syncing the file is enough"
  });
}

TEST(Bite, read_error) {
  bites(on_a(Kind::ReadError, 1), [](Trial& t) {
    Bytes content = to_bytes("there");
    EXPECT_TRUE(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", content, true, true); }).ok());
    t.fault();
    return what_is_there(t, "/f") == content;  // "what was written can be read"
  });
}

TEST(Bite, write_error) {
  bites(on_a(Kind::WriteError, 1), [](Trial& t) {
    t.fault();
    Bytes content = to_bytes("there");
    // "writing to a disk works"
    ignore_result(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", content, true, true); }));
    return what_is_there(t, "/f") == content;
  });
}

TEST(Bite, sync_failure) {
  bites(on_a(Kind::SyncFailure, 2), [](Trial& t) {
    t.fault();
    Bytes content = to_bytes("synced in the end");
    Status status = t.on(t.a, [&](Task& task) -> Status {
      TRY_ASSIGN(auto file, task.env().disk().open(task, "/f", OpenMode::Create));
      while (!task.env().disk().sync_dir(task, "/").ok()) {
      }
      TRY(write_all_at(task, *file, 0, content));
      while (!file->fdatasync(task).ok()) {  // "try again until it works"
      }
      return {};
    });
    EXPECT_TRUE(status.ok());
    t.power_cycle(t.a);
    return what_is_there(t, "/f") == content;
  });
}

TEST(Bite, no_space) {
  bites(on_a(Kind::NoSpace), [](Trial& t) {
    t.fault();
    Bytes content = to_bytes("there");
    ignore_result(t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", content, true, true); }));
    return what_is_there(t, "/f") == content;  // "disks are large"
  });
}

TEST(Bite, slow_disk) {
  bites(on_a(Kind::SlowDisk, 1000), [](Trial& t) {
    t.fault();
    Duration began = t.world.now();
    EXPECT_TRUE(
        t.on(t.a, [&](Task& task) { return write_plainly(task, "/f", as_bytes("x"), true, true); }).ok());
    return t.world.now() - began < 100_ms;  // "a sync takes a few milliseconds"
  });
}

TEST(Bite, power_loss) {
  bites(on_a(Kind::PowerLoss, 0, 1_s), [](Trial& t) {
    Counting counting;
    t.a.power_loss();
    t.a.boot(counting.main(true));  // "I am always asked before I stop"
    t.world.run_for(1_s);
    uint64_t before = *counting.counted;
    t.fault();
    t.world.run_for(1500_ms);
    return *counting.counted >= before;
  });
}

TEST(Bite, graceful_restart) {
  bites(on_a(Kind::GracefulRestart, 0, 1_s), [](Trial& t) {
    Counting counting;
    t.a.power_loss();
    t.a.boot(counting.main(false));  // "nobody ever stops me"
    t.world.run_for(1_s);
    uint64_t before = *counting.counted;
    t.fault();
    t.world.run_for(1500_ms);
    return *counting.counted >= before;
  });
}

TEST(Bite, crash_loop) {
  bites(on_a(Kind::CrashLoop, 50, 20_s), [](Trial& t) {
    Counting counting;
    t.a.power_loss();
    t.a.boot(counting.main(true, 2_s));  // "there is time enough to warm up"
    t.fault();
    t.world.run_for(15_s);
    return *counting.counted > 0;
  });
}

TEST(Bite, stall) {
  bites(on_a(Kind::Stall, 0, 2_s), [](Trial& t) {
    Duration longest;
    t.a.spawn("lease holder", [&](Task& task) -> Status {
      for (;;) {
        MonotonicTime before = task.env().now();
        TRY(task.sleep(10_ms));
        longest = std::max(longest, task.env().now() - before);
      }
    });
    t.world.run_for(1_s);
    t.fault();
    t.world.run_for(5_s);
    t.a.power_loss();
    return longest < 1_s;  // "I renew my lease in time"
  });
}

TEST(Bite, wall_clock_offset) {
  bites(on_b(Kind::WallClockOffset, -60'000), [](Trial& t) {
    t.fault();
    WallTime sent;
    WallTime received;
    EXPECT_TRUE(t.on(t.a, [&](Task& task) -> Status {
                   sent = task.env().wall_now();
                   return {};
                 }).ok());
    t.world.run_for(1_s);
    EXPECT_TRUE(t.on(t.b, [&](Task& task) -> Status {
                   received = task.env().wall_now();
                   return {};
                 }).ok());
    return sent < received;  // "what happens later has the later time stamp"
  });
}

TEST(Bite, wall_clock_step) {
  bites(on_a(Kind::WallClockStep, -60'000), [](Trial& t) {
    WallTime began;
    WallTime ended;
    auto read_clock = [&](WallTime& into) {
      EXPECT_TRUE(t.on(t.a, [&](Task& task) -> Status {
                     into = task.env().wall_now();
                     return {};
                   }).ok());
    };
    read_clock(began);
    t.fault();
    t.world.run_for(1_s);
    read_clock(ended);
    return ended > began;  // "the clock goes forward"
  });
}

TEST(Bite, every_kind_has_one) {
  const testing::TestSuite* suite = testing::UnitTest::GetInstance()->GetTestSuite(0);
  std::set<std::string> tests;
  for (int i = 0; i < suite->total_test_count(); i++) tests.insert(suite->GetTestInfo(i)->name());
  for (const faults::KindInfo& about : faults::all_kinds()) {
    std::string name(about.name);
    std::replace(name.begin(), name.end(), '-', '_');
    EXPECT_TRUE(tests.contains(name)) << about.name;
  }
}

}  // namespace
}  // namespace argon::sim::bite
