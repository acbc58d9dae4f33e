#include "scenarios/postgres_compute.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>

#include "core/compute/basebackup_fetch.h"
#include "core/compute/data_directory.h"
#include "core/compute/election.h"
#include "core/compute/worker_link.h"
#include "core/env/io.h"
#include "core/pg/tar.h"
#include "core/pg/wal_page.h"
#include "scenarios/cluster_run.h"
#include "scenarios/oracle_same_wal.h"
#include "scenarios/oracle_wal_chain.h"

namespace argon::scenarios {
namespace {

constexpr uint32_t kCheckpointRecordBytes = 24 + 2 + pg::kCheckpointSize;
constexpr Duration kBackupTimeout = Duration::seconds(20);
constexpr Duration kBackupRetry = Duration::milliseconds(300);
// As the sidecar: how long an orderly stop may take.
constexpr Duration kStopTimeout = Duration::seconds(30);
constexpr Duration kDrainTimeout = Duration::seconds(10);
constexpr Duration kOrderlyStopLimit = Duration::seconds(60);  // with a machine that begins anew
// What it ends with when it may not go on (pgext/single_user.c).
constexpr int kFencedStatus = 2;

// Lines of the server's output: "\t 1: name = "value"\t(typeid = ...)"; "\t----" ends the header, and each
// row.
class RowReader {
 public:
  void line(std::string_view line) {
    if (line == "\t----") {
      if (in_rows_) rows_.push_back(std::move(row_));
      in_rows_ = true;
      row_.assign(columns_, std::nullopt);
      return;
    }
    size_t colon = line.find(": ");
    size_t end = line.rfind("\t(typeid = ");
    if (!line.starts_with('\t') || colon == std::string_view::npos || end == std::string_view::npos) return;
    if (!in_rows_) {
      columns_++;
      return;
    }
    size_t equals = line.find(" = \"", colon);
    size_t column = static_cast<size_t>(std::stoul(std::string(line.substr(1, colon - 1)))) - 1;
    if (equals == std::string_view::npos || column >= row_.size()) return;
    row_[column] = line.substr(equals + 4, end - equals - 5);
  }
  SqlRows take() { return std::move(rows_); }

 private:
  size_t columns_ = 0;
  bool in_rows_ = false;
  std::vector<std::optional<std::string>> row_;
  SqlRows rows_;
};

template <typename Each>
void each_line(std::string_view text, Each each) {
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    each(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

SqlRows parse_rows(std::string_view output) {
  RowReader reader;
  each_line(output, [&](std::string_view line) {
    // The prompt stands before the first line.
    constexpr std::string_view kPrompt = "backend> ";
    if (line.starts_with(kPrompt)) line.remove_prefix(kPrompt.size());
    reader.line(line);
  });
  return reader.take();
}

bool says_error(std::string_view log) {
  bool found = false;
  each_line(log, [&](std::string_view line) {
    for (std::string_view level : {"ERROR:", "FATAL:", "PANIC:"}) found = found || line.starts_with(level);
  });
  return found;
}

}  // namespace

pg::MadeDataDir postgres_datadir(sim::PostgresHost& host) {
  pg::MadeDataDir made;
  pg::TarReader reader;
  Bytes tar = host.take_template_tar();
  reader.feed(tar);
  for (;;) {
    Result<pg::TarReader::Event> event = reader.next();
    CHECK(event.ok(), "the template's archive: " + event.error().to_string());
    if (*event == pg::TarReader::Event::End || *event == pg::TarReader::Event::NeedMore) break;
    if (*event == pg::TarReader::Event::Data)
      made.files.back().bytes.insert(made.files.back().bytes.end(), reader.data().begin(),
                                     reader.data().end());
    else if (reader.entry().kind == pg::TarKind::File) {
      made.files.push_back({reader.entry().name, {}});
      made.files.back().bytes.reserve(reader.entry().size);
    }
  }
  for (const pg::MadeFile& file : made.files) {
    if (file.path != "global/pg_control") continue;
    Result<pg::ControlFile> control = pg::decode_control_file(file.bytes);
    CHECK(control.ok(), "the template's control file");
    made.control = *control;
  }
  made.last_record = made.control.checkpoint_lsn;
  made.end = pg::record_end(made.last_record, kCheckpointRecordBytes);
  return made;
}

bool is_of_the_network(const Error& error) {
  return error.message().find("argon: the pageserver did not give the") != std::string::npos;
}

Result<SqlRows> SqlSession::run(Task& task, std::string_view line) {
  if (ended_) return Error(Code::Cancelled, "the server is to stop");
  MonotonicTime began = task.env().now();
  TRY_ASSIGN(sim::PostgresServer::Said said, server_.execute(task, line));
  Logger(task.env().log()).info("sql: {}{}{}", line, said.log.empty() ? "" : " -> ", said.log);
  if (said.ended) {
    ended_ = true;
    last_words_ = said;
    return Error(Code::Disconnected, "the server has ended: " + said.log);
  }
  if (says_error(said.log)) return Error(Code::Invalid, said.log);
  if (judge_ != nullptr) judge_(line, began);
  return parse_rows(said.output);
}

Result<SqlRows> SqlSession::commit(Task& task, std::string_view line) {
  TRY_ASSIGN(SqlRows rows, run(task, line));
  TRY_ASSIGN(acknowledged_, acknowledge_());
  return rows;
}

namespace {

class Life {
 public:
  Life(Env& env, sim::Machine& machine, Run& run, Line& line, const PostgresComputeConfig& config,
       const SqlClient& client)
      : env_(env),
        machine_(machine),
        run_(run),
        line_(line),
        config_(config),
        client_(client),
        log_(Logger(env.log()).with("compute", config.name)) {}

  Status run(Task& task) {
    // The link and the proposer go on while the server stops: its last WAL goes through them.
    Scope proposing(task, Scope::Detached{});
    Status ended = run_in(task, proposing);
    bool told_to_stop = ended.is(Code::Cancelled) && task.cancelled();
    Shield shield(task);
    if (driver_) ignore_result(driver_->stop(task));  // connections only; what counts is in `ended`
    ignore_result(proposing.stop(task));
    return told_to_stop ? Status() : ended;
  }

 private:
  Status run_in(Task& task, Scope& proposing);
  Status begin_term();
  compute::ComputeConfig endpoint() const;
  Result<std::unique_ptr<sim::PostgresArchive>> base_backup(Task& task, Lsn start);
  Status serve(Task& task, sim::PostgresServer& server);
  Status use(Task& task, sim::PostgresServer& server);
  Status stop_in_order(Task& task, sim::PostgresServer& server);
  Result<Lsn> acknowledge();
  void judge_lease(std::string_view line, MonotonicTime began);
  void judge_end(const sim::PostgresServer::Said& said);

  Env& env_;
  sim::Machine& machine_;
  Run& run_;
  Line& line_;
  const PostgresComputeConfig& config_;
  const SqlClient& client_;
  Logger log_;
  std::unique_ptr<compute::ProposerDriver> driver_;
  SqlSession* session_ = nullptr;  // while the client has one
  bool asked_ = false;             // the server waits for a statement
};

compute::ComputeConfig Life::endpoint() const {
  compute::ComputeConfig endpoint;
  endpoint.endpoint = config_.name;
  endpoint.id = config_.driver.proposer.id;
  endpoint.directory = config_.directory;
  endpoint.listen = Address::tcp("127.0.0.1", 5432);
  endpoint.pageserver = config_.pageserver;
  endpoint.settings = {"dynamic_shared_memory_type = mmap",
                       "huge_pages = off",
                       "jit = off",
                       "max_connections = 4",
                       "max_wal_senders = 1",
                       "wal_init_zero = off",
                       "wal_recycle = off",
                       "log_line_prefix = ''",
                       "log_min_error_statement = panic"};
  endpoint.settings.push_back(fmt::format("argon.read_lease = {}", config_.read_lease.to_milliseconds()));
  endpoint.settings.insert(endpoint.settings.end(), config_.settings.begin(), config_.settings.end());
  return endpoint;
}

// The pageserver may be down, or still on its way to `start`.
Result<std::unique_ptr<sim::PostgresArchive>> Life::base_backup(Task& task, Lsn start) {
  for (;;) {
    TRY(driver_->lost());
    auto archive = std::make_unique<sim::PostgresArchive>(*run_.options().postgres);
    Status got = [&] {
      Deadline deadline(task, kBackupTimeout);
      return compute::fetch_basebackup(task, {config_.pageserver, config_.driver.proposer.id, start},
                                       [&](Task&, ByteView bytes) -> Status {
                                         archive->add(bytes);
                                         return {};
                                       });
    }();
    if (got.ok()) return archive;
    if (task.cancelled()) return got.error();
    log_.info("base backup at {}: {}; trying again", to_string(start), got.error().to_string());
    TRY(task.sleep(kBackupRetry));
  }
}

// The model holds no pages here, but what was acknowledged, and where terms began.
Status Life::begin_term() {
  compute::ReferenceModel& reference = *line_.reference;
  Term term = driver_->proposer().term();
  Lsn start = driver_->proposer().start();
  if (start > reference.end()) {
    compute::RecordEffect made;
    made.end = start;
    reference.add(reference.term(), made);
  }
  Status begun = reference.begin_term(term, start);
  if (!begun.ok() && !begun.is(Code::Stale)) line_.events->violated(config_.name, begun.error().message());
  TRY(begun);
  line_.events->elected(config_.name, term, start);
  line_.elected.emplace(term, machine_.world().now());
  return {};
}

Result<Lsn> Life::acknowledge() {
  Lsn committed = driver_->committed();
  Status known = line_.reference->acknowledge(driver_->proposer().term(), {}, committed);
  if (!known.ok()) {
    line_.events->violated(config_.name, known.error().message());
    return known.error();
  }
  line_.events->commit_acknowledged(config_.name, {}, committed);
  return committed;
}

Status Life::run_in(Task& task, Scope& proposing) {
  TRY(make_dirs(task, env_.disk(), config_.directory));
  compute::ElectionConfig election{config_.driver, join_path(config_.directory, "compute.state")};
  TRY_ASSIGN(driver_, compute::win_election(task, proposing, env_, log_, std::move(election)));
  TRY(begin_term());
  compute::ComputeConfig config = endpoint();
  TRY_ASSIGN(std::unique_ptr<sim::PostgresArchive> backup, base_backup(task, driver_->proposer().start()));
  // Where libraries lie is the launcher's to say.
  TRY_ASSIGN(Bytes own, tar_of({{"postgresql.conf", compute::postgresql_conf(config, "/nowhere")},
                                {"pg_hba.conf", compute::pg_hba_conf()}}));
  compute::WorkerLink link(env_, log_, driver_.get());
  TRY(link.listen(task, compute::socket_path(config)));
  link.expect_system(config_.driver.proposer.server.system_id);
  Scope serving(task, Scope::Detached{});
  serving.spawn("worker link", [&](Task& t) { return link.serve(t); });
  sim::PostgresServer server(serving, env_, machine_.world(), machine_.index(), *run_.options().postgres);
  Result<sim::PostgresServer::Said> started = server.start(task, backup.get(), own);
  Status ended = started.ok() ? Status() : Status(started.error());
  backup.reset();
  if (started.ok() && started->ended) {
    judge_end(*started);
    ended = Error(Code::Unavailable, "the server does not start: " + started->log);
  }
  if (ended.ok()) ended = serve(task, server);
  Shield shield(task);
  ignore_result(server.stop(task));
  ignore_result(serving.stop(task));
  return ended;
}

// Until the client or the server ends, another proposer takes over, or we are told to stop.
Status Life::serve(Task& task, sim::PostgresServer& server) {
  Scope working(task, Scope::Detached{});
  std::optional<Status> client_ended;
  Status lost;
  WaitList changed;
  working.spawn("client", [&](Task& t) -> Status {
    client_ended = use(t, server);
    changed.notify_all();
    return {};
  });
  working.spawn("watch proposer", [&](Task& t) -> Status {
    lost = driver_->wait_lost(t);
    changed.notify_all();
    return {};
  });
  Status told;
  while (!client_ended && lost.ok() && told.ok()) told = changed.wait(task);
  Shield shield(task);
  if (!told.ok()) {
    // The statement that runs may end.
    if (session_ != nullptr) session_->end();
    Deadline deadline(task, kStopTimeout);
    while (!client_ended && lost.ok() && changed.wait(task).ok()) {
    }
  }
  ignore_result(working.stop(task));
  if (!told.ok() && lost.ok() && asked_) ignore_result(stop_in_order(task, server));
  if (!told.ok()) return told;
  if (!lost.ok()) return lost;
  return client_ended && !client_ended->ok() ? *client_ended : Error(Code::Unavailable, "the client ended");
}

// What only reads, and began longer than a lease after another compute was elected, must not have been
// answered.
void Life::judge_lease(std::string_view line, MonotonicTime began) {
  if (config_.read_lease == Duration() || !line.starts_with("select")) return;
  auto next = line_.elected.upper_bound(driver_->proposer().term());
  if (next == line_.elected.end()) return;
  Duration ago = env_.now() - began;
  Duration after = machine_.world().now() - ago - next->second;
  if (after <= config_.read_lease) return;
  line_.events->violated(config_.name,
                         fmt::format("cut off for {} ms, with a read lease of {} ms, it answers: {}",
                                     after.to_milliseconds(), config_.read_lease.to_milliseconds(), line));
}

Status Life::use(Task& task, sim::PostgresServer& server) {
  SqlSession session(
      server, driver_->proposer().term(), [this] { return acknowledge(); },
      [this](std::string_view line, MonotonicTime began) { judge_lease(line, began); });
  session_ = &session;
  Status ended = client_(task, session);
  session_ = nullptr;
  // In the middle of a statement it can only be killed.
  asked_ = !task.cancelled() && !session.last_words();
  if (session.last_words()) judge_end(*session.last_words());
  return ended;
}

// As the sidecar stops one (core/compute).
Status Life::stop_in_order(Task& task, sim::PostgresServer& server) {
  {
    Deadline deadline(task, kStopTimeout);
    TRY_ASSIGN(auto checkpoint, server.execute(task, "checkpoint"));
    if (!checkpoint.ended) {
      TRY_ASSIGN(auto finished, server.finish(task));
      judge_end(finished);
    }
  }
  Deadline deadline(task, kDrainTimeout);
  Status finished = driver_->finish(task);
  if (!finished.ok())
    log_.warn("the last WAL up to {} is not known to be committed: {}", to_string(driver_->end()),
              finished.error().to_string());
  return finished;
}

// A server that crashes by itself is a bug, whatever happens around it.
void Life::judge_end(const sim::PostgresServer::Said& said) {
  bool killed = WIFSIGNALED(said.status);
  bool panicked = said.log.find("PANIC:") != std::string::npos;
  if (killed || panicked)
    run_.fail("the server does not crash",
              config_.name + ": " +
                  (killed ? "signal " + std::to_string(WTERMSIG(said.status)) : std::string("panic")) + ": " +
                  said.log);
  bool orderly = WEXITSTATUS(said.status) == 0 || WEXITSTATUS(said.status) == kFencedStatus;
  if (!orderly) log_.warn("the server ended with status {}: {}", WEXITSTATUS(said.status), said.log);
}

}  // namespace

Status run_postgres_compute(Task& task, Env& env, sim::Machine& machine, Run& run, Line& line,
                            const PostgresComputeConfig& config, const SqlClient& client) {
  return Life(env, machine, run, line, config, client).run(task);
}

Result<Bytes> tar_of(const std::map<std::string, std::string>& files) {
  Bytes tar;
  pg::TarWriter writer(
      [&](ByteView bytes) -> Status {
        tar.insert(tar.end(), bytes.begin(), bytes.end());
        return {};
      },
      0);
  for (const auto& [name, text] : files) TRY(writer.file(name, as_bytes(text)));
  TRY(writer.finish());
  return tar;
}

void end_postgres_run(Run& run, Cluster& cluster, const std::vector<sim::Machine*>& machines,
                      const std::function<void(const std::string& which)>& check_progress) {
  cluster.heal_core();
  check_progress("of a core");
  run.heal();
  end_healed_postgres_run(run, cluster, machines, check_progress);
}

void end_healed_postgres_run(Run& run, Cluster& cluster, const std::vector<sim::Machine*>& machines,
                             const std::function<void(const std::string& which)>& check_progress) {
  check_progress("after healing");
  if (run.failed()) return;
  for (sim::Machine* machine : machines) {
    machine->end_supervision();
    machine->ask_to_stop();
  }
  auto stopped = [&] { return std::ranges::none_of(machines, [](sim::Machine* one) { return one->up(); }); };
  if (!run.run_until(stopped, kOrderlyStopLimit) && !run.failed())
    run.fail("orderly stop", fmt::format("a server does not stop in {} s", kOrderlyStopLimit.to_seconds()));
  if (run.failed()) return;
  check_same_wal(cluster);
  check_wal_chains(cluster);
  replace_disk(cluster.pageserver());
  for (sim::Machine* machine : machines) machine->restart();
  check_progress("with a rebuilt pageserver");
}

}  // namespace argon::scenarios
