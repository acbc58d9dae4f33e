#include "scenarios/sql_bank.h"

#include <fmt/format.h>

#include "scenarios/cluster_run.h"

namespace argon::scenarios {
namespace {

constexpr const char* kOracle = "what SQL shows is right";
constexpr uint64_t kBalance = 1000;
constexpr uint64_t kProgressCommits = 3;

}  // namespace

void SqlBank::violated(const std::string& what) {
  run_.fail(kOracle, what);
}

void SqlBank::move_to(const Address& pageserver) {
  wanted_ = fmt::format("host={} port={}", pageserver.host, pageserver.port);
}

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
  told_ = "";
  struct End {
    ~End() { told.reset(); }
    std::optional<std::string>& told;
  } end{told_};
  while (!run_.failed()) {
    bool tells = *told_ != wanted_;
    Status done = tells ? tell(task, sql) : !looked ? look(task, sql) : act(task, sql);
    looked = looked || (!tells && done.ok());
    TRY(tolerate(task, sql, std::move(done)));
    TRY(task.sleep(random.exponential(Duration::milliseconds(100))));
  }
  return {};
}

// Neither needs a page: the former pageserver may be gone.
Status SqlBank::tell(Task& task, SqlSession& sql) {
  std::string pageserver = wanted_;
  TRY(sql.run(task, fmt::format("alter system set argon.pageserver_connstring = '{}'", pageserver)));
  sql.reload();
  told_ = pageserver;
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

namespace {

uint64_t draw_accounts(Run& run, Random& random) {
  return std::max<uint64_t>(2, run.limited("accounts", random.between(4, 200)));
}

}  // namespace

ClusterKnobs BankCompute::knobs() {
  ClusterKnobs knobs;
  knobs.postgres = true;
  knobs.gc = true;  // else a run's memory holds every image that compaction ever made
  return knobs;
}

BankCompute::BankCompute(Cluster& cluster)
    : cluster_(cluster),
      run_(cluster.run()),
      random_(run_.random().fork("bank")),
      bank_(run_, draw_accounts(run_, random_)) {
  static constexpr const char* kBuffers[] = {"128kB", "256kB", "1MB", "16MB"};
  config_.driver.proposer = cluster.proposer(*cluster.lines().front());
  config_.pageserver = cluster.pages();
  config_.settings = {std::string("shared_buffers = ") + kBuffers[random_.below(4)],
                      fmt::format("argon.readahead_window = {}", random_.below(2) * 16),
                      fmt::format("argon.shadow = {}", random_.below(2) == 0 ? "on" : "off")};
}

BankCompute::~BankCompute() {
  if (machine_ != nullptr) machine_->power_loss();
}

void BankCompute::start() {
  Line& root = *cluster_.lines().front();
  machine_ = &cluster_.add_compute_machine(root, Duration::milliseconds(500));
  config_.name = machine_->name();
  machine_->boot([this, &root](Task& task, Env& env) {
    return run_postgres_compute(task, env, *machine_, run_, root, config_, client_);
  });
}

void BankCompute::move() {
  config_.pageserver = cluster_.pages();
  bank_.move_to(config_.pageserver);
}

void BankCompute::check_progress(const std::string& which) {
  if (run_.failed()) return;
  uint64_t commits = bank_.commits();
  uint64_t looks = bank_.looks();
  bank_.want_look();
  auto well = [&] {
    return bank_.looks() > looks && (bank_.commits() >= commits + kProgressCommits || run_.idles());
  };
  if (!run_.run_until(well, kProgressLimit) && !run_.failed())
    run_.fail("progress " + which,
              fmt::format("{} transfers and {} looks at everything within {} s", bank_.commits() - commits,
                          bank_.looks() - looks, kProgressLimit.to_seconds()));
}

}  // namespace argon::scenarios
