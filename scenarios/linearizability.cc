#include "scenarios/linearizability.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace argon::scenarios {
namespace {

constexpr size_t kNone = SIZE_MAX;

// Calls and returns in order of time, as a list from which operations are lifted and put back.
class Timeline {
 public:
  explicit Timeline(const std::vector<const Operation*>& operations) {
    std::vector<std::pair<int64_t, size_t>> events;  // 2 i: call of i, 2 i + 1: its return
    for (size_t i = 0; i < operations.size(); i++) {
      events.emplace_back(operations[i]->call, 2 * i);
      if (operations[i]->ret != Operation::kNever) events.emplace_back(operations[i]->ret, 2 * i + 1);
    }
    // At the same time calls come first: the two may overlap.
    std::ranges::sort(events, [](const auto& a, const auto& b) {
      return std::tuple(a.first, a.second % 2, a.second) < std::tuple(b.first, b.second % 2, b.second);
    });
    next_.assign(2 * operations.size() + 1, kNone);
    before_.assign(next_.size(), kNone);
    head_ = 2 * operations.size();
    size_t last = head_;
    for (const auto& [time, event] : events) {
      next_[last] = event;
      before_[event] = last;
      last = event;
    }
  }

  size_t first() const { return next_[head_]; }
  size_t after(size_t event) const { return next_[event]; }
  void lift(size_t operation, bool returns) {
    unlink(2 * operation);
    if (returns) unlink(2 * operation + 1);
  }
  void put_back(size_t operation, bool returns) {
    if (returns) link(2 * operation + 1);
    link(2 * operation);
  }

 private:
  void unlink(size_t event) {
    next_[before_[event]] = next_[event];
    if (next_[event] != kNone) before_[next_[event]] = before_[event];
  }
  void link(size_t event) {
    next_[before_[event]] = event;
    if (next_[event] != kNone) before_[next_[event]] = event;
  }

  std::vector<size_t> next_;
  std::vector<size_t> before_;
  size_t head_;
};

class KeySearch {
 public:
  KeySearch(std::vector<const Operation*> operations, const Specification& specification, uint64_t& steps,
            uint64_t steps_most)
      : operations_(std::move(operations)),
        specification_(specification),
        steps_(steps),
        steps_most_(steps_most),
        timeline_(operations_),
        done_(operations_.size()) {
    for (const Operation* o : operations_) returning_ += returns(*o) ? 1 : 0;
  }

  // True where an order was found; the operation that none reached, otherwise, is stuck().
  bool run() {
    std::string state = specification_.initial;
    std::vector<std::pair<size_t, std::string>> path;  // what was put in order, and the state before
    size_t at = timeline_.first();
    while (returned_ < returning_) {
      if (steps_ >= steps_most_) return false;
      // Only what was called before the first return that is left can come next.
      if (at != kNone && at % 2 == 0) {
        steps_++;
        size_t operation = at / 2;
        auto next = specification_.step(state, *operations_[operation]);
        if (next.has_value() && fresh(operation, *next)) {
          path.emplace_back(operation, std::exchange(state, *std::move(next)));
          choose(operation, true);
          at = timeline_.first();
        } else {
          at = timeline_.after(at);
        }
        continue;
      }
      if (at != kNone && path.size() >= deepest_) {
        deepest_ = path.size();
        stuck_ = at / 2;
      }
      if (path.empty()) return false;
      size_t operation = path.back().first;
      state = std::move(path.back().second);
      path.pop_back();
      choose(operation, false);
      at = timeline_.after(2 * operation);
    }
    return true;
  }

  // The operation that had to come before the rest, where the longest attempt ended.
  const Operation& stuck() const { return *operations_[stuck_]; }

 private:
  static bool returns(const Operation& operation) { return operation.ret != Operation::kNever; }

  bool fresh(size_t operation, const std::string& state) {
    std::vector<bool> with = done_;
    with[operation] = true;
    return seen_.emplace(std::move(with), state).second;
  }

  void choose(size_t operation, bool chosen) {
    bool r = returns(*operations_[operation]);
    done_[operation] = chosen;
    if (chosen)
      timeline_.lift(operation, r);
    else
      timeline_.put_back(operation, r);
    if (r) returned_ += chosen ? 1 : SIZE_MAX;
  }

  std::vector<const Operation*> operations_;
  const Specification& specification_;
  uint64_t& steps_;
  uint64_t steps_most_;
  Timeline timeline_;
  std::vector<bool> done_;
  std::set<std::pair<std::vector<bool>, std::string>> seen_;
  size_t returning_ = 0;
  size_t returned_ = 0;
  size_t deepest_ = 0;
  size_t stuck_ = 0;
};

std::string explain(const std::string& key, const Operation& stuck,
                    const std::vector<const Operation*>& operations) {
  std::string text =
      "no order of the operations on " + key + " explains " + to_string(stuck) + "; around it:";
  for (const Operation* o : operations)
    if (o != &stuck && o->call <= stuck.ret && o->ret >= stuck.call) text += "\n  " + to_string(*o);
  const Operation* before = nullptr;
  for (const Operation* o : operations)
    if (o->ret < stuck.call && (before == nullptr || before->ret < o->ret)) before = o;
  if (before != nullptr) text += "\n  the last one before: " + to_string(*before);
  return text;
}

}  // namespace

std::string to_string(const Operation& o) {
  std::string answer = o.ret == Operation::kNever ? " without an answer" : " -> " + o.output;
  std::string end = o.ret == Operation::kNever ? "" : std::to_string(o.ret);
  return o.kind + "(" + o.input + ")" + answer + " [" + std::to_string(o.call) + ", " + end + "]";
}

Linearizability check_linearizable(const std::vector<Operation>& history, const Specification& specification,
                                   uint64_t steps_most) {
  std::map<std::string, std::vector<const Operation*>> by_key;
  for (const Operation& operation : history) by_key[operation.key].push_back(&operation);
  Linearizability result;
  for (const auto& [key, operations] : by_key) {
    result.keys++;
    KeySearch search(operations, specification, result.steps, steps_most);
    if (search.run()) continue;
    result.holds = false;
    result.decided = result.steps < steps_most;
    if (result.decided) result.violation = explain(key, search.stuck(), operations);
    return result;
  }
  return result;
}

Specification register_specification(std::string initial) {
  auto step = [](const std::string& state, const Operation& o) -> std::optional<std::string> {
    bool known = o.ret != Operation::kNever;
    if (o.kind == "write") return o.input;
    if (o.kind == "read") return !known || o.output == state ? std::optional(state) : std::nullopt;
    if (o.kind == "swap") return !known || o.output == state ? std::optional(o.input) : std::nullopt;
    size_t border = o.input.find('>');
    bool fits = o.input.substr(0, border) == state;
    if (known && fits != (o.output == "yes")) return std::nullopt;
    return fits ? o.input.substr(border + 1) : state;
  };
  return {std::move(initial), step};
}

std::vector<Operation> settle_unanswered(const std::vector<Operation>& history) {
  std::map<std::pair<std::string, std::string>, int64_t> seen;  // key and value; the earliest who saw it
  for (const Operation& o : history) {
    if (o.ret == Operation::kNever || o.kind == "write") continue;
    auto [first, made] = seen.emplace(std::pair(o.key, o.output), o.ret);
    first->second = std::min(first->second, o.ret);
  }
  std::vector<Operation> settled;
  for (const Operation& o : history) {
    settled.push_back(o);
    if (o.ret != Operation::kNever) continue;
    auto by = seen.find({o.key, o.input});
    if (o.kind == "read" || by == seen.end()) {
      settled.pop_back();
      continue;
    }
    settled.back().kind = "write";  // a swap's output is not known
    settled.back().ret = std::max(by->second, o.call);
  }
  return settled;
}

}  // namespace argon::scenarios
