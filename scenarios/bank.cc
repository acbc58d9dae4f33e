#include "scenarios/bank.h"

#include <algorithm>
#include <numeric>

#include "scenarios/cluster_run.h"
#include "scenarios/row_readers.h"

namespace argon::scenarios {
namespace {

constexpr const char* kOracle = "money is neither made nor lost";
constexpr uint64_t kBalance = 1000;
// A minute.
constexpr uint64_t kLeastTransfers = 10;  // over two pages or more
constexpr uint64_t kLeastReads = 10;      // while transfers go on

// The clients of one line.
class Branch final : public compute::RowWorkload {
 public:
  Branch(Run& run, uint64_t accounts, Lsn open_by) : run_(run), accounts_(accounts), open_by_(open_by) {}

  std::optional<compute::RowTransaction> next(Random& random) override {
    if (!open_) return open();
    std::vector<uint64_t> keys(accounts_);
    std::iota(keys.begin(), keys.end(), 1);
    uint64_t parties = random.between(2, std::min<uint64_t>(accounts_, 5));
    for (uint64_t i = 0; i < parties; i++) std::swap(keys[i], keys[i + random.below(accounts_ - i)]);
    keys.resize(parties);
    uint64_t amount = random.log_uniform(1, kBalance);
    return compute::RowTransaction{
        keys, [this, amount](const compute::RowValues& before) { return transfer(before, amount); }, 0};
  }

  void ended(const compute::RowTransaction&, const compute::RowOutcome& outcome) override {
    if (outcome.aborted) return;
    if (open_ && outcome.pages > 1) transfers_++;
    if (!open_by_.valid()) open_by_ = outcome.commit_end;
    open_ = true;
  }

  std::string judge(Lsn lsn, const RowMap& rows) const {
    if (rows.empty()) return open_by_.valid() && lsn >= open_by_ ? "all accounts are gone" : "";
    uint64_t sum = 0;
    for (const auto& [key, balance] : rows) sum += balance;
    if (rows.size() == accounts_ && sum == accounts_ * kBalance) return {};
    return std::to_string(rows.size()) + " accounts have " + std::to_string(sum) + " together, not " +
           std::to_string(accounts_) + " accounts " + std::to_string(accounts_ * kBalance);
  }

  Lsn open_by() const { return open_by_; }
  uint64_t transfers() const { return transfers_; }

 private:
  static size_t count(const compute::RowValues& values) {
    return static_cast<size_t>(std::ranges::count_if(values, [](const auto& v) { return v.has_value(); }));
  }

  // All accounts, where they are not there yet.
  compute::RowTransaction open() {
    std::vector<uint64_t> keys(accounts_);
    std::iota(keys.begin(), keys.end(), 1);
    auto fill = [this](const compute::RowValues& before) {
      size_t there = count(before);
      if (there != 0 && there != before.size())
        run_.fail(kOracle, "a compute finds " + std::to_string(there) + " of " +
                               std::to_string(before.size()) + " accounts");
      return there != 0 ? before : compute::RowValues(before.size(), kBalance);
    };
    return {keys, fill, 0};
  }

  // From the first to the others.
  compute::RowValues transfer(const compute::RowValues& before, uint64_t amount) {
    if (count(before) < before.size()) {
      run_.fail(kOracle, "an account is gone, finds a compute");
      return before;
    }
    compute::RowValues after = before;
    uint64_t each = std::min(amount, *before.front()) / (before.size() - 1);
    *after.front() -= each * (before.size() - 1);
    for (size_t i = 1; i < after.size(); i++) *after[i] += each;
    return after;
  }

  Run& run_;
  uint64_t accounts_;
  Lsn open_by_;        // from here on the accounts are there; not valid: not known
  bool open_ = false;  // a compute of this line has seen them
  uint64_t transfers_ = 0;
};

class Bank {
 public:
  explicit Bank(Cluster& cluster) : run_(cluster.run()) {
    accounts_ = std::max<uint64_t>(2, run_.limited("accounts", run_.random().between(4, 24)));
    cluster.on_line([this](const Line& line) { return add(line); });
  }

  std::string judge(const Line& line, Lsn lsn, const RowMap& rows) const {
    return branches_.at(line.name)->judge(lsn, rows);
  }
  uint64_t transfers() const {
    uint64_t sum = 0;
    for (const auto& [name, branch] : branches_) sum += branch->transfers();
    return sum;
  }

 private:
  compute::RowWorkload* add(const Line& line) {
    Lsn open_by;
    if (line.parent != nullptr) open_by = branches_.at(line.parent->name)->open_by();
    // Opened on the parent only after the branch point: not here.
    if (open_by > line.branch_point) open_by = Lsn();
    return (branches_[line.name] = std::make_unique<Branch>(run_, accounts_, open_by)).get();
  }

  Run& run_;
  uint64_t accounts_ = 0;
  std::map<std::string, std::unique_ptr<Branch>> branches_;  // by the line's name
};

void bank_body(Run& run) {
  Cluster cluster(run);
  Bank bank(cluster);
  RowReaders readers(cluster, kOracle, [&bank](const Line& line, Lsn lsn, const RowMap& rows) {
    return bank.judge(line, lsn, rows);
  });
  if (!cluster.set_up()) return;
  Line& root = *cluster.lines().front();
  cluster.add_compute(root, Duration::seconds(1));
  bool rival = run.random().below(4) == 0;
  if (rival && run.limited("rivals", 1) > 0) cluster.add_compute(root, Duration::seconds(15));
  readers.start();
  live_with_branches(cluster);
  readers.stop();
  readers.check_all("while computes go on");
  run.demand("transfers over several pages", bank.transfers(), kLeastTransfers);
  run.demand("looks at the accounts", readers.reads(), kLeastReads);
  check_end(cluster);
  readers.check_all("after the pageserver was rebuilt");
}

}  // namespace

constinit const Scenario kBank{"bank",
                               "at any LSN and on every branch the accounts have the same money together",
                               bank_body,
                               {20, 30, 1},
                               false};

}  // namespace argon::scenarios
