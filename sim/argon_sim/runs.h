// Runs: simulated runs, each in a process of its own, several at once. A failed CHECK, a crash, a hang or a
// forbidden system call is a failed run with its signature, and not the end of the tool.

#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "scenarios/case.h"

namespace argon::sim {

// What failed and which check saw it. Runs with equal signatures count as one failure.
struct Signature {
  std::string oracle;
  std::string place;

  friend auto operator<=>(const Signature&, const Signature&) = default;
};
std::string to_string(const Signature& signature);

struct Request {
  scenarios::Case what;
  bool keep_events = false;  // and in the report: the latest
  bool echo_log = false;     // the daemons' log to standard error, as it comes
  bool apart = false;        // started anew: another address layout, another filling of memory
  int seconds = 300;         // of wall time; a run that takes longer hangs
  // In the run's process: when the world is made; and when the run has ended, what is to be written of it:
  // into the file `write_to`, or where that is empty in front of the report (Outcome::text).
  std::function<void(scenarios::Run&)> on_begin;
  std::function<std::string(const scenarios::Report&)> content;
  std::string write_to;
};

struct Outcome {
  bool ok = false;
  std::string failure;            // what was found; with the oracle in front: describe()
  Signature signature;            // where not ok
  nlohmann::ordered_json report;  // the JSON object of `run`; null where the process ended without one
  std::string text;               // what the process wrote before it
  int64_t wall_ms = 0;

  // Of the report, and what it says for the tool alone.
  uint64_t events() const;
  Duration virtual_time() const;
  std::string hash() const;
  faults::Plan plan() const;
  std::map<std::string, uint64_t> sizes() const;
  std::vector<Duration> operations() const;
  std::optional<Duration> healed() const;
  std::vector<Feature> features() const;
};

class Runs {
 public:
  explicit Runs(unsigned jobs) : slots_(jobs) {}
  ~Runs() { stop(); }
  Runs(const Runs&) = delete;
  Runs& operator=(const Runs&) = delete;

  bool full() const;
  bool empty() const;
  // REQUIRES: not full().
  void start(Request request, uint64_t tag);
  // Those that end within so many milliseconds, or at least one earlier.
  std::vector<std::pair<uint64_t, Outcome>> wait(int milliseconds);
  // Ends those whose tag is at least this.
  void stop(uint64_t from_tag = 0);

  Outcome run(Request request);
  // The first of the requests, in their order, for whose outcome `wanted` is true; none: -1. Runs as many at
  // once as there are slots, and no more than needed.
  int64_t first(const std::vector<Request>& requests, const std::function<bool(const Outcome&)>& wanted,
                Outcome* found = nullptr);
  uint64_t started() const { return started_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Slot {
    pid_t pid = -1;
    int out = -1;
    uint64_t tag = 0;
    Request request;
    Clock::time_point began;
    std::string text;
  };
  Outcome take(Slot& slot);

  std::vector<Slot> slots_;
  uint64_t started_ = 0;
};

}  // namespace argon::sim
