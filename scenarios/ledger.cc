#include "scenarios/ledger.h"

#include "scenarios/cluster_run.h"
#include "scenarios/row_readers.h"

namespace argon::scenarios {
namespace {

constexpr const char* kOracle = "each row is there once";
// A minute.
constexpr uint64_t kLeastRows = 15;
constexpr uint64_t kLeastReads = 10;
constexpr unsigned kAttemptBits = 8;  // of a value: how often the row was written; the rest was drawn

// What was sent to one line.
class Book final : public compute::RowWorkload {
 public:
  // Numbers of different lines differ in their upper half.
  Book(uint64_t number, const Book* parent, Lsn begin) : number_(number), parent_(parent), begin_(begin) {}

  std::optional<compute::RowTransaction> next(Random& random) override {
    bool again = !open_.empty() && random.chance({1, 3});
    uint64_t key = 0;
    if (again) {
      key = *std::next(open_.begin(), static_cast<ptrdiff_t>(random.below(open_.size())));
    } else {
      key = (number_ << 32) + entries_.size() + 1;
      entries_[key].content = random.next() >> kAttemptBits;
      open_.insert(key);
    }
    entries_[key].attempts++;
    uint64_t content = entries_[key].content << kAttemptBits;
    auto write = [content](const compute::RowValues& before) {
      uint64_t attempt = before.front() ? (*before.front() + 1) & ((1u << kAttemptBits) - 1) : 0;
      return compute::RowValues{content | attempt};
    };
    return compute::RowTransaction{{key}, write, key};
  }

  void ended(const compute::RowTransaction& transaction, const compute::RowOutcome& outcome) override {
    Entry& entry = entries_.at(transaction.token);
    if (outcome.aborted) {
      entry.aborted++;
      return;
    }
    if (!entry.committed.valid() || outcome.commit_end < entry.committed)
      entry.committed = outcome.commit_end;
    open_.erase(transaction.token);
  }

  std::string judge(Lsn lsn, const RowMap& rows) const {
    for (const auto& [key, value] : rows)
      if (std::string wrong = why_not(key, value); !wrong.empty()) return wrong;
    for (const Book* book = this; book != nullptr; book = book->parent_) {
      std::string lost = book->missing(lsn, rows);
      if (!lost.empty()) return lost;
      lsn = std::min(lsn, book->begin_);
    }
    return {};
  }

  uint64_t acknowledged() const { return entries_.size() - open_.size(); }

 private:
  struct Entry {
    uint64_t content = 0;
    uint64_t attempts = 0;  // that were begun
    uint64_t aborted = 0;   // of these
    Lsn committed;          // the end of the first commit that was acknowledged
  };

  static std::string name(uint64_t key) {
    return "row " + std::to_string(key & UINT32_MAX) + " of book " + std::to_string(key >> 32);
  }

  // Empty where the row may be there.
  std::string why_not(uint64_t key, uint64_t value) const {
    const Book* book = this;
    Lsn until = Lsn::max();
    for (; book != nullptr && book->number_ != key >> 32; book = book->parent_) until = book->begin_;
    auto entry = book == nullptr ? decltype(entries_.begin()){} : book->entries_.find(key);
    if (book == nullptr || entry == book->entries_.end()) return name(key) + " was never sent here";
    if (value >> kAttemptBits != entry->second.content) return name(key) + " holds what was not sent";
    if (entry->second.attempts == entry->second.aborted) return name(key) + " is there, and was aborted";
    // The first commit may be one that nobody heard of, but then there were several.
    if (entry->second.committed > until && entry->second.attempts == 1)
      return name(key) + " was committed beyond the branch point only";
    return {};
  }

  // A row that was acknowledged up to there, and is not among these.
  std::string missing(Lsn lsn, const RowMap& rows) const {
    for (const auto& [key, entry] : entries_)
      if (entry.committed.valid() && entry.committed <= lsn && !rows.contains(key))
        return name(key) + ", acknowledged at " + to_string(entry.committed) + ", is lost";
    return {};
  }

  uint64_t number_;
  const Book* parent_;
  Lsn begin_;
  std::map<uint64_t, Entry> entries_;
  std::set<uint64_t> open_;  // not known to be committed
};

class Books {
 public:
  explicit Books(Cluster& cluster) {
    cluster.on_line([this](const Line& line) -> compute::RowWorkload* {
      const Book* parent = line.parent == nullptr ? nullptr : books_.at(line.parent->name).get();
      uint64_t number = books_.size() + 1;
      return (books_[line.name] = std::make_unique<Book>(number, parent, line.branch_point)).get();
    });
  }
  std::string judge(const Line& line, Lsn lsn, const RowMap& rows) const {
    return books_.at(line.name)->judge(lsn, rows);
  }
  uint64_t acknowledged() const {
    uint64_t sum = 0;
    for (const auto& [name, book] : books_) sum += book->acknowledged();
    return sum;
  }

 private:
  std::map<std::string, std::unique_ptr<Book>> books_;  // by the line's name
};

void ledger_body(Run& run) {
  Cluster cluster(run);
  Books books(cluster);
  RowReaders readers(cluster, kOracle, [&books](const Line& line, Lsn lsn, const RowMap& rows) {
    return books.judge(line, lsn, rows);
  });
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  readers.start();
  live_with_branches(cluster);
  readers.stop();
  readers.check_all("while computes go on");
  run.demand("rows", books.acknowledged(), kLeastRows);
  run.demand("looks at the rows", readers.reads(), kLeastReads);
  check_end(cluster);
  readers.check_all("after the pageserver was rebuilt");
}

}  // namespace

constinit const Scenario kLedger{"ledger",
                                 "each row that was acknowledged is there exactly once, and no other",
                                 ledger_body,
                                 {20, 30, 1},
                                 false};

}  // namespace argon::scenarios
