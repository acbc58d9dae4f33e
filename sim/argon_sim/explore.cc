#include "sim/argon_sim/explore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/argon_sim/report.h"

namespace argon::sim {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kSecondsPerRun = 300;  // a run that takes longer hangs

struct Worker {
  pid_t pid = -1;
  int out = -1;
  const scenarios::Scenario* scenario = nullptr;
  uint64_t seed = 0;
  Clock::time_point began;
  std::string text;  // what it wrote: log, and the JSON line last
};

int64_t milliseconds_since(Clock::time_point t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - t).count();
}

[[noreturn]] void run_child(const Worker& worker, const ExploreOptions& options, int out) {
  dup2(out, 1);
  dup2(out, 2);
  alarm(kSecondsPerRun);
  auto began = Clock::now();
  scenarios::RunOptions run;
  run.seed = worker.seed;
  run.length = options.length;
  scenarios::Report report = run_scenario(*worker.scenario, run);
  std::string text = report.ok ? std::string() : to_text(report);
  text += to_json(report, milliseconds_since(began)) + "\n";
  for (size_t done = 0; done < text.size();) {
    ssize_t n = write(1, text.data() + done, text.size() - done);
    if (n <= 0) _exit(1);
    done += static_cast<size_t>(n);
  }
  _exit(report.ok ? 0 : 1);
}

class Exploration {
 public:
  explicit Exploration(const ExploreOptions& options) : options_(options), next_seed_(options.first_seed) {}

  int run() {
    std::vector<Worker> workers(std::max(1u, options_.jobs));
    for (;;) {
      bool busy = false;
      for (Worker& worker : workers) {
        if (worker.pid < 0 && more()) start(worker);
        busy = busy || worker.pid >= 0;
      }
      if (!busy) break;
      wait_for_output(workers);
      show(false);
    }
    show(true);
    return failures_ > 0 ? 1 : 0;
  }

 private:
  bool more() const {
    if (failures_ >= options_.max_failures) return false;
    if (options_.for_seconds > 0 && milliseconds_since(began_) >= options_.for_seconds * 1000) return false;
    return next_seed_ <= options_.last_seed && next_seed_ != 0;
  }

  void start(Worker& worker) {
    worker = {};
    worker.scenario = options_.what[next_scenario_];
    worker.seed = next_seed_;
    if (++next_scenario_ == options_.what.size()) {
      next_scenario_ = 0;
      next_seed_++;
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    worker.began = Clock::now();
    worker.pid = fork();
    if (worker.pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (worker.pid == 0) {
      close(ends[0]);
      run_child(worker, options_, ends[1]);
    }
    close(ends[1]);
    worker.out = ends[0];
  }

  void wait_for_output(std::vector<Worker>& workers) {
    std::vector<pollfd> polled;
    for (const Worker& worker : workers)
      if (worker.pid >= 0) polled.push_back({worker.out, POLLIN, 0});
    poll(polled.data(), polled.size(), 500);
    for (const pollfd& p : polled) {
      if (p.revents == 0) continue;
      for (Worker& worker : workers)
        if (worker.pid >= 0 && worker.out == p.fd) take(worker);
    }
  }

  void take(Worker& worker) {
    char buffer[65536];
    ssize_t n = read(worker.out, buffer, sizeof buffer);
    if (n > 0) {
      worker.text.append(buffer, static_cast<size_t>(n));
      return;
    }
    close(worker.out);
    int status = 0;
    waitpid(worker.pid, &status, 0);
    worker.pid = -1;
    ended(worker, status);
  }

  void ended(const Worker& worker, int status) {
    runs_++;
    std::string_view text = worker.text;
    if (text.ends_with('\n')) text.remove_suffix(1);
    std::string_view last = text.substr(text.rfind('\n') + 1);
    auto json = nlohmann::json::parse(last, nullptr, false);
    if (json.is_object() && json.contains("events")) {
      events_ += json["events"].get<uint64_t>();
      virtual_ms_ += static_cast<int64_t>(json["virtual_seconds"].get<double>() * 1000);
      commits_ += json["commits_acked"].get<uint64_t>();
      pages_ += json["pages_checked"].get<uint64_t>();
      for (const auto& [kind, n] : json["faults"].items()) faults_[kind] += n.get<uint64_t>();
      if (options_.each) fmt::print("{}\n", last);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    failed(worker, status, json);
  }

  void failed(const Worker& worker, int status, const nlohmann::json& json) {
    failures_++;
    std::string what = "ended without a report";
    if (json.is_object() && json.contains("failure"))
      what = json["oracle"].get<std::string>() + ": " + json["failure"].get<std::string>();
    else if (WIFSIGNALED(status))
      what = WTERMSIG(status) == SIGALRM
                 ? fmt::format("hang: no end within {} s of wall time", kSecondsPerRun)
                 : fmt::format("{}: {}", strsignal(WTERMSIG(status)), check_line(worker.text));
    std::string command = fmt::format("argon-sim run {} --seed {} --seconds {}", worker.scenario->name,
                                      worker.seed, options_.length.to_seconds());
    std::filesystem::path folder =
        std::filesystem::path(options_.failures) / fmt::format("{}-{}", worker.scenario->name, worker.seed);
    std::error_code ignored;
    std::filesystem::create_directories(folder, ignored);
    std::ofstream(folder / "command") << command << '\n';
    std::ofstream(folder / "failure") << what << '\n';
    std::ofstream(folder / "output") << worker.text;
    size_t begin = worker.text.find("argon-plan 1");
    size_t end = worker.text.find("latest log lines:");
    if (begin != std::string::npos && end != std::string::npos)
      std::ofstream(folder / "plan") << worker.text.substr(begin, end - begin);
    clear_line();
    fmt::print("FAILED {} seed {}: {}\n  again: {}\n  kept:  {}\n", worker.scenario->name, worker.seed, what,
               command, folder.string());
    std::fflush(stdout);
  }

  // The line of a failed CHECK or of a sanitizer, from everything the worker wrote.
  static std::string check_line(const std::string& text) {
    for (std::string_view mark : {"CHECK(", "ERROR: ", "runtime error:", "terminate called"}) {
      size_t at = text.find(mark);
      if (at == std::string::npos) continue;
      size_t begin = text.rfind('\n', at) + 1;
      return text.substr(begin, text.find('\n', at) - begin);
    }
    return "no message";
  }

  void clear_line() const {
    if (options_.progress && isatty(2) != 0) fmt::print(stderr, "\r\033[K");
  }

  void show(bool end) {
    int64_t ms = std::max<int64_t>(milliseconds_since(began_), 1);
    if (!end && (!options_.progress || ms - shown_ms_ < (isatty(2) != 0 ? 500 : 10'000))) return;
    shown_ms_ = ms;
    uint64_t fault_total = 0;
    for (const auto& [kind, n] : faults_) fault_total += n;
    std::string line = fmt::format(
        "{} runs, {} failed, {}.{} virtual hours, {} times real time, {} k events/s, {} commits, {} pages, "
        "{} faults",
        runs_, failures_, virtual_ms_ / 3'600'000, virtual_ms_ % 3'600'000 / 360'000, virtual_ms_ / ms,
        events_ / static_cast<uint64_t>(ms), commits_, pages_, fault_total);
    clear_line();
    if (!end) {
      fmt::print(stderr, "{}{}", line, isatty(2) != 0 ? "" : "\n");
      return;
    }
    for (const auto& [kind, n] : faults_) fmt::print("{:<22} {}\n", kind, n);
    fmt::print("{}\n", line);
  }

  const ExploreOptions& options_;
  Clock::time_point began_ = Clock::now();
  uint64_t next_seed_;
  size_t next_scenario_ = 0;
  uint64_t runs_ = 0;
  uint64_t failures_ = 0;
  uint64_t events_ = 0;
  uint64_t commits_ = 0;
  uint64_t pages_ = 0;
  int64_t virtual_ms_ = 0;
  int64_t shown_ms_ = 0;
  std::map<std::string, uint64_t> faults_;
};

}  // namespace

int explore(const ExploreOptions& options) {
  rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  std::fflush(nullptr);
  return Exploration(options).run();
}

}  // namespace argon::sim
