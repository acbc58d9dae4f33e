#include "daemons/main/background.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/http/client.h"
#include "daemons/main/files.h"
#include "daemons/posix/daemon.h"

namespace argon::cli {
namespace {

using namespace literals;

// A child in a session of its own, its output appended to the log.
Result<pid_t> launch(const Background& daemon) {
  posix::Fd log(open(daemon.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!log.valid()) return posix::os_error("open " + daemon.log_file, errno);
  posix::Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::string self = self_path();
  std::vector<std::string> args = daemon.args;
  args.insert(args.end(), {"--log-file", daemon.log_file});
  std::vector<char*> argv{self.data()};
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  pid_t pid = fork();
  if (pid < 0) return posix::os_error("fork for " + daemon.name, errno);
  if (pid > 0) return pid;
  setsid();
  signal(SIGPIPE, SIG_DFL);
  dup2(null.get(), 0);
  dup2(log.get(), 1);
  dup2(log.get(), 2);
  execv(self.c_str(), argv.data());
  _exit(127);
}

bool is_ready(Task& task, const Background& daemon) {
  Deadline deadline(task, 2_s);
  http::ClientRequest request;
  request.target = daemon.ready;
  Result<http::Response> answer = http::fetch(task, daemon.http, request);
  if (!answer.ok() || answer->status != 200) return false;
  if (daemon.state.empty()) return true;
  Result<nlohmann::json> body = answer->json();
  return body.ok() && body->is_object() && body->value("status", "") == daemon.state;
}

bool has_ended(pid_t pid) {
  return waitpid(pid, nullptr, WNOHANG) == pid;
}

Error ended_early(const Background& daemon, size_t log_before) {
  Result<std::string> log = read_text(daemon.log_file);
  std::string said = log.ok() && log->size() > log_before ? log->substr(log_before) : "(nothing)\n";
  if (said.size() > 3000) said = said.substr(said.size() - 3000);
  return Error(Code::Unavailable,
               daemon.name + " did not start; its log (" + daemon.log_file + ") says:\n" + said);
}

}  // namespace

std::string self_path() {
  std::error_code error;
  std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "/proc/self/exe" : path.string();
}

Result<Started> start_background(Task& task, Env& env, const Background& daemon, Duration timeout,
                                 const Progress& progress) {
  if (int pid = posix::pid_file_holder(daemon.pid_file); pid != 0) {
    progress(fmt::format("{}: runs already (process {})", daemon.name, pid));
    return Started::RanAlready;
  }
  std::error_code ignored;
  size_t log_before = std::filesystem::file_size(daemon.log_file, ignored);
  if (ignored) log_before = 0;
  TRY_ASSIGN(pid_t pid, launch(daemon));
  MonotonicTime began = env.now();
  MonotonicTime next_line = began + 2_s;
  Duration pause = 5_ms;
  while (!is_ready(task, daemon)) {
    if (has_ended(pid)) return ended_early(daemon, log_before);
    if (env.now() - began > timeout) {
      ::kill(pid, SIGTERM);
      return Error(Code::TimedOut,
                   fmt::format("{} is not ready after {} s and was told to stop; see {} (a longer "
                               "wait: --start-timeout)",
                               daemon.name, timeout.to_seconds(), daemon.log_file));
    }
    if (env.now() >= next_line) {
      progress(fmt::format("{}: starting ({} s)", daemon.name, (env.now() - began).to_seconds()));
      next_line = env.now() + 2_s;
    }
    TRY(task.sleep(pause));
    pause = std::min(pause * 3 / 2, env.now() - began < 1_s ? Duration(10_ms) : Duration(100_ms));
  }
  progress(fmt::format("{}: running (process {}, {} ms)", daemon.name, pid,
                       (env.now() - began).to_milliseconds()));
  return Started::Now;
}

Status stop_background(Task& task, const std::string& name, const std::string& pid_file, StopMode mode,
                       Duration timeout, const Progress& progress) {
  int pid = posix::pid_file_holder(pid_file);
  if (pid <= 0) return {};
  if (::kill(pid, mode == StopMode::Fast ? SIGTERM : SIGKILL) != 0 && errno != ESRCH)
    return posix::os_error("stop " + name + " (process " + std::to_string(pid) + ")", errno);
  MonotonicTime began = task.env().now();
  MonotonicTime next_line = began + 2_s;
  bool killed = mode == StopMode::Immediate;
  while (posix::pid_file_holder(pid_file) == pid) {
    Duration waited = task.env().now() - began;
    if (waited > timeout && killed)
      return Error(Code::TimedOut, name + " (process " + std::to_string(pid) + ") does not end");
    if (waited > timeout) {
      progress(fmt::format("{}: did not stop within {} s, ending it at once", name, timeout.to_seconds()));
      ::kill(pid, SIGKILL);
      killed = true;
      began = task.env().now();
    }
    if (task.env().now() >= next_line) {
      progress(fmt::format("{}: stopping ({} s)", name, waited.to_seconds()));
      next_line = task.env().now() + 2_s;
    }
    TRY(task.sleep(10_ms));
  }
  progress(name + ": stopped");
  return {};
}

int server_of(const std::string& data_directory) {
  Result<std::string> text = read_text(data_directory + "/postmaster.pid");
  if (!text.ok()) return 0;
  int pid = std::atoi(text->c_str());
  if (pid <= 0 || ::kill(pid, 0) != 0) return 0;
  // The number may belong to somebody else by now: a server runs inside its data directory.
  std::error_code error;
  std::filesystem::path cwd = std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd", error);
  if (error) return 0;
  return std::filesystem::equivalent(cwd, data_directory, error) && !error ? pid : 0;
}

Status stop_orphan_server(Task& task, const std::string& data_directory) {
  int pid = server_of(data_directory);
  if (pid == 0) return {};
  ::kill(pid, SIGQUIT);
  for (int i = 0; i < 1000 && server_of(data_directory) == pid; i++) TRY(task.sleep(10_ms));
  if (server_of(data_directory) != pid) return {};
  return Error(Code::TimedOut, "the server (process " + std::to_string(pid) + ") of " + data_directory +
                                   ", whose sidecar is gone, does not end");
}

}  // namespace argon::cli
