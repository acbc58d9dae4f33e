#include "daemons/posix/daemon.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "daemons/posix/log_file.h"

namespace argon::posix {
namespace {

constexpr Duration kGiveBackMemory = Duration::seconds(30);

struct flock whole_file_lock() {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

// Locked by this process until it ends.
Result<Fd> hold_pid_file(const std::string& path) {
  Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file.valid()) return os_error("open pid file " + path, errno);
  // A lock of the open file, not of the process: kept by no child, and looked at without taking it.
  struct flock lock = whole_file_lock();
  if (fcntl(file.get(), F_OFD_SETLK, &lock) != 0) {
    if (errno != EAGAIN && errno != EACCES) return os_error("lock pid file " + path, errno);
    return Error(Code::AlreadyExists, "it runs already as process " + std::to_string(pid_file_holder(path)) +
                                          " (pid file " + path + ")");
  }
  std::string text = std::to_string(getpid()) + "\n";
  if (ftruncate(file.get(), 0) != 0 || pwrite(file.get(), text.data(), text.size(), 0) < 0)
    return os_error("write pid file " + path, errno);
  return file;
}

Result<Fd> take_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) return os_error("block signals", errno);
  Fd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return os_error("make a signalfd", errno);
  return fd;
}

// The next signal. Errors: Cancelled.
Result<int> next_signal(Task& task, const Fd& fd, IoWatch& watch) {
  for (;;) {
    signalfd_siginfo info{};
    ssize_t n = ::read(fd.get(), &info, sizeof info);
    if (n == static_cast<ssize_t>(sizeof info)) return static_cast<int>(info.ssi_signo);
    TRY(watch.wait_readable(task));
  }
}

// Ends the process when a stop takes too long.
class StopTimer final : public Timer {
 public:
  StopTimer(PosixEnv& env, Duration timeout) : env_(env), timeout_(timeout) {}
  ~StopTimer() override { env_.reactor().disarm(*this); }
  void begin() {
    if (!armed()) env_.reactor().arm(*this, env_.now() + timeout_);
  }
  void fire() override {
    Logger(env_.log())
        .error("the stop took longer than {} s ({} tasks left): ending at once", timeout_.to_seconds(),
               env_.runtime().size());
    _exit(1);
  }

 private:
  PosixEnv& env_;
  Duration timeout_;
};

void reload_level(const DaemonOptions& options, LogFile& log) {
  if (!options.reload_log_level) return;
  Result<LogLevel> level = options.reload_log_level();
  if (level.ok())
    log.set_level(*level);
  else
    Logger(log).error("the configuration stays as it was: {}", level.error().message());
}

// What glibc keeps of freed memory goes back to the system: after a bulk load that is most of a daemon's.
Status give_back_memory(Task& task) {
  for (;;) {
    TRY(task.sleep(kGiveBackMemory));
    task.env().offload(task, [] { malloc_trim(0); });
  }
}

Status supervise(Task& task, PosixEnv& env, const DaemonOptions& options, LogFile& log, const Fd& signals,
                 const std::function<Status(Task&, Env&)>& body) {
  StopTimer stop_timer(env, options.stop_timeout);
  IoWatch watch(env.posix_reactor(), signals.get());
  Scope daemon(task);
  Scope listening(task);
  listening.spawn("signals", [&](Task& listener) -> Status {
    for (;;) {
      TRY_ASSIGN(int signal, next_signal(listener, signals, watch));
      if (signal == SIGHUP) {
        log.reopen();
        Logger(log).info("told to reload (SIGHUP)");
        reload_level(options, log);
        if (options.on_reload) options.on_reload(listener, env);
        continue;
      }
      Logger(log).info("told to stop (signal {})", signal);
      stop_timer.begin();
      daemon.cancel();
    }
  });
  listening.spawn("memory", give_back_memory);
  bool told_to_stop = false;
  Status result;
  daemon.spawn(options.node, [&](Task& main) -> Status {
    result = body(main, env);
    told_to_stop = main.cancelled();
    return result;
  });
  Status joined = daemon.join(task);
  Status stopped = listening.stop(task);
  if (!result.ok() && !(told_to_stop && result.is(Code::Cancelled))) return result;
  TRY(joined);
  return stopped;
}

}  // namespace

int pid_file_holder(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return 0;
  struct flock lock = whole_file_lock();
  if (fcntl(file.get(), F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return 0;
  char text[32] = "";
  if (pread(file.get(), text, sizeof text - 1, 0) <= 0) return 0;
  return std::atoi(text);
}

int run_daemon(const DaemonOptions& options, const std::function<Status(Task&, Env&)>& body) {
  LogFile log(options.node, options.log_file, options.log_level, read_wall_clock);
  Logger logger(log);
  auto refuse = [&](const Error& error) {
    logger.error("ended: {}", error.message());
    return error.code() == Code::AlreadyExists ? 2 : 1;
  };
  Fd pid_file;
  if (!options.pid_file.empty()) {
    Result<Fd> held = hold_pid_file(options.pid_file);
    if (!held.ok()) return refuse(held.error());
    pid_file = *std::move(held);
  }
  Result<Fd> signals = take_signals();
  if (!signals.ok()) return refuse(signals.error());
  PosixEnv env(log, options.env);
  logger.info("starting, process {}", getpid());
  Status status =
      env.run("supervisor", [&](Task& task) { return supervise(task, env, options, log, *signals, body); });
  if (!status.ok()) {
    refuse(status.error());
    return 1;
  }
  logger.info("stopped");
  if (pid_file.valid() && ftruncate(pid_file.get(), 0) != 0) logger.warn("cannot empty the pid file");
  return 0;
}

}  // namespace argon::posix
