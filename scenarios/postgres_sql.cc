#include "scenarios/postgres_sql.h"

#include <fmt/format.h>

#include <algorithm>

#include "scenarios/cluster_run.h"
#include "scenarios/oracle_remote.h"
#include "scenarios/postgres_compute.h"
#include "scenarios/sql_line.h"

namespace argon::scenarios {
namespace {

constexpr uint64_t kProgressCommits = 2;
// Each has WAL and pages of its own, and a run's memory is small.
constexpr uint64_t kBranches[] = {0, 1, 1, 2};
constexpr Duration kRivalSupervise = Duration::seconds(15);

class SqlCluster {
 public:
  explicit SqlCluster(Run& run)
      : run_(run),
        random_(run.random().fork("sql")),
        cluster_(run, knobs()),
        branches_(run.limited("branches", kBranches[random_.below(std::size(kBranches))])) {}
  // Nothing of the servers may refer to what ends here.
  ~SqlCluster() {
    for (sim::Machine* machine : machines_) machine->power_loss();
  }

  bool set_up();
  void live();
  void check();

 private:
  struct Served {
    Line& line;
    std::unique_ptr<SqlLine> sql;
  };
  static ClusterKnobs knobs();
  std::vector<std::string> draw_settings();
  void add_compute(Served& served, Duration supervise);
  void branch();
  void check_progress(const std::string& which);

  Run& run_;
  Random random_;
  Cluster cluster_;
  uint64_t branches_;
  std::vector<std::unique_ptr<Served>> lines_;
  std::vector<std::unique_ptr<PostgresComputeConfig>> configs_;
  std::vector<sim::Machine*> machines_;
};

ClusterKnobs SqlCluster::knobs() {
  ClusterKnobs knobs;
  knobs.postgres = true;
  knobs.gc = true;  // else a run's memory holds every image that compaction ever made
  knobs.few_images = true;
  knobs.layer_bytes_max = 16 << 20;
  return knobs;
}

std::vector<std::string> SqlCluster::draw_settings() {
  // The server logs a new index 32 pages at a time, which must all fit.
  static constexpr const char* kBuffers[] = {"400kB", "400kB", "600kB", "1MB", "16MB"};
  static constexpr const char* kLocalPages[] = {"1", "16", "131072"};
  return {std::string("shared_buffers = ") + kBuffers[random_.below(std::size(kBuffers))],
          std::string("argon.max_local_pages = ") + kLocalPages[random_.below(std::size(kLocalPages))],
          std::string("argon.max_file_cache_size = ") + (random_.below(2) == 0 ? "0" : "16MB"),
          fmt::format("argon.readahead_window = {}", random_.below(2) * 16),
          fmt::format("argon.shadow = {}", random_.below(3) == 0 ? "on" : "off"),
          "temp_buffers = 100",
          "max_prepared_transactions = 4"};
}

bool SqlCluster::set_up() {
  if (!cluster_.set_up()) return false;
  Line& root = *cluster_.lines().front();
  auto ids = std::make_shared<uint64_t>(1);
  lines_.push_back(
      std::make_unique<Served>(root, std::make_unique<SqlLine>(run_, cluster_.operators(), root, ids)));
  add_compute(*lines_.front(), Duration::milliseconds(500));
  bool rival = random_.below(3) == 0;
  if (rival && run_.limited("rivals", 1) > 0) add_compute(*lines_.front(), kRivalSupervise);
  watch_remote(cluster_);
  return true;
}

void SqlCluster::add_compute(Served& served, Duration supervise) {
  sim::Machine& machine = cluster_.add_compute_machine(served.line, supervise);
  auto config = std::make_unique<PostgresComputeConfig>();
  config->name = machine.name();
  config->driver.proposer = cluster_.proposer(served.line);
  config->pageserver = cluster_.pages();
  config->settings = draw_settings();
  static constexpr int64_t kLeases[] = {0, 100, 1000, 5000, 60'000};  // milliseconds
  config->read_lease = Duration::milliseconds(kLeases[random_.below(std::size(kLeases))]);
  machine.boot([this, &machine, &served, config = config.get()](Task& task, Env& env) {
    SqlClient client = [&served](Task& t, SqlSession& sql) { return served.sql->serve(t, sql); };
    return run_postgres_compute(task, env, machine, run_, served.line, *config, client);
  });
  configs_.push_back(std::move(config));
  machines_.push_back(&machine);
}

// Of an acknowledged commit, with a compute of its own.
void SqlCluster::branch() {
  Served& parent = *lines_[random_.below(lines_.size())];
  Line* made = cluster_.branch(parent.line, Duration::seconds(10));
  if (made == nullptr) return;
  // A late acknowledgement of what was seen before has no point of its own.
  if (!parent.sql->knows(made->branch_point)) return cluster_.give_up(*made);
  lines_.push_back(
      std::make_unique<Served>(*made, std::make_unique<SqlLine>(*parent.sql, cluster_.operators(), *made)));
  add_compute(*lines_.back(), Duration::milliseconds(500));
}

void SqlCluster::live() {
  cluster_.start_faults();
  now_and_then(run_, run_.options().length / 4, [&] {
    if (lines_.size() <= branches_) branch();
  });
}

void SqlCluster::check_progress(const std::string& which) {
  if (run_.failed()) return;
  struct Before {
    uint64_t commits;
    uint64_t looks;
  };
  std::vector<Before> before;
  for (auto& one : lines_) {
    before.push_back({one->sql->commits(), one->sql->whole_looks()});
    one->sql->want_whole_look();
  }
  auto well = [&] {
    for (size_t i = 0; i < lines_.size(); i++) {
      const SqlLine& sql = *lines_[i]->sql;
      if (sql.whole_looks() <= before[i].looks || !sql.all_compared()) return false;
      if (sql.commits() < before[i].commits + kProgressCommits && !run_.idles()) return false;
    }
    return true;
  };
  if (run_.run_until(well, kProgressLimit) || run_.failed()) return;
  std::string what;
  for (size_t i = 0; i < lines_.size(); i++)
    what += fmt::format("{}{}: {} commits, {} looks at everything{}", i == 0 ? "" : "; ",
                        lines_[i]->line.name, lines_[i]->sql->commits() - before[i].commits,
                        lines_[i]->sql->whole_looks() - before[i].looks,
                        lines_[i]->sql->all_compared() ? "" : ", not all compared");
  run_.fail("progress " + which, fmt::format("{} within {} s", what, kProgressLimit.to_seconds()));
}

void SqlCluster::check() {
  end_postgres_run(run_, cluster_, machines_, [&](const std::string& which) { check_progress(which); });
}

void body(Run& run) {
  SqlCluster cluster(run);
  if (!cluster.set_up()) return;
  cluster.live();
  if (!run.failed()) cluster.check();
}

}  // namespace

constinit const Scenario kPostgresSql{
    "postgres-sql",
    "stock PostgreSQL servers on a timeline and its branches show what servers on plain files would",
    body,
    {5, 1, 0},
    false,
    true,
    true};

}  // namespace argon::scenarios
