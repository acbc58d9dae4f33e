#include "scenarios/single_key.h"

#include <algorithm>

#include "scenarios/cluster_run.h"
#include "scenarios/linearizability.h"
#include "scenarios/oracle_rows.h"

namespace argon::scenarios {
namespace {

constexpr const char* kOracle = "a row is a linearizable register";
// A minute.
constexpr uint64_t kLeastWrites = 10;
constexpr uint64_t kLeastReads = 10;  // of the pageserver
constexpr uint64_t kReaders = 2;

std::string text_of(const std::optional<uint64_t>& value) {
  return value ? std::to_string(*value) : "none";
}

// The clients of one line, and what they saw.
class Registers final : public compute::RowWorkload {
 public:
  Registers(Run& run, std::string line, uint64_t keys, uint64_t& values)
      : run_(run), line_(std::move(line)), keys_(keys), values_(values) {}

  std::optional<compute::RowTransaction> next(Random& random) override {
    uint64_t key = 1 + random.below(keys_);
    uint64_t way = random.below(5);
    std::string kind = way < 2 ? "read" : way < 4 ? "write" : "swap";
    uint64_t value = kind == "read" ? 0 : ++values_;
    uint64_t place = begin(key, kind, kind == "read" ? "" : std::to_string(value));
    auto change = [value](const compute::RowValues& before) {
      return value == 0 ? before : compute::RowValues{value};
    };
    auto kept = [this, place, change](const compute::RowValues& before) {
      history_[place].output = text_of(before.front());
      return change(before);
    };
    return compute::RowTransaction{{key}, kept, place};
  }

  void ended(const compute::RowTransaction& transaction, const compute::RowOutcome& outcome) override {
    Operation& operation = history_[transaction.token];
    if (outcome.aborted) {
      aborted_.insert(transaction.token);
      return;
    }
    if (operation.kind != "read") writes_++;
    end(operation);
  }

  // One look at all rows is a read of each.
  std::vector<uint64_t> begin_reads() {
    std::vector<uint64_t> places;
    for (uint64_t key = 1; key <= keys_; key++) places.push_back(begin(key, "read", ""));
    return places;
  }
  void end_reads(const std::vector<uint64_t>& places, const RowMap& rows) {
    for (uint64_t key = 1; key <= keys_; key++) {
      Operation& operation = history_[places[key - 1]];
      auto row = rows.find(key);
      operation.output = row == rows.end() ? "none" : std::to_string(row->second);
      end(operation);
    }
    reads_++;
  }

  // With what the line began with, and without what was aborted.
  std::vector<Operation> history(const RowMap& initial) const {
    std::vector<Operation> whole;
    for (const auto& [key, value] : initial)
      whole.push_back({name(key), -2, -1, "write", std::to_string(value), ""});
    for (size_t i = 0; i < history_.size(); i++)
      if (!aborted_.contains(i)) whole.push_back(history_[i]);
    return settle_unanswered(whole);
  }

  uint64_t writes() const { return writes_; }
  uint64_t reads() const { return reads_; }

 private:
  std::string name(uint64_t key) const { return line_ + " row " + std::to_string(key); }
  uint64_t begin(uint64_t key, const std::string& kind, const std::string& input) {
    history_.push_back({name(key), run_.world().now().ns, Operation::kNever, kind, input, ""});
    return history_.size() - 1;
  }
  void end(Operation& operation) { operation.ret = run_.world().now().ns; }

  Run& run_;
  std::string line_;
  uint64_t keys_;
  uint64_t& values_;  // given out so far, of all lines
  std::vector<Operation> history_;
  std::set<size_t> aborted_;  // places there
  uint64_t writes_ = 0;
  uint64_t reads_ = 0;
};

class Clients {
 public:
  explicit Clients(Cluster& cluster) : cluster_(cluster), run_(cluster.run()) {
    keys_ = std::max<uint64_t>(1, run_.limited("keys", run_.random().between(1, 6)));
    cluster.on_line([this](const Line& line) {
      lines_[line.name] = std::make_unique<Registers>(run_, line.name, keys_, values_);
      return lines_[line.name].get();
    });
  }

  void start() {
    for (uint64_t i = 0; i < kReaders; i++)
      cluster_.operators().spawn("rows", [this, i](Task& task) { return work(task, i); });
  }
  void stop() { stopped_ = true; }

  void read_all() {
    for (const auto& line : cluster_.lines()) {
      Registers& registers = *lines_.at(line->name);
      std::vector<uint64_t> places = registers.begin_reads();
      if (auto rows = rows_at(cluster_, *line, latest(*line), kOracle)) registers.end_reads(places, *rows);
    }
  }

  void check() {
    for (const auto& line : cluster_.lines()) {
      std::optional<RowMap> initial = RowMap();
      if (line->parent != nullptr) initial = rows_at(cluster_, *line->parent, line->branch_point, kOracle);
      if (!initial) return;
      Linearizability result =
          check_linearizable(lines_.at(line->name)->history(*initial), register_specification("none"));
      if (!result.holds && result.decided) run_.fail(kOracle, result.violation);
    }
  }

  void check_work() const {
    uint64_t writes = 0;
    uint64_t reads = 0;
    for (const auto& [name, registers] : lines_) {
      writes += registers->writes();
      reads += registers->reads();
    }
    run_.demand("writes", writes, kLeastWrites);
    run_.demand("looks at the pageserver's rows", reads, kLeastReads);
  }

 private:
  // What a compute finds where it starts is durable, and read there, though its writer may have died
  // unanswered.
  static Lsn latest(const Line& line) { return std::max(line.branch_point, line.events->durable()); }

  Status work(Task& task, uint64_t number) {
    Random& random = task.env().random("rows " + std::to_string(number));
    while (!stopped_) {
      TRY(task.sleep(random.exponential(Duration::milliseconds(500))));
      const Line& line = *cluster_.lines()[random.below(cluster_.lines().size())];
      if (!run_.may_operate()) continue;
      Registers& registers = *lines_.at(line.name);
      std::vector<uint64_t> places = registers.begin_reads();
      Deadline deadline(task, Duration::seconds(20));
      auto rows = read_rows(task, cluster_, line, latest(line));
      if (!rows.ok() && !rows.is(Code::Corrupt)) continue;
      Result<RowMap> unique = rows.ok() ? unique_rows(*rows) : Result<RowMap>(rows.error());
      if (unique.ok())
        registers.end_reads(places, *unique);
      else
        run_.fail(kOracle, line.name + ": " + unique.error().to_string());
    }
    return {};
  }

  Cluster& cluster_;
  Run& run_;
  uint64_t keys_ = 1;
  uint64_t values_ = 0;
  std::map<std::string, std::unique_ptr<Registers>> lines_;  // by name
  bool stopped_ = false;
};

void single_key_body(Run& run) {
  Cluster cluster(run);
  Clients clients(cluster);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  clients.start();
  live_with_branches(cluster);
  clients.stop();
  clients.check_work();
  clients.read_all();
  check_end(cluster);
  clients.read_all();
  if (!run.failed()) clients.check();
}

}  // namespace

constinit const Scenario kSingleKey{
    "single-key",
    "each row is a linearizable register, through computes and at the pageserver",
    single_key_body,
    {20, 30, 1},
    false};

}  // namespace argon::scenarios
