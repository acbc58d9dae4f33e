// Bite tests of what goes wrong between two nodes.

#include "sim/bite.h"

namespace argon::sim::bite {
namespace {

TEST(Bite, bridge_partition) {
  // a and b lie on different sides; the bridge is a third.
  Fault fault{Kind::BridgePartition, {}, 100_s, "c", {}, 1};
  bites(fault, [](Trial& t) {
    t.world.add_machine("c");
    return heartbeats_arrive(t);
  });
}

TEST(Bite, isolated_node) {
  bites(on_b(Kind::IsolatedNode), heartbeats_arrive);
}

TEST(Bite, far_link) {
  bites(from_a_to_b(Kind::FarLink, 100), [](Trial& t) {
    t.fault();
    return round_trip(t, 10_s) < 20_ms;  // "everybody is next door"
  });
}

TEST(Bite, narrow_link) {
  bites(from_a_to_b(Kind::NarrowLink, 10'000), [](Trial& t) {
    t.fault();
    return t
        .on(t.a,
            [](Task& task) -> Status {
              TRY_ASSIGN(auto stream, dial(task));
              Deadline deadline(task, 1_s);
              Bytes message(50'000);
              TRY(write_all(task, *stream, message));  // "a second is enough for any message"
              return read_exact(task, *stream, message);
            })
        .ok();
  });
}

TEST(Bite, name_lookup_failure) {
  bites(on_a(Kind::NameLookupFailure), [](Trial& t) {
    t.fault();
    return round_trip(t, 10_s) < 10_s;  // "a name that was found once is found always"
  });
}

TEST(Bite, ghost_connection) {
  bites(on_b(Kind::GhostConnection, 1), [](Trial& t) {
    t.fault();
    bool heard = false;
    t.b.spawn("one client", [&](Task& task) -> Status {
      TRY_ASSIGN(auto listener, task.env().network().listen(task, Address::tcp("b", 8)));
      TRY_ASSIGN(auto stream, listener->accept(task));  // "whoever connects is the client"
      Bytes byte(1);
      heard = read_exact(task, *stream, byte).ok();
      return {};
    });
    ignore_result(t.on(t.a, [](Task& task) -> Status {
      TRY(task.sleep(10_ms));
      TRY_ASSIGN(auto stream, task.env().network().connect(task, Address::tcp("b", 8)));
      Bytes byte(1);
      TRY(write_all(task, *stream, byte));
      return task.sleep(1_s);
    }));
    return heard;
  });
}

TEST(Bite, one_sided_reset) {
  bites(on_b(Kind::OneSidedReset), [](Trial& t) {
    uint64_t heard = 0;
    t.b.spawn("subscriber", [&](Task& task) -> Status {
      TRY_ASSIGN(auto listener, task.env().network().listen(task, Address::tcp("b", 8)));
      TRY_ASSIGN(auto stream, listener->accept(task));
      Bytes byte(1);
      while (read_exact(task, *stream, byte).ok()) heard++;  // "no end of the stream: the publisher lives"
      return {};
    });
    t.a.spawn("publisher", [](Task& task) -> Status {
      TRY(task.sleep(10_ms));
      TRY_ASSIGN(auto stream, task.env().network().connect(task, Address::tcp("b", 8)));
      Bytes byte(1);
      for (;;) {
        TRY(write_all(task, *stream, byte));
        TRY(task.sleep(100_ms));
      }
    });
    t.world.run_for(1_s);
    t.fault();
    uint64_t before = heard;
    t.world.run_for(1_s);
    uint64_t after = heard;
    t.a.power_loss();
    t.b.power_loss();
    return after >= before + 5;
  });
}

}  // namespace
}  // namespace argon::sim::bite
