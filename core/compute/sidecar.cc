#include "core/compute/sidecar.h"

#include "core/compute/data_directory.h"
#include "core/compute/election.h"
#include "core/compute/idle_watch.h"
#include "core/compute/lsn_lease.h"
#include "core/compute/postgres_server.h"
#include "core/compute/proposer_driver.h"
#include "core/compute/status_server.h"
#include "core/compute/worker_link.h"
#include "core/env/io.h"
#include "core/fiber/scope.h"

namespace argon::compute {
namespace {

constexpr uint32_t kSegmentSize = 16u << 20;
// The last WAL of a stopped server is waited for at most this long.
constexpr Duration kDrainTimeout = Duration::seconds(10);
// A server that ended sooner than this after it was ready counts as one that does not hold.
constexpr Duration kStable = Duration::seconds(30);
constexpr Duration kRetryPause = Duration::seconds(1);
constexpr int kQuickEndsMax = 5;
// The pageserver gets the first checkpoint of a primary that was started just before a replica within this
// time.
constexpr Duration kFirstCheckpoint = Duration::seconds(10);

class Sidecar {
 public:
  Sidecar(Env& env, const ComputeConfig& config, const ReadConfig& read)
      : env_(env),
        log_(Logger(env.log())
                 .with("endpoint", config.endpoint)
                 .with("tenant", to_string(config.id.tenant))
                 .with("timeline", to_string(config.id.timeline))),
        live_(log_, config, read),
        config_(live_.now()) {}

  Status run(Task& task);

 private:
  enum class End { Stopped, ServerEnded };

  Result<End> run_once(Task& task);
  Result<DataDirectory> prepare(Task& task, Lsn at);
  Result<std::unique_ptr<ProposerDriver>> elect(Task& task, Scope& scope);
  Result<End> run_server(Task& task, Scope& scope, ProposerDriver* driver, Lsn at);
  Result<End> watch(Task& task, PostgresServer& server, const DataDirectory& directory,
                    ProposerDriver* driver);
  Status stop_in_order(Task& task, PostgresServer& server, ProposerDriver* driver);

  Env& env_;
  Logger log_;
  LiveConfig live_;
  const ComputeConfig& config_;
  EndpointStatus status_;
  bool has_run_ = false;
};

Status Sidecar::run(Task& task) {
  Scope services(task);
  services.spawn("status", [this](Task& t) { return serve_status(t, env_, live_, status_); });
  int quick_ends = 0;
  Status result;
  for (;;) {
    MonotonicTime began = env_.now();
    Result<End> end = run_once(task);
    bool passing = end.is(Code::Unavailable) || end.is(Code::Disconnected) || end.is(Code::TimedOut);
    if (!end.ok() && !(passing && has_run_)) {
      if (!end.is(Code::Cancelled)) result = end.error();
      break;
    }
    if (!end.ok()) {
      // It ran before, so what is missing is expected to come back.
      log_.warn("cannot start again yet: {}", end.error().to_string());
      if (!task.sleep(kRetryPause).ok()) break;
      continue;
    }
    if (*end == End::Stopped) break;
    quick_ends = env_.now() - began < kStable ? quick_ends + 1 : 0;
    if (quick_ends >= kQuickEndsMax) {
      result = Error(Code::Unavailable, "the server ended " + std::to_string(quick_ends) +
                                            " times in a row soon after its start; its log ends with:\n" +
                                            PostgresServer::log_tail(task, env_, config_));
      break;
    }
    log_.warn("the server ended; starting anew from a fresh base backup");
    Status slept = task.sleep(Duration::milliseconds(100) * (1 << quick_ends));
    if (!slept.ok()) break;
  }
  status_.state = "stopped";
  ignore_result(services.stop(task));  // only ever the end of the status server
  return result;
}

Result<Sidecar::End> Sidecar::run_once(Task& task) {
  // The link to the worker and the proposer go on while the server stops: its last WAL goes through them.
  Scope scope(task, Scope::Detached{});
  std::unique_ptr<ProposerDriver> driver;
  Lsn at = config_.static_lsn;
  if (config_.mode == EndpointMode::Primary) {
    status_.state = "electing";
    Result<std::unique_ptr<ProposerDriver>> elected = elect(task, scope);
    if (!elected.ok()) {
      ignore_result(scope.stop(task));
      return elected.error();
    }
    driver = *std::move(elected);
    at = driver->proposer().start();
  }
  Result<End> end = run_server(task, scope, driver.get(), at);
  if (driver) ignore_result(driver->stop(task));  // its connections only; what counts is in `end`
  ignore_result(scope.stop(task));
  return end;
}

Result<std::unique_ptr<ProposerDriver>> Sidecar::elect(Task& task, Scope& scope) {
  ElectionConfig election;
  election.driver.proposer.id = config_.id;
  election.driver.proposer.configuration = config_.safekeepers;
  election.driver.proposer.server = {150'000, config_.system_id, kSegmentSize};
  election.driver.decided = [this](Task& t) -> Result<consensus::Configuration> {
    TRY(live_.refresh_members(t));
    return config_.safekeepers;
  };
  election.state_path = join_path(config_.directory, "compute.state");
  TRY_ASSIGN(auto driver, win_election(task, scope, env_, log_, std::move(election)));
  status_.term = driver->proposer().term();
  status_.start = driver->proposer().start();
  return driver;
}

Result<DataDirectory> Sidecar::prepare(Task& task, Lsn at) {
  MonotonicTime end = env_.now() + kFirstCheckpoint;
  for (;;) {
    live_.begin_life();
    Result<DataDirectory> made = make_data_directory(task, env_, config_, at);
    bool may_come = config_.mode == EndpointMode::Replica && made.is(Code::Unavailable);
    if (!may_come || env_.now() >= end) return made;
    TRY(task.sleep(kRetryPause));
  }
}

Result<Sidecar::End> Sidecar::run_server(Task& task, Scope& scope, ProposerDriver* driver, Lsn at) {
  status_.state = "preparing";
  status_.driver = driver;
  MonotonicTime began = env_.now();
  WorkerLink link(env_, log_, driver);
  Scope serving(scope);
  struct ClearStatus {
    ~ClearStatus() { status.driver = nullptr; }
    EndpointStatus& status;
  } clear{status_};
  auto finish = [&](Result<End> end) {
    ignore_result(serving.stop(task));  // the socket's end says nothing more than `end`
    return end;
  };

  if (config_.mode == EndpointMode::Static) {
    auto lease = [this, at] { return LsnLease{config_.pageserver, config_.id, at}; };
    Result<Duration> length = take_lease(task, env_, lease());
    if (!length.ok()) return finish(length.error());
    serving.spawn("lease", [this, lease, length = *length](Task& t) {
      return keep_lease(t, env_, log_, lease, length);
    });
  }
  Result<DataDirectory> data_directory = prepare(task, at);
  if (!data_directory.ok()) return finish(data_directory.error());
  // The server refuses to start where nobody listens, so that comes first.
  if (Status listening = link.listen(task, socket_path(config_)); !listening.ok())
    return finish(listening.error());
  link.expect_system(data_directory->system_id);
  serving.spawn("worker link", [&](Task& t) { return link.serve(t); });
  Result<std::unique_ptr<PostgresServer>> server =
      PostgresServer::start(task, env_, log_, config_, data_directory->path);
  if (!server.ok()) return finish(server.error());
  Status ready = (*server)->wait_ready(task);
  if (!ready.ok()) {
    Shield shield(task);
    ignore_result((*server)->stop_now(task));  // it never served anybody
    return finish(ready.error());
  }
  log_.info("ready for connections on {} at {} after {} ms (pid {})", argon::to_string(config_.listen),
            to_string(at), (env_.now() - began).to_milliseconds(), (*server)->pid());
  status_.state = "running";
  has_run_ = true;
  status_.pid = (*server)->pid();
  Result<End> end = watch(task, **server, *data_directory, driver);
  status_.pid = 0;
  return finish(end);
}

// Until the server ends, another proposer takes over, or we are told to stop.
Result<Sidecar::End> Sidecar::watch(Task& task, PostgresServer& server, const DataDirectory& directory,
                                    ProposerDriver* driver) {
  Scope watching(task);
  bool ended = false;
  watching.spawn("watch server", [&](Task& t) -> Status {
    TRY_ASSIGN(ExitStatus status, server.wait(t));
    log_.warn("the server ended by itself: {}", to_string(status));
    ended = true;
    return Error(Code::Unavailable, "the server ended");
  });
  bool idle = false;
  watching.spawn("watch for idleness", [&](Task& t) -> Status {
    TRY(wait_until_idle(t, env_, config_));
    idle = true;
    return Error(Code::Unavailable, "the endpoint is idle");
  });
  watching.spawn("configuration", [&](Task& t) { return live_.keep_told(t, env_, server, directory); });
  if (driver != nullptr) watching.spawn("watch proposer", [&](Task& t) { return driver->wait_lost(t); });
  Status why = watching.join(task);
  if (ended) return End::ServerEnded;
  Shield shield(task);
  if (idle || why.is(Code::Cancelled)) {
    status_.state = "stopping";
    if (idle) log_.info("no activity for {} s: suspending", config_.suspend_after.to_seconds());
    TRY(stop_in_order(task, server, driver));
    // For whoever shows what there is; nothing depends on it.
    if (idle)
      ignore_result(write_file_durably(task, env_.disk(), join_path(config_.directory, kSuspendedFile), {}));
    return End::Stopped;
  }
  log_.error("stopping the server at once: {}", why.error().to_string());
  TRY(server.stop_now(task));
  return why.error();
}

Status Sidecar::stop_in_order(Task& task, PostgresServer& server, ProposerDriver* driver) {
  TRY(server.stop(task));
  if (driver != nullptr) {
    if (!driver->lost().ok()) return {};
    Deadline deadline(task, kDrainTimeout);
    if (Status finished = driver->finish(task); !finished.ok()) {
      log_.warn("the last WAL up to {} is not known to be committed: {}", to_string(driver->end()),
                finished.error().to_string());
      return {};
    }
    log_.info("all WAL is committed up to {}", to_string(driver->committed()));
  }
  // The next start would, and somebody waits for that.
  if (Status removed = remove_data_directory(task, env_, config_); !removed.ok())
    log_.warn("{}", removed.error().to_string());
  return {};
}

}  // namespace

Status run_compute(Task& task, Env& env, const ComputeConfig& config, const ReadConfig& read) {
  return Sidecar(env, config, read).run(task);
}

}  // namespace argon::compute
