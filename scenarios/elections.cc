#include "scenarios/elections.h"

#include "core/broker/broker.h"
#include "core/compute/compute_state.h"
#include "core/compute/proposer_driver.h"
#include "core/env/io.h"
#include "core/objstore/local_store.h"
#include "core/pg/fabricated_checkpoint.h"
#include "core/pg/made_datadir.h"
#include "core/pg/record_makers.h"
#include "core/pg/version.h"
#include "core/safekeeper/safekeeper.h"
#include "core/safekeeper/timeline.h"
#include "scenarios/draw.h"
#include "scenarios/oracle_safekeeper_disk.h"
#include "scenarios/oracle_wal_chain.h"
#include "scenarios/oracle_wal_history.h"

namespace argon::scenarios {
namespace {

constexpr uint16_t kWalPort = 5454;
constexpr uint16_t kHttpPort = 7676;
constexpr uint16_t kBrokerPort = 50051;
constexpr const char* kStatePath = "/compute.state";

// What all of a run shares. Outlives every machine's tasks.
struct Shared {
  Run& run;
  TenantTimelineId id;
  pg::MadeDataDir data;
  WalHistory history;
  consensus::Configuration members;
  std::vector<SafekeeperDisk> disks;
  Duration term_length;  // mean time after which a proposer lets go by itself
  Duration pause;        // mean pause between commits
  size_t append_bytes_max = consensus::kAppendBytesMax;
};

safekeeper::SafekeeperConfig safekeeper_config(uint64_t id, Random& random) {
  safekeeper::SafekeeperConfig config;
  config.id = NodeId(id);
  config.data_dir = "/data";
  config.listen_wal = Address::tcp("0.0.0.0", kWalPort);
  config.listen_http = Address::tcp("0.0.0.0", kHttpPort);
  config.advertise_wal = "safekeeper-" + std::to_string(id) + ":" + std::to_string(kWalPort);
  config.advertise_http = "safekeeper-" + std::to_string(id) + ":" + std::to_string(kHttpPort);
  config.broker = Address::tcp("broker", kBrokerPort);
  config.save_interval = Duration::milliseconds(static_cast<int64_t>(random.log_uniform(200, 30'000)));
  config.sleep_after = Duration::seconds(1);
  // Each has an object store of its own, without what the others upload.
  config.evict_after = Duration();
  return config;
}

class Attempt {
 public:
  Attempt(Shared& shared, Env& env, compute::ComputeState& state)
      : shared_(shared), env_(env), state_(state) {}

  // Elected once at most; returns when it lost or let go. A violation is told to the run.
  Status run(Task& task) {
    Scope scope(task);
    compute::ProposerDriver driver(scope, env_, Logger(env_.log()), config(),
                                   [this](Task& t, Term term, Lsn start) { return persist(t, term, start); });
    driver.start();
    Status ended = lead(task, scope, driver);
    if (driver.seen_term() > state_.term) state_.term = driver.seen_term();
    if (ended.is(Code::Corrupt)) shared_.run.fail("acknowledged is never lost", ended.error().to_string());
    TRY(driver.stop(task));
    TRY(scope.stop(task));
    return ended;
  }

 private:
  compute::ProposerDriverConfig config() const {
    compute::ProposerDriverConfig config;
    config.proposer.id = shared_.id;
    config.proposer.configuration = shared_.members;
    config.proposer.server = {150000, shared_.data.control.system_id, pg::kWalSegmentSize};
    config.proposer.min_term = state_.term;
    config.proposer.bootstrap_start = shared_.data.end;
    config.proposer.allow_creation = true;
    config.append_bytes_max = shared_.append_bytes_max;
    return config;
  }

  Status persist(Task& task, Term term, Lsn start) {
    compute::ComputeState next{term, start};
    TRY(compute::store_compute_state(task, env_.disk(), kStatePath, next));
    state_ = next;
    return {};
  }

  // Tells of every position that is reported committed, also of those that nobody waits for.
  Status watch(Task& task, compute::ProposerDriver& driver, Term term) {
    for (;;) {
      Status promised = shared_.history.committed(term, driver.committed());
      if (!promised.ok()) {
        shared_.run.fail("acknowledged is never lost", promised.error().to_string());
        return promised;
      }
      TRY(driver.wait_change(task, driver.changes()));
    }
  }

  Status lead(Task& task, Scope& scope, compute::ProposerDriver& driver) {
    consensus::Elected elected;
    {
      Deadline deadline(task, Duration::seconds(20));
      TRY_ASSIGN(elected, driver.elect(task));
    }
    TRY_ASSIGN(Lsn previous, shared_.history.elected(elected.term, elected.start, elected.history));
    // Whoever is elected goes on from a start that is committed.
    TRY(shared_.history.committed(elected.term, elected.start));
    scope.spawn("watch commits",
                [this, &driver, term = elected.term](Task& t) { return watch(t, driver, term); });
    pg::WalIdentity identity{shared_.data.control.system_id};
    Result<pg::FabricatedCheckpoint> first =
        pg::fabricate_checkpoint(identity, shared_.data.control.checkpoint, elected.start, previous);
    if (!first.ok()) return Error(Code::Corrupt, first.error().message());
    shared_.history.wrote(elected.term, {first->record, first->end}, first->wal);
    TRY(driver.append(task, elected.start, first->wal));
    Deadline term_ends(task, env_.random("term").exponential(shared_.term_length));
    return write(task, driver, elected.term, pg::WalWriter(identity, first->end, first->record));
  }

  Status write(Task& task, compute::ProposerDriver& driver, Term term, pg::WalWriter writer) {
    Random& random = env_.random("writer");
    uint64_t burst = 0;
    for (pg::Xid xid = pg::kFirstNormalXid + static_cast<pg::Xid>(term.value % 1000) * 100'000;; xid++) {
      while (!shared_.run.may_operate()) TRY(task.sleep(shared_.pause));
      Lsn begin = writer.position();
      Bytes wal;
      uint64_t transactions = 1 + random.below(4);
      for (uint64_t i = 0; i < transactions; i++)
        write_one(writer, term, xid + static_cast<pg::Xid>(i), random, wal);
      TRY(driver.append(task, begin, wal));
      // Who opens a segment often fails there, before others have it.
      bool opened = pg::segment_number(begin) != pg::segment_number(writer.position());
      if (opened && random.below(4) != 0) return task.sleep(random.exponential(Duration::milliseconds(2)));
      // Sometimes more is sent before the first is acknowledged, now and then much more.
      if (burst == 0 && random.below(50) == 0) burst = random.log_uniform(2, 60);
      if (burst > 0 && --burst > 0) continue;
      uint64_t wait = random.below(8);
      if (wait != 0) {
        TRY(driver.wait_committed(task, writer.position()));
        TRY(shared_.history.committed(term, writer.position()));
        shared_.run.work().commits_acked += transactions;
      }
      TRY(task.sleep(random.exponential(shared_.pause)));
    }
  }

  void write_one(pg::WalWriter& writer, Term term, pg::Xid xid, Random& random, Bytes& wal) {
    Bytes tuple(pg::kTupleHeader + 1 + random.below(400));
    random.fill(tuple);
    pg::HeapPlace place{shared_.data.relations.front(), static_cast<uint32_t>(random.below(8)), 1};
    for (const pg::RecordBuilder& record :
         {pg::heap_insert(xid, place, tuple, true), pg::xact_commit(xid, static_cast<int64_t>(xid))}) {
      pg::PlacedRecord placed = writer.append(record);
      Bytes bytes = writer.take();
      shared_.history.wrote(term, placed, bytes);
      append(wal, bytes);
    }
  }

  Shared& shared_;
  Env& env_;
  compute::ComputeState& state_;
};

Status run_proposer(Task& task, Env& env, Shared& shared) {
  TRY_ASSIGN(compute::ComputeState state, compute::load_compute_state(task, env.disk(), kStatePath));
  for (;;) {
    Attempt attempt(shared, env, state);
    // How it ended matters to the next one only.
    ignore_result(attempt.run(task));
    TRY(task.sleep(env.random("campaign").exponential(shared.term_length / 2)));
  }
}

// Holds a safekeeper to its word, and its log to what was written.
void check_disk(Shared& shared, const SafekeeperDisk& disk) {
  Status claims = check_claims(disk);
  if (!claims.ok()) shared.run.fail("told is durable", disk.machine.name() + ": " + claims.error().message());
  Status log = check_log(disk, shared.history);
  if (!log.ok()) shared.run.fail("log matching", disk.machine.name() + ": " + log.error().message());
}

// Where a safekeeper has just done what must survive, it sometimes loses power: after a truncation, after a
// vote, at the beginning of a segment. It is told by what the safekeeper claims.
class Nemesis {
 public:
  explicit Nemesis(Shared& shared) : shared_(shared), random_(shared.run.world().stream("nemesis")) {
    // How often, once in so many; drawn apart, so that a run may have much of one.
    after_truncation_ = random_.log_uniform(2, 200);
    after_vote_ = random_.log_uniform(10, 500);
    after_segment_ = random_.log_uniform(1, 10);
  }
  void stop() { stopped_ = true; }

  void claimed(std::string_view key, uint64_t value) {
    if (stopped_) return;
    bool flush = key.ends_with(" flush");
    uint64_t before = std::exchange(claims_[std::string(key)], value);
    if (before == value || before == 0) return;
    uint64_t one_in = !flush ? after_vote_ : value < before ? after_truncation_ : 0;
    if (flush && pg::segment_number(Lsn(value)) > pg::segment_number(Lsn(before))) one_in = after_segment_;
    if (one_in == 0 || random_.below(one_in) != 0) return;
    for (const SafekeeperDisk& disk : shared_.disks)
      if (key.starts_with(safekeeper::claim_key(disk.node, disk.id, ""))) strike(disk.machine);
  }

 private:
  void strike(sim::Machine& machine) {
    Duration soon = random_.exponential(Duration::milliseconds(4));
    Duration dark = random_.between(Duration::milliseconds(20), Duration::milliseconds(800));
    shared_.run.world().after(soon, [&machine] { machine.power_loss(); });
    shared_.run.world().after(soon + dark, [&machine] {
      if (!machine.up()) machine.restart();
    });
  }

  Shared& shared_;
  Random random_;
  uint64_t after_truncation_;
  uint64_t after_vote_;
  uint64_t after_segment_;
  std::map<std::string, uint64_t> claims_;
  bool stopped_ = false;
};

// Hands on what safekeepers claim. Ends with the object.
class Claims {
 public:
  Claims(Shared& shared, Nemesis& nemesis) : shared_(shared) {
    for (const SafekeeperDisk& disk : shared.disks) cuts_.emplace_back(disk);
    shared.run.world().on_claim = [this, &nemesis](std::string_view key, uint64_t value) {
      nemesis.claimed(key, value);
      check_cuts(key, value);
    };
  }
  ~Claims() { shared_.run.world().on_claim = nullptr; }
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

 private:
  void check_cuts(std::string_view key, uint64_t value) {
    for (CutWatch& cut : cuts_) {
      Status whole = cut.claimed(key, value);
      if (!whole.ok()) shared_.run.fail("nothing is left beyond a cut", whole.error().message());
    }
  }

  Shared& shared_;
  std::vector<CutWatch> cuts_;
};

// Looks at the logs now and then, and soon after each change of a control file.
class DiskWatch {
 public:
  explicit DiskWatch(Shared& shared) : shared_(shared), seen_(shared.disks.size()) {}

  void run() {
    for (size_t i = 0; i < shared_.disks.size(); i++) {
      const SafekeeperDisk& disk = shared_.disks[i];
      uint64_t control = disk.control_id();
      if (std::exchange(seen_[i], control) == control) continue;
      Status log = check_log(disk, shared_.history);
      if (!log.ok()) shared_.run.fail("log matching", disk.machine.name() + ": " + log.error().message());
    }
    if (!shared_.run.failed()) shared_.run.world().after(kInterval, [this] { run(); });
  }

 private:
  static constexpr Duration kInterval = Duration::milliseconds(20);
  Shared& shared_;
  std::vector<uint64_t> seen_;
};

// Each loses power once, so that nothing counts that only a memory holds. Then all must come to have what
// is committed, as the proposers wrote it.
void compare_wal(Shared& shared) {
  Run& run = shared.run;
  for (const SafekeeperDisk& disk : shared.disks) {
    disk.machine.power_loss();
    disk.machine.restart();
    run.run_for(Duration::seconds(2));
  }
  Lsn goal = shared.history.committed();
  auto behind = [&]() -> const SafekeeperDisk* {
    for (const SafekeeperDisk& disk : shared.disks) {
      auto state = disk.state();
      if (!state.ok() || disk.end_of_wal(*state) < goal) return &disk;
    }
    return nullptr;
  };
  for (int i = 0; i < 120 && !run.failed() && behind() != nullptr; i++)
    run.run_for(Duration::milliseconds(500));
  if (run.failed()) return;
  Bytes wanted = shared.history.committed_wal();
  wanted.resize(goal - shared.data.end);
  for (const SafekeeperDisk& disk : shared.disks) {
    check_disk(shared, disk);
    if (disk.wal(shared.data.end, goal) != wanted)
      run.fail("committed WAL is the same on every node",
               disk.machine.name() + " does not have all committed WAL up to " + to_string(goal));
  }
}

// A majority of safekeepers, the broker and one proposer; the other proposer must not get through.
void heal_core(Run& run) {
  std::vector<std::string> core{"broker"};
  std::vector<std::string> rest;
  uint64_t left_out = 1 + run.random().below(3);
  for (uint64_t i = 1; i <= 3; i++)
    (i == left_out ? rest : core).push_back("safekeeper-" + std::to_string(i));
  uint64_t chosen = 1 + run.random().below(2);
  core.push_back("proposer-" + std::to_string(chosen));
  std::string rival = "proposer-" + std::to_string(3 - chosen);
  rest.push_back(rival);
  run.heal_core(core, rest, {rival});
}

void check_progress(Run& run, const Shared& shared, const std::string& which) {
  if (run.failed()) return;
  Lsn before = shared.history.committed();
  bool on = run.run_until([&] { return shared.history.committed() > before + 2000; }, Duration::seconds(120));
  if (!on) run.fail("progress " + which, "nothing was committed within 120 s");
}

void elections(Run& run) {
  Random& random = run.random();
  pg::MadeOptions made;
  made.system_id = 1 + random.below(UINT64_MAX - 1);
  made.first_wal = draw_first_wal(random);
  pg::MadeDataDir data = pg::make_datadir(made);
  TenantTimelineId id;
  id.tenant = random_tenant_id(random);
  id.timeline = random_timeline_id(random);
  Shared shared{run, id, data, WalHistory(data.end, data.last_record), {}, {}, {}, {}};
  shared.term_length = Duration::milliseconds(static_cast<int64_t>(random.log_uniform(500, 30'000)));
  shared.pause = Duration::milliseconds(static_cast<int64_t>(random.log_uniform(5, 500)));
  if (random.below(2) == 0) shared.append_bytes_max = random.log_uniform(200, consensus::kAppendBytesMax);
  shared.members.generation = consensus::ConfigurationGeneration(1);

  std::vector<std::string> nodes;
  auto add = [&](const std::string& name) -> sim::Machine& {
    sim::Machine& machine = run.world().add_machine(name);
    machine.supervise(Duration::milliseconds(300));
    nodes.push_back(name);
    return machine;
  };
  add("broker").boot([](Task& task, Env& env) {
    broker::BrokerConfig config;
    config.listen = Address::tcp("0.0.0.0", kBrokerPort);
    config.listen_http = Address::tcp("0.0.0.0", kHttpPort);
    return broker::run_broker(task, env, config);
  });
  for (uint64_t i = 1; i <= 3; i++) {
    std::string name = "safekeeper-" + std::to_string(i);
    shared.members.members.push_back({NodeId(i), name, kWalPort});
    sim::Machine& machine = add(name);
    shared.disks.push_back({machine, NodeId(i), id});
    machine.boot([&shared, i, config = safekeeper_config(i, random)](Task& task, Env& env) -> Status {
      check_disk(shared, shared.disks[i - 1]);
      TRY_ASSIGN(auto store,
                 objstore::LocalStore::open(task, env.disk(), "/objects", "sk" + std::to_string(i)));
      return safekeeper::run_safekeeper(task, env, config, store.get());
    });
  }
  for (uint64_t i = 1; i <= 2; i++)
    add("proposer-" + std::to_string(i)).boot([&shared](Task& task, Env& env) {
      return run_proposer(task, env, shared);
    });

  Nemesis nemesis(shared);
  if (run.limited("strikes", 1) == 0) nemesis.stop();
  Claims claims(shared, nemesis);
  DiskWatch watch(shared);
  watch.run();
  run.start_faults(nodes, run.options().length);
  run.run_for(run.options().length);
  heal_core(run);
  check_progress(run, shared, "of a core");
  nemesis.stop();
  run.heal();
  check_progress(run, shared, "after healing");
  if (!run.failed()) compare_wal(shared);
  if (Status same = compare_chains(shared.disks); !same.ok())
    run.fail("hash chains are the same", same.error().message());
}

}  // namespace

constinit const Scenario kElections{
    "elections",
    "committed WAL survives every change of proposer, the same on every safekeeper",
    elections,
    {20, 0, 0},
    false};

}  // namespace argon::scenarios
