#include "sim/argon_sim/runs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "sim/argon_sim/memory.h"
#include "sim/argon_sim/report.h"
#include "sim/argon_sim/sandbox.h"
#include "sim/postgres/host.h"

namespace argon::sim {
namespace {

constexpr int kFileFd = 4;
constexpr const char* kToolOnly = "tool";  // member of the report that is not shown

// ---- in the run's process

scenarios::Run* current_run = nullptr;

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = write(fd, text.data(), text.size());
    if (n <= 0) _exit(1);
    text.remove_prefix(static_cast<size_t>(n));
  }
}

void send(const scenarios::Report& report) {
  std::string text = report.ok ? std::string() : to_text(report);
  nlohmann::ordered_json json = to_json(report);
  nlohmann::ordered_json tool;
  tool["place"] = report.place;
  tool["plan"] = print(report.plan);
  tool["sizes"] = report.sizes;
  auto& operations = tool["operations"] = nlohmann::ordered_json::array();
  for (Duration at : report.operations) operations.push_back(at.to_microseconds());
  if (report.healed) tool["healed"] = report.healed->to_microseconds();
  auto& features = tool["features"] = nlohmann::ordered_json::array();
  for (const Feature& f : report.features) features.push_back({f.id, f.at.to_microseconds(), f.event});
  if (report.log != nullptr && !report.ok) tool["latest_events"] = latest_events(*report.log, 60);
  json[kToolOnly] = std::move(tool);
  write_all(1, text + json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

// The process ends in the middle of a run: what is known of it is reported all the same.
void died(const std::string& scenario, const std::string& what) {
  if (current_run == nullptr) {
    write_all(2, "argon-sim: " + what + ", outside of a run\n");
    return;
  }
  scenarios::Report report = current_run->report(scenario);
  report.ok = false;
  report.oracle = what.starts_with("forbidden") ? "sandbox" : what.starts_with("memory") ? "memory" : "crash";
  report.failure = "at " + std::to_string(report.virtual_time.to_microseconds()) + " us: " + what;
  report.place = what;
  send(report);
}

const std::string* running_scenario = nullptr;

void out_of_memory() {
  died(*running_scenario, "memory: a run may have 256 MB, and wanted more");
  _exit(1);
}

[[noreturn]] void start_apart(const Request& request) {
  // The first half of the filling is what malloc gives, the second what free leaves.
  setenv("GLIBC_TUNABLES", "glibc.malloc.perturb=165", 1);
  setenv("ARGON_SIM_FILL", "165", 1);
  const char* sanitizer = getenv("ASAN_OPTIONS");  // brings an allocator of its own
  std::string filled = std::string(sanitizer != nullptr ? sanitizer : "") + ":malloc_fill_byte=90";
  setenv("ASAN_OPTIONS", filled.c_str(), 1);
  std::string seed = std::to_string(request.what.seed);
  std::string seconds = std::to_string(request.what.length.to_seconds());
  std::vector<const char*> argv = {"argon-sim",     "run",        request.what.scenario.c_str(),
                                   "--seed",        seed.c_str(), "--seconds",
                                   seconds.c_str(), "--json"};
  if (!request.write_to.empty()) argv.insert(argv.end(), {"--events", request.write_to.c_str()});
  argv.push_back(nullptr);
  execv("/proc/self/exe", const_cast<char**>(argv.data()));
  _exit(2);
}

// What it needs lies beside this program (sim/postgres/CMakeLists.txt).
std::unique_ptr<PostgresHost> begin_postgres() {
  auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "lib";
  PostgresFiles files{ARGON_POSTGRES_BINDIR "/postgres", folder / "argon_sim_postgres.so",
                      folder / "argon.so", folder / "argon_sim_plain.tar"};
  std::string archive = folder / "argon_sim_template.tar";
  for (const std::string& file : {files.server, files.preload, files.extension, files.plain, archive}) {
    if (access(file.c_str(), R_OK) == 0) continue;
    write_all(2, fmt::format("argon-sim: this scenario runs real servers and needs {}: {}\n", file,
                             strerror(errno)));
    _exit(2);
  }
  std::ifstream in(archive, std::ios::binary);
  Bytes bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return std::make_unique<PostgresHost>(files, std::move(bytes));
}

[[noreturn]] void run_here(const Request& request) {
  begin_memory();
  const scenarios::Scenario* scenario = scenarios::find_scenario(request.what.scenario);
  if (scenario == nullptr) _exit(2);
  int out = 1;
  if (!request.write_to.empty()) {
    out = open(request.write_to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (out < 0) {
      write_all(2, fmt::format("argon-sim: cannot write {}: {}\n", request.write_to, strerror(errno)));
      _exit(2);
    }
    out = dup2(out, kFileFd);
  }
  scenarios::RunOptions options = to_options(request.what);
  options.keep_events = request.keep_events;
  options.echo_log = request.echo_log;
  options.on_begin = [&](scenarios::Run& run) {
    current_run = &run;
    if (request.on_begin != nullptr) request.on_begin(run);
  };
  std::unique_ptr<PostgresHost> postgres;
  if (scenario->postgres) postgres = begin_postgres();
  options.postgres = postgres.get();
  alarm(static_cast<unsigned>(request.seconds));
  running_scenario = &request.what.scenario;
  // Who wants to see every event keeps them all.
  if (!request.keep_events) limit_memory(kRunMemory, out_of_memory);
  if (sandbox_available() && scenario->sandbox)
    enter_sandbox([&](const std::string& what) { died(request.what.scenario, what); }, postgres != nullptr);
  auto run = std::make_unique<scenarios::Run>(options);
  scenarios::Report report = run_scenario(*scenario, *run);
  current_run = nullptr;
  // This process ends: to take the world apart would be for nothing, but where a sanitizer looks at it.
  if (sandbox_available())
    static_cast<void>(run.release());
  else
    run.reset();
  if (request.content != nullptr) write_all(out, request.content(report));
  send(report);
  _exit(report.ok ? 0 : 1);
}

// ---- in the tool's

// The place in "FILE:LINE: CHECK(...) failed", or the first line of a sanitizer's report.
std::string check_line(const std::string& text) {
  for (std::string_view mark : {"CHECK(", "ERROR: ", "runtime error:", "terminate called", "argon-sim: "}) {
    size_t at = text.find(mark);
    if (at == std::string::npos) continue;
    size_t begin = text.rfind('\n', at) + 1;
    return text.substr(begin, text.find('\n', at) - begin);
  }
  return {};
}

std::string place_of(const std::string& line) {
  size_t check = line.find(": CHECK(");
  if (check == std::string::npos) return line;
  std::string_view place = std::string_view(line).substr(0, check);
  while (place.starts_with("../") || place.starts_with('/')) place.remove_prefix(place.find('/') + 1);
  return std::string(place);
}

const nlohmann::ordered_json& tool_part(const Outcome& outcome) {
  static const nlohmann::ordered_json kNone = nlohmann::ordered_json::object();
  auto found = outcome.report.find(kToolOnly);
  return outcome.report.is_object() && found != outcome.report.end() ? *found : kNone;
}

}  // namespace

std::string to_string(const Signature& signature) {
  return signature.oracle + " @ " + signature.place;
}

uint64_t Outcome::events() const {
  return report.is_object() ? report["events"].get<uint64_t>() : 0;
}
Duration Outcome::virtual_time() const {
  if (!report.is_object()) return {};
  return Duration::milliseconds(static_cast<int64_t>(report["virtual_seconds"].get<double>() * 1000 + 0.5));
}
std::string Outcome::hash() const {
  return report.is_object() ? report["hash"].get<std::string>() : std::string();
}
faults::Plan Outcome::plan() const {
  Result<faults::Plan> plan = faults::parse_plan(tool_part(*this).value("plan", std::string()));
  return plan.ok() ? *plan : faults::Plan();
}
std::map<std::string, uint64_t> Outcome::sizes() const {
  return tool_part(*this).value("sizes", std::map<std::string, uint64_t>());
}
std::vector<Feature> Outcome::features() const {
  std::vector<Feature> all;
  const auto& part = tool_part(*this);
  auto found = part.find("features");
  if (found == part.end()) return all;
  for (const auto& f : *found)
    all.push_back({f[0].get<uint32_t>(), Duration::microseconds(f[1].get<int64_t>()), f[2].get<uint64_t>()});
  return all;
}
std::vector<Duration> Outcome::operations() const {
  std::vector<Duration> all;
  for (int64_t us : tool_part(*this).value("operations", std::vector<int64_t>()))
    all.push_back(Duration::microseconds(us));
  return all;
}

std::optional<Duration> Outcome::healed() const {
  const auto& part = tool_part(*this);
  if (!part.contains("healed")) return {};
  return Duration::microseconds(part["healed"].get<int64_t>());
}

bool Runs::full() const {
  for (const Slot& slot : slots_)
    if (slot.pid < 0) return false;
  return true;
}

bool Runs::empty() const {
  for (const Slot& slot : slots_)
    if (slot.pid >= 0) return false;
  return true;
}

void Runs::start(Request request, uint64_t tag) {
  for (Slot& slot : slots_) {
    if (slot.pid >= 0) continue;
    slot = {};
    slot.request = std::move(request);
    slot.tag = tag;
    slot.began = Clock::now();
    started_++;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    std::fflush(nullptr);
    slot.pid = fork();
    if (slot.pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (slot.pid == 0) {
      dup2(ends[1], 1);
      if (!slot.request.echo_log) dup2(ends[1], 2);
      slot.request.apart ? start_apart(slot.request) : run_here(slot.request);
    }
    close(ends[1]);
    slot.out = ends[0];
    return;
  }
}

std::vector<std::pair<uint64_t, Outcome>> Runs::wait(int milliseconds) {
  std::vector<std::pair<uint64_t, Outcome>> ended;
  auto until = Clock::now() + std::chrono::milliseconds(milliseconds);
  while (ended.empty() && !empty()) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left < 0) break;
    std::vector<pollfd> polled;
    for (const Slot& slot : slots_) polled.push_back({slot.pid >= 0 ? slot.out : -1, POLLIN, 0});
    poll(polled.data(), polled.size(), static_cast<int>(left));
    for (size_t i = 0; i < slots_.size(); i++) {
      if (polled[i].revents == 0) continue;
      char buffer[65536];
      ssize_t n = read(slots_[i].out, buffer, sizeof buffer);
      if (n > 0)
        slots_[i].text.append(buffer, static_cast<size_t>(n));
      else
        ended.emplace_back(slots_[i].tag, take(slots_[i]));
    }
  }
  return ended;
}

void Runs::stop(uint64_t from_tag) {
  for (Slot& slot : slots_) {
    if (slot.pid < 0 || slot.tag < from_tag) continue;
    kill(slot.pid, SIGKILL);
    waitpid(slot.pid, nullptr, 0);
    close(slot.out);
    slot.pid = -1;
  }
}

Outcome Runs::take(Slot& slot) {
  close(slot.out);
  int status = 0;
  waitpid(slot.pid, &status, 0);
  slot.pid = -1;
  Outcome outcome;
  outcome.wall_ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - slot.began).count();
  std::string_view text = slot.text;
  if (text.ends_with('\n')) text.remove_suffix(1);
  size_t last = text.rfind('\n') + 1;
  auto json = nlohmann::ordered_json::parse(text.substr(last), nullptr, false);
  if (json.is_object() && json.contains("events")) outcome.report = std::move(json);
  outcome.text = outcome.report.is_object() ? std::string(text.substr(0, last)) : slot.text;
  outcome.ok = outcome.report.is_object() && outcome.report["ok"].get<bool>() && WIFEXITED(status) &&
               WEXITSTATUS(status) == 0;
  if (outcome.ok) return outcome;
  std::string line = check_line(slot.text);
  bool reported = outcome.report.is_object() && outcome.report.contains("oracle");
  if (reported && outcome.report["oracle"] != "crash") {
    outcome.signature = {outcome.report["oracle"], tool_part(outcome).value("place", std::string())};
    outcome.failure = outcome.report["failure"];
  } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
    outcome.signature = {"hang", "no end within " + std::to_string(slot.request.seconds) + " s of wall time"};
    outcome.failure = outcome.signature.place;
  } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
    outcome.signature = {"sandbox", "forbidden: a system call that makes a thread or a process"};
    outcome.failure = outcome.signature.place;
  } else {
    // The report's failure says when, which is no part of the place.
    std::string place = place_of(line);
    if (line.empty() && reported) {
      place = tool_part(outcome).value("place", std::string());
      line = outcome.report["failure"];
    } else if (line.empty()) {
      place = line = WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "ended without a report";
    }
    outcome.signature = {"crash", place};
    outcome.failure = line;
    if (reported) outcome.report["failure"] = outcome.failure;
  }
  return outcome;
}

Outcome Runs::run(Request request) {
  start(std::move(request), 0);
  for (;;)
    for (auto& [tag, outcome] : wait(1000)) return std::move(outcome);
}

int64_t Runs::first(const std::vector<Request>& requests, const std::function<bool(const Outcome&)>& wanted,
                    Outcome* found) {
  size_t next = 0;
  uint64_t best = requests.size();
  for (;;) {
    while (next < best && !full()) {
      start(requests[next], next);
      next++;
    }
    if (empty()) break;
    for (auto& [tag, outcome] : wait(1000)) {
      if (tag >= best || !wanted(outcome)) continue;
      best = tag;
      if (found != nullptr) *found = std::move(outcome);
      stop(best + 1);
    }
  }
  return best < requests.size() ? static_cast<int64_t>(best) : -1;
}

nlohmann::ordered_json without_tool_part(nlohmann::ordered_json report) {
  report.erase(kToolOnly);
  return report;
}

}  // namespace argon::sim
