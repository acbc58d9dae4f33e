#include "daemons/argon/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/http/client.h"
#include "daemons/argon/files.h"
#include "daemons/posix/daemon.h"
#include "daemons/posix/fd.h"

extern char** environ;

namespace argon::cli {
namespace {

constexpr Duration kPollInterval = Duration::milliseconds(20);

Result<pid_t> spawn(const Daemon& daemon) {
  std::vector<std::string> words = {"/proc/self/exe"};
  words.insert(words.end(), daemon.arguments.begin(), daemon.arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, daemon.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  int failed = posix_spawn(&pid, words[0].c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return posix::os_error("start " + daemon.name, failed);
  return pid;
}

std::string log_tail(const std::string& path) {
  Result<std::string> text = read_text(path);
  if (!text.ok()) return "(no log)";
  constexpr size_t kTail = 1500;
  return text->substr(text->size() > kTail ? text->size() - kTail : 0);
}

bool is_ready(Task& task, const Daemon& daemon) {
  Deadline deadline(task, Duration::seconds(2));
  http::ClientRequest request;
  request.target = daemon.status_path;
  Result<http::Response> response = http::fetch(task, daemon.status, request);
  if (!response.ok() || response->status != 200) return false;
  if (daemon.ready_when.empty()) return true;
  Result<nlohmann::json> body = response->json();
  return body.ok() && body->is_object() && body->value("status", "") == daemon.ready_when;
}

}  // namespace

DaemonState daemon_state(const std::string& pid_file) {
  if (posix::pid_file_holder(pid_file) != 0) return DaemonState::Running;
  Result<std::string> text = read_text(pid_file);
  return text.ok() && !text->empty() ? DaemonState::Crashed : DaemonState::Stopped;
}

Status start_daemon(Task& task, Env& env, const Daemon& daemon, Duration timeout) {
  if (daemon_state(daemon.pid_file) == DaemonState::Running) {
    std::fprintf(stderr, "%s is running already\n", daemon.name.c_str());
    return {};
  }
  MonotonicTime began = env.now();
  TRY_ASSIGN(pid_t pid, spawn(daemon));
  MonotonicTime next_dot = began + Duration::seconds(1);
  bool dots = false;
  std::fprintf(stderr, "starting %s ", daemon.name.c_str());
  for (;;) {
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) == pid) {
      std::fprintf(stderr, "failed\n");
      return Error(Code::Unavailable, daemon.name + " ended at its start; " + daemon.log_file +
                                          " ends with:\n" + log_tail(daemon.log_file));
    }
    if (is_ready(task, daemon)) break;
    if (env.now() - began > timeout) {
      std::fprintf(stderr, "failed\n");
      kill(pid, SIGTERM);
      return Error(Code::TimedOut, daemon.name + " does not answer after " +
                                       std::to_string(timeout.to_seconds()) + " s; " + daemon.log_file +
                                       " ends with:\n" + log_tail(daemon.log_file));
    }
    if (env.now() > next_dot) {
      std::fprintf(stderr, ".");
      next_dot = env.now() + Duration::seconds(1);
      dots = true;
    }
    TRY(task.sleep(kPollInterval));
  }
  std::fprintf(stderr, "%sready in %lld ms (pid %d)\n", dots ? " " : "",
               static_cast<long long>((env.now() - began).to_milliseconds()), pid);
  return {};
}

Status stop_daemon(Task& task, const std::string& name, const std::string& pid_file, bool immediate,
                   Duration timeout) {
  int pid = posix::pid_file_holder(pid_file);
  if (pid == 0) return {};
  std::fprintf(stderr, "stopping %s\n", name.c_str());
  kill(pid, immediate ? SIGKILL : SIGTERM);
  Deadline deadline(task, timeout);
  while (posix::pid_file_holder(pid_file) == pid) {
    Status slept = task.sleep(kPollInterval);
    if (slept.is(Code::TimedOut))
      return Error(Code::TimedOut, name + " (pid " + std::to_string(pid) + ") does not stop after " +
                                       std::to_string(timeout.to_seconds()) + " s");
    TRY(slept);
  }
  return {};
}

}  // namespace argon::cli
