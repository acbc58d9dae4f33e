#include "scenarios/postgres_bank.h"

#include <fmt/format.h>

#include <set>

#include "scenarios/cluster_run.h"
#include "scenarios/oracle_remote.h"
#include "scenarios/postgres_compute.h"

namespace argon::scenarios {
namespace {

constexpr const char* kOracle = "what SQL shows is right";
constexpr uint64_t kBalance = 1000;
constexpr uint64_t kProgressCommits = 3;

class SqlBank {
 public:
  SqlBank(Run& run, uint64_t accounts) : run_(run), accounts_(accounts) {}

  // One life of the server: looks at everything, then goes on.
  Status serve(Task& task, SqlSession& sql);

  // Wants a look at everything as soon as may be.
  void want_look() { looks_wanted_++; }
  uint64_t looks() const { return looks_; }
  uint64_t commits() const { return commits_; }

 private:
  Status act(Task& task, SqlSession& sql);
  Status transfer(Task& task, SqlSession& sql);
  Status look(Task& task, SqlSession& sql);
  Status open(Task& task, SqlSession& sql);
  Status look_at_transfers(Task& task, SqlSession& sql);
  Result<std::string> one(Task& task, SqlSession& sql, std::string_view query);
  Status tolerate(Task& task, SqlSession& sql, Status status);
  void violated(const std::string& what) { run_.fail(kOracle, what); }

  Run& run_;
  uint64_t accounts_;
  bool opened_ = false;         // acknowledged, or seen
  std::set<uint64_t> done_;     // transfers that must be there
  std::set<uint64_t> undone_;   // that must not
  std::set<uint64_t> unknown_;  // the next look tells
  uint64_t next_ = 1;
  uint64_t commits_ = 0;
  uint64_t looks_ = 0;
  uint64_t looks_wanted_ = 0;
};

Result<std::string> SqlBank::one(Task& task, SqlSession& sql, std::string_view query) {
  TRY_ASSIGN(SqlRows rows, sql.run(task, query));
  if (rows.size() != 1 || rows[0].empty()) {
    violated(fmt::format("{}: {} rows", query, rows.size()));
    return Error(Code::Corrupt, "one row was expected");
  }
  return rows[0][0].value_or("");
}

// What is of the network is over, the session goes on.
Status SqlBank::tolerate(Task& task, SqlSession& sql, Status status) {
  if (!status.is(Code::Invalid)) return status;
  if (!is_of_the_network(status.error())) {
    violated(status.error().message());
    return status;
  }
  Status back = status_of(sql.run(task, "rollback"));
  return back.is(Code::Invalid) ? Status() : back;
}

Status SqlBank::serve(Task& task, SqlSession& sql) {
  Random& random = task.env().random("client");
  bool looked = false;
  while (!run_.failed()) {
    Status done = !looked ? look(task, sql) : act(task, sql);
    looked = looked || done.ok();
    TRY(tolerate(task, sql, std::move(done)));
    TRY(task.sleep(random.exponential(Duration::milliseconds(100))));
  }
  return {};
}

Status SqlBank::open(Task& task, SqlSession& sql) {
  TRY_ASSIGN(std::string there, one(task, sql, "select count(*) from pg_class where relname = 'accounts'"));
  if (there == "0" && opened_) violated("the tables are gone");
  if (there == "0") {
    TRY(sql.commit(
        task,
        fmt::format("begin; create table accounts (id int primary key, balance bigint not null); "
                    "create table transfers (id int primary key, source int, target int, amount bigint); "
                    "create index on transfers (source, amount); "
                    "insert into accounts select i, {} from generate_series(1, {}) i; commit",
                    kBalance, accounts_)));
    commits_++;
  }
  opened_ = true;
  return {};
}

Status SqlBank::look_at_transfers(Task& task, SqlSession& sql) {
  TRY_ASSIGN(SqlRows rows, sql.run(task, "select id from transfers order by id"));
  std::set<uint64_t> seen;
  for (const auto& row : rows) {
    Result<uint64_t> id = row.empty() ? Error(Code::Corrupt, "no column") : parse_u64(row[0].value_or(""));
    if (!id.ok() || !seen.insert(*id).second) violated("a transfer is there twice, or has no number");
  }
  for (uint64_t id : done_)
    if (!seen.contains(id)) violated(fmt::format("acknowledged transfer {} is lost", id));
  for (uint64_t id : seen) {
    if (undone_.contains(id)) violated(fmt::format("transfer {} was rolled back, and is there", id));
    if (id >= next_) violated(fmt::format("transfer {} was never made", id));
    done_.insert(id);
    unknown_.erase(id);
  }
  // Nobody is left who could still commit them.
  undone_.merge(unknown_);
  unknown_.clear();
  return {};
}

Status SqlBank::look(Task& task, SqlSession& sql) {
  uint64_t wanted = looks_wanted_;
  TRY(open(task, sql));
  TRY(look_at_transfers(task, sql));
  TRY_ASSIGN(std::string sum, one(task, sql, "select sum(balance) || ' of ' || count(*) from accounts"));
  std::string right = fmt::format("{} of {}", accounts_ * kBalance, accounts_);
  if (sum != right) violated(fmt::format("the accounts have {}, not {}", sum, right));
  TRY_ASSIGN(std::string wrong,
             one(task, sql,
                 fmt::format("select count(*) from accounts a where balance <> {} "
                             "+ coalesce((select sum(amount) from transfers where target = a.id), 0) "
                             "- coalesce((select sum(amount) from transfers where source = a.id), 0)",
                             kBalance)));
  if (wrong != "0") violated(fmt::format("{} accounts do not have what their transfers say", wrong));
  TRY(sql.run(task,
              "select bt_index_check(c.oid, true) from pg_class c where relkind = 'i' and "
              "relname in ('accounts_pkey', 'transfers_pkey', 'transfers_source_amount_idx')"));
  run_.work().pages_checked++;
  looks_++;
  if (wanted == looks_wanted_) looks_wanted_ = 0;
  return {};
}

Status SqlBank::transfer(Task& task, SqlSession& sql) {
  Random& random = task.env().random("transfers");
  uint64_t id = next_++;
  uint64_t from = random.between(1, accounts_);
  uint64_t to = 1 + (from + random.below(accounts_ - 1)) % accounts_;
  uint64_t amount = random.log_uniform(1, kBalance);
  bool keep = random.below(8) != 0;
  bool apart = random.below(2) == 0;  // a line each
  std::vector<std::string> lines{
      "begin", fmt::format("update accounts set balance = balance - {} where id = {}", amount, from),
      fmt::format("update accounts set balance = balance + {} where id = {}", amount, to),
      fmt::format("insert into transfers values ({}, {}, {}, {})", id, from, to, amount)};
  std::string last = keep ? "commit" : "rollback";
  if (!apart) {
    last = fmt::format("{}; {}", fmt::join(lines, "; "), last);
    lines.clear();
  }
  unknown_.insert(id);
  for (const std::string& line : lines) TRY(sql.run(task, line));
  if (!keep) {
    TRY(sql.run(task, last));
    unknown_.erase(id);
    undone_.insert(id);
    return {};
  }
  TRY(sql.commit(task, last));
  unknown_.erase(id);
  done_.insert(id);
  commits_++;
  return {};
}

Status SqlBank::act(Task& task, SqlSession& sql) {
  Random& random = task.env().random("client");
  if (looks_wanted_ > 0) return look(task, sql);
  if (!run_.may_operate()) return {};
  switch (random.below(40)) {
    case 0:
      return look(task, sql);
    case 1:
      return status_of(sql.run(task, "vacuum accounts"));
    case 2:
      return status_of(sql.run(task, "vacuum transfers"));
    case 3:
      return status_of(sql.run(task, "checkpoint"));
    case 4:
      return status_of(sql.run(task, "reindex table accounts"));
    default:
      return transfer(task, sql);
  }
}

void body(Run& run) {
  ClusterKnobs knobs;
  knobs.postgres = true;
  knobs.gc = true;  // else a run's memory holds every image that compaction ever made
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  Random random = run.random().fork("bank");
  SqlBank bank(run, std::max<uint64_t>(2, run.limited("accounts", random.between(4, 200))));
  Line& root = *cluster.lines().front();
  PostgresComputeConfig config;
  config.driver.proposer = cluster.proposer(root);
  config.pageserver = cluster.pages();
  static constexpr const char* kBuffers[] = {"128kB", "256kB", "1MB", "16MB"};
  config.settings = {std::string("shared_buffers = ") + kBuffers[random.below(4)],
                     fmt::format("argon.readahead_window = {}", random.below(2) * 16),
                     fmt::format("argon.shadow = {}", random.below(2) == 0 ? "on" : "off")};
  sim::Machine& machine = cluster.add_compute_machine(root, Duration::milliseconds(500));
  config.name = machine.name();
  SqlClient client = [&](Task& task, SqlSession& sql) { return bank.serve(task, sql); };
  machine.boot([&](Task& task, Env& env) {
    return run_postgres_compute(task, env, machine, run, root, config, client);
  });
  // Nothing of it may refer to what ends here.
  struct PowerOff {
    ~PowerOff() { machine.power_loss(); }
    sim::Machine& machine;
  } power_off{machine};
  watch_remote(cluster);
  run.start_faults(
      cluster.nodes(), run.options().length, {}, {"pageserver"},
      [&](sim::Machine&, const std::string& path) { return cluster.is_layer_that_can_be_made_anew(path); });
  run.run_for(run.options().length);

  auto check_progress = [&](const std::string& which) {
    if (run.failed()) return;
    uint64_t commits = bank.commits();
    uint64_t looks = bank.looks();
    bank.want_look();
    auto well = [&] {
      return bank.looks() > looks && (bank.commits() >= commits + kProgressCommits || run.idles());
    };
    if (!run.run_until(well, kProgressLimit) && !run.failed())
      run.fail("progress " + which,
               fmt::format("{} transfers and {} looks at everything within {} s", bank.commits() - commits,
                           bank.looks() - looks, kProgressLimit.to_seconds()));
  };
  end_postgres_run(run, cluster, {&machine}, check_progress);
}

}  // namespace

constinit const Scenario kPostgresBank{
    "postgres-bank",
    "a stock PostgreSQL server is the compute: whatever SQL shows is right, whatever loses power",
    body,
    {5, 1, 0},
    false,
    true,
    true};

}  // namespace argon::scenarios
