#include "daemons/posix/processes.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "daemons/posix/network.h"

namespace argon::posix {
namespace {

struct UserIds {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;
  std::vector<gid_t> groups;
};

Result<UserIds> look_up_user(const std::string& name) {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  int rc = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (rc != 0) return os_error("look up user " + name, rc);
  if (found == nullptr) return Error(Code::NotFound, "there is no user " + name);
  UserIds ids{entry.pw_uid, entry.pw_gid, name, {}};
  int count = 256;
  ids.groups.resize(static_cast<size_t>(count));
  if (getgrouplist(name.c_str(), entry.pw_gid, ids.groups.data(), &count) < 0) count = 256;
  ids.groups.resize(static_cast<size_t>(count));
  return ids;
}

constexpr int kPipeBytes = 1 << 20;

// One standard stream: what the child gets, and what the parent keeps of a pipe.
struct Plumbing {
  Fd child;
  Fd parent;
};

Result<Plumbing> plumb(const ChildStream& stream, bool child_reads) {
  Plumbing result;
  switch (stream.kind) {
    case ChildStream::Kind::Null:
      result.child = Fd(open("/dev/null", O_RDWR | O_CLOEXEC));
      break;
    case ChildStream::Kind::File:
      result.child =
          Fd(child_reads ? open(stream.path.c_str(), O_RDONLY | O_CLOEXEC)
                         : open(stream.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
      break;
    case ChildStream::Kind::Pipe: {
      int ends[2];
      if (pipe2(ends, O_CLOEXEC) != 0) return os_error("make a pipe", errno);
      result.child = Fd(ends[child_reads ? 0 : 1]);
      result.parent = Fd(ends[child_reads ? 1 : 0]);
      fcntl(result.parent.get(), F_SETFL, O_NONBLOCK);
      // Fewer changes between the two processes; where it may not be so large it stays as it is.
      if (child_reads) fcntl(result.parent.get(), F_SETPIPE_SZ, kPipeBytes);
      break;
    }
  }
  if (!result.child.valid()) return os_error("open " + stream.path, errno);
  return result;
}

// Everything the child needs, made before the fork: between fork and exec only system calls run.
struct ChildPlan {
  std::vector<char*> argv;
  std::vector<std::string> environment;
  std::vector<char*> envp;
  std::optional<UserIds> user;
  const char* directory = nullptr;
  int parent_death_signal = SIGKILL;
  pid_t parent = getpid();
  Plumbing streams[3];
  Fd report_read, report_write;  // errno of the failed step goes through here
};

enum class Step : int { User = 1, Directory, Exec };

[[noreturn]] void report_and_exit(int fd, Step step) {
  int message[2] = {static_cast<int>(step), errno};
  (void)!::write(fd, message, sizeof message);
  _exit(127);
}

[[noreturn]] void child_main(const ChildPlan& plan) {
  int report = plan.report_write.get();
  setpgid(0, 0);
  for (int signal = 1; signal < NSIG; signal++) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // Above 2 first, so that no stream overwrites another's descriptor.
  int sources[3];
  for (int i = 0; i < 3; i++) sources[i] = fcntl(plan.streams[i].child.get(), F_DUPFD_CLOEXEC, 3);
  for (int i = 0; i < 3; i++) dup2(sources[i], i);
  if (plan.user) {
    bool changed = setgroups(plan.user->groups.size(), plan.user->groups.data()) == 0 &&
                   setgid(plan.user->gid) == 0 && setuid(plan.user->uid) == 0;
    if (!changed) report_and_exit(report, Step::User);
  }
  // The parent's end, however it comes, is the child's: after the change of user, which clears this.
  prctl(PR_SET_PDEATHSIG, plan.parent_death_signal);
  if (getppid() != plan.parent) _exit(127);
  if (plan.directory != nullptr && chdir(plan.directory) != 0) report_and_exit(report, Step::Directory);
  execve(plan.argv[0], plan.argv.data(), plan.envp.data());
  report_and_exit(report, Step::Exec);
}

class PosixProcess final : public Process {
 public:
  PosixProcess(PosixReactor& reactor, pid_t pid, Fd pidfd, Plumbing streams[3], const std::string& name)
      : pid_(pid), pidfd_(std::move(pidfd)), watch_(reactor, pidfd_.get()) {
    for (int i = 0; i < 3; i++)
      if (streams[i].parent.valid())
        streams_[i] = std::make_unique<PosixStream>(reactor, std::move(streams[i].parent),
                                                    PosixStream::Kind::Pipe, name);
  }

  ~PosixProcess() override {
    if (status_) return;
    ::kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  int pid() const override { return pid_; }
  Stream* in() override { return streams_[0].get(); }
  Stream* out() override { return streams_[1].get(); }
  Stream* err() override { return streams_[2].get(); }

  Result<ExitStatus> wait(Task& task) override {
    while (!reap()) TRY(watch_.wait_readable(task));
    return *status_;
  }

  Status kill(int signal) override {
    if (reap()) return {};
    if (::kill(pid_, signal) != 0 && errno != ESRCH)
      return os_error("signal process " + std::to_string(pid_), errno);
    return {};
  }

 private:
  bool reap() {
    if (status_) return true;
    int raw = 0;
    pid_t got = waitpid(pid_, &raw, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) return false;
    status_ = ExitStatus{};
    if (got < 0) return true;
    if (WIFSIGNALED(raw))
      status_->signal = WTERMSIG(raw);
    else
      status_->code = WEXITSTATUS(raw);
    return true;
  }

  pid_t pid_;
  Fd pidfd_;
  IoWatch watch_;
  std::unique_ptr<PosixStream> streams_[3];
  std::optional<ExitStatus> status_;
};

Status prepare(const SpawnOptions& options, ChildPlan& plan) {
  for (const std::string& arg : options.argv) plan.argv.push_back(const_cast<char*>(arg.c_str()));
  plan.argv.push_back(nullptr);
  for (const auto& [key, value] : options.environment) plan.environment.push_back(key + "=" + value);
  for (std::string& entry : plan.environment) plan.envp.push_back(entry.data());
  plan.envp.push_back(nullptr);
  if (!options.working_directory.empty()) plan.directory = options.working_directory.c_str();
  plan.parent_death_signal = options.parent_death_signal;
  if (!options.user.empty()) {
    TRY_ASSIGN(plan.user, look_up_user(options.user));
    if (plan.user->uid == geteuid()) plan.user.reset();
  }
  TRY_ASSIGN(plan.streams[0], plumb(options.in, true));
  TRY_ASSIGN(plan.streams[1], plumb(options.out, false));
  TRY_ASSIGN(plan.streams[2], plumb(options.err, false));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return os_error("make a pipe", errno);
  plan.report_read = Fd(ends[0]);
  plan.report_write = Fd(ends[1]);
  return {};
}

Error start_error(const SpawnOptions& options, const int message[2]) {
  switch (static_cast<Step>(message[0])) {
    case Step::User:
      return Error(Code::Io, "become user " + options.user + ": " + std::string(os_error_text(message[1])),
                   message[1]);
    case Step::Directory:
      return os_error("enter " + options.working_directory, message[1]);
    case Step::Exec:
      break;
  }
  return os_error("run " + options.argv[0], message[1]);
}

// Forks and waits for the exec (which closes the report pipe); blocks for a moment, so on the pool.
Status start(const SpawnOptions& options, ChildPlan& plan, pid_t& pid) {
  pid = fork();
  if (pid < 0) return os_error("fork for " + options.argv[0], errno);
  if (pid == 0) child_main(plan);
  plan.report_write.reset();
  int message[2];
  ssize_t n;
  do {
    n = ::read(plan.report_read.get(), message, sizeof message);
  } while (n < 0 && errno == EINTR);
  if (n <= 0) return {};
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return start_error(options, message);
}

}  // namespace

Result<std::unique_ptr<Process>> PosixProcesses::spawn(Task& task, const SpawnOptions& options) {
  CHECK(!options.argv.empty());
  pid_t pid = -1;
  Fd pidfd;
  ChildPlan plan;
  Status started;
  pool_.run(task, reactor_, [&] {
    started = prepare(options, plan);
    if (started.ok()) started = start(options, plan, pid);
    if (started.ok()) pidfd = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  });
  TRY(started);
  std::string name = options.argv[0] + " (pid " + std::to_string(pid) + ")";
  auto process = std::make_unique<PosixProcess>(reactor_, pid, std::move(pidfd), plan.streams, name);
  return std::unique_ptr<Process>(std::move(process));
}

}  // namespace argon::posix
