#include "scenarios/elections.h"

#include "core/broker/broker.h"
#include "core/compute/compute_state.h"
#include "core/compute/proposer_driver.h"
#include "core/env/io.h"
#include "core/pg/fabricated_checkpoint.h"
#include "core/pg/made_datadir.h"
#include "core/pg/record_makers.h"
#include "core/pg/version.h"
#include "core/safekeeper/safekeeper.h"
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
  Duration term_length;  // mean time after which a proposer lets go by itself
  Duration pause;        // mean pause between commits
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
  config.object_store_dir = "/objects";
  config.save_interval = Duration::milliseconds(static_cast<int64_t>(random.log_uniform(200, 30'000)));
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
    Status ended = lead(task, driver);
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
    return config;
  }

  Status persist(Task& task, Term term, Lsn start) {
    compute::ComputeState next{term, start};
    TRY(compute::store_compute_state(task, env_.disk(), kStatePath, next));
    state_ = next;
    return {};
  }

  Status lead(Task& task, compute::ProposerDriver& driver) {
    consensus::Elected elected;
    {
      Deadline deadline(task, Duration::seconds(20));
      TRY_ASSIGN(elected, driver.elect(task));
    }
    env_.probe("elected");
    TRY_ASSIGN(Lsn previous, shared_.history.elected(elected.term, elected.start, elected.history));
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
    for (pg::Xid xid = pg::kFirstNormalXid + static_cast<pg::Xid>(term.value % 1000) * 100'000;; xid++) {
      while (!shared_.run.may_operate()) TRY(task.sleep(shared_.pause));
      Lsn begin = writer.position();
      Bytes wal;
      uint64_t transactions = 1 + random.below(4);
      for (uint64_t i = 0; i < transactions; i++)
        write_one(writer, term, xid + static_cast<pg::Xid>(i), random, wal);
      TRY(driver.append(task, begin, wal));
      // Sometimes more is sent before the first is acknowledged.
      uint64_t wait = random.below(8);
      if (wait != 0) {
        TRY(driver.wait_committed(task, writer.position()));
        TRY(shared_.history.committed(term, driver.committed()));
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

// Oracle 2, at the end: every safekeeper has the committed bytes, as far as it says that it has them.
void compare_wal(Run& run, const Shared& shared) {
  Bytes wanted = shared.history.committed_wal();
  size_t whole = 0;
  for (const consensus::Member& member : shared.members.members) {
    sim::Machine& machine = *run.world().find_machine(member.host);
    std::string folder = "/data/" + to_string(shared.id.tenant) + "/" + to_string(shared.id.timeline);
    size_t same = 0;
    while (same < wanted.size()) {
      Lsn at = shared.data.end + same;
      auto file = machine.storage().find(folder + "/" + pg::segment_file_name(pg::segment_number(at)));
      Bytes found(std::min<size_t>(wanted.size() - same, pg::kWalSegmentSize - pg::segment_offset(at)));
      if (file == nullptr || file->read(pg::segment_offset(at), found) == 0) break;
      size_t equal = static_cast<size_t>(
          std::mismatch(found.begin(), found.end(), wanted.begin() + static_cast<std::ptrdiff_t>(same))
              .first -
          found.begin());
      same += equal;
      if (equal < found.size()) break;
    }
    whole += same == wanted.size() ? 1 : 0;
  }
  if (whole * 2 <= shared.members.members.size())
    run.fail("committed WAL is the same on every node",
             std::to_string(whole) + " of " + std::to_string(shared.members.members.size()) +
                 " safekeepers have all committed WAL up to " + to_string(shared.history.committed()));
}

void elections(Run& run) {
  Random& random = run.random();
  pg::MadeOptions made;
  made.system_id = 1 + random.below(UINT64_MAX - 1);
  pg::MadeDataDir data = pg::make_datadir(made);
  TenantTimelineId id;
  id.tenant = random_tenant_id(random);
  id.timeline = random_timeline_id(random);
  Shared shared{run, id, data, WalHistory(data.end, data.last_record), {}, {}, {}};
  shared.term_length = Duration::milliseconds(static_cast<int64_t>(random.log_uniform(1000, 30'000)));
  shared.pause = Duration::milliseconds(static_cast<int64_t>(random.log_uniform(5, 200)));
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
    add(name).boot([config = safekeeper_config(i, random)](Task& task, Env& env) -> Status {
      TRY(make_dirs(task, env.disk(), "/objects"));
      return safekeeper::run_safekeeper(task, env, config);
    });
  }
  for (uint64_t i = 1; i <= 2; i++)
    add("proposer-" + std::to_string(i)).boot([&shared](Task& task, Env& env) {
      return run_proposer(task, env, shared);
    });

  run.start_faults(nodes, run.options().length);
  run.run_for(run.options().length);
  run.heal();
  Lsn before = shared.history.committed();
  if (!run.run_until([&] { return shared.history.committed() > before + 2000; }, Duration::seconds(120)))
    run.fail("progress after healing", "nothing was committed within 120 s");
  run.run_for(Duration::seconds(10));
  if (!run.failed()) compare_wal(run, shared);
}

}  // namespace

constinit const Scenario kElections{
    "elections",
    "committed WAL survives every change of proposer, the same on every safekeeper",
    elections,
    {20, 0, 0},
    false};

}  // namespace argon::scenarios
