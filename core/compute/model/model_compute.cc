#include "core/compute/model/model_compute.h"

#include "core/compute/compute_state.h"
#include "core/compute/model/model_rows.h"
#include "core/env/io.h"

namespace argon::compute {

namespace {

constexpr Duration kElectionProgress = Duration::seconds(5);
// As the sidecar: the last WAL is waited for at most this long.
constexpr Duration kDrainTimeout = Duration::seconds(10);

// One life of a model compute.
class Incarnation {
 public:
  Incarnation(Env& env, const ModelComputeConfig& config, ReferenceModel& reference, ModelEvents& events)
      : env_(env),
        config_(config),
        reference_(reference),
        events_(events),
        log_(Logger(env.log()).with("compute", config.name).with("timeline", to_string(config.id.timeline))) {
  }

  Status run(Task& task) {
    // The proposer goes on while the rest stops: the last WAL goes through it.
    Scope proposing(task, Scope::Detached{});
    Scope scope(task);
    Status ended = run_in(task, proposing, scope);
    bool told_to_stop = ended.is(Code::Cancelled) && task.cancelled();
    Shield shield(task);
    ignore_result(scope.stop(task));
    if (told_to_stop) finish(task);
    if (driver_) ignore_result(driver_->stop(task));  // connections only; what counts is in `ended`
    ignore_result(proposing.stop(task));
    return told_to_stop ? Status() : ended;
  }

 private:
  Status run_in(Task& task, Scope& proposing, Scope& scope);
  Status elect(Task& task, Scope& proposing);
  void finish(Task& task);
  Result<ModelStart> base_backup(Task& task, Lsn start);
  Status work(Task& task, const ModelContext& context, ModelWriter& writer);
  Status run_backend(Task& task, const ModelContext& context, ModelWriter& writer, uint32_t number);
  Status run_client(Task& task, ModelRows& rows, uint32_t number);
  Status run_reader(Task& task, const ModelContext& context, uint32_t number);
  Status check_page(Task& task, const ModelContext& context, const pg::BlockTag& tag, Lsn lsn);
  Status check_size(Task& task, const ModelContext& context, const pg::RelTag& rel, Lsn lsn);
  Status check_clog(Task& task, const ModelContext& context, Lsn lsn);
  std::string state_path() const { return join_path(config_.directory, "compute.state"); }

  Env& env_;
  const ModelComputeConfig& config_;
  ReferenceModel& reference_;
  ModelEvents& events_;
  Logger log_;
  std::unique_ptr<ProposerDriver> driver_;
};

// As the sidecar: a lost attempt is followed by another after a random pause, with a higher term.
Status Incarnation::elect(Task& task, Scope& proposing) {
  TRY(make_dirs(task, env_.disk(), config_.directory));
  TRY_ASSIGN(ComputeState state, load_compute_state(task, env_.disk(), state_path()));
  ProposerDriverConfig driver_config;
  driver_config.proposer.id = config_.id;
  driver_config.proposer.configuration = config_.safekeepers;
  driver_config.proposer.server = {150'000, config_.system_id, static_cast<uint32_t>(pg::kWalSegmentSize)};
  driver_config.proposer.min_term = state.term;
  driver_config.proposer.bootstrap_start = config_.bootstrap_start;
  driver_config.proposer.allow_creation = config_.allow_creation;
  driver_config.append_bytes_max = config_.append_bytes_max;
  driver_config.decided = config_.decided;
  while (true) {
    driver_ = std::make_unique<ProposerDriver>(
        proposing, env_, log_, driver_config, [this](Task& t, Term term, Lsn start) {
          return store_compute_state(t, env_.disk(), state_path(), {term, start});
        });
    driver_->start();
    Status elected;
    do {
      Deadline deadline(task, kElectionProgress);
      Result<consensus::Elected> result = driver_->elect(task);
      elected = result.ok() ? Status() : Status(result.error());
    } while (elected.is(Code::TimedOut));
    if (elected.ok() || !elected.is(Code::Stale)) return elected;
    TRY(driver_->stop(task));
    driver_config.proposer.min_term = std::max(driver_config.proposer.min_term, driver_->seen_term());
    Random& random = env_.random("model.election");
    TRY(task.sleep(random.between(Duration::milliseconds(50), Duration::milliseconds(1500))));
  }
}

// The pageserver may be down, or still on its way to `start`.
Result<ModelStart> Incarnation::base_backup(Task& task, Lsn start) {
  while (true) {
    TRY(driver_->lost());
    Result<ModelStart> got = [&]() -> Result<ModelStart> {
      Deadline deadline(task, config_.read_timeout);
      return fetch_model_start(task, {config_.pageserver, config_.id, start});
    }();
    if (got.ok() || got.is(Code::Corrupt) || task.cancelled()) return got;
    log_.info("base backup at {}: {}; trying again", to_string(start), got.error().to_string());
    TRY(task.sleep(
        env_.random("model.read").between(Duration::milliseconds(100), Duration::milliseconds(1000))));
  }
}

// Backends have ended; what they wrote is to be committed, and known to be.
void Incarnation::finish(Task& task) {
  if (!driver_) return;
  Deadline deadline(task, kDrainTimeout);
  Status finished = driver_->finish(task);
  if (!finished.ok())
    log_.warn("the last WAL up to {} is not known to be committed: {}", to_string(driver_->end()),
              finished.error().to_string());
}

Status Incarnation::run_in(Task& task, Scope& proposing, Scope& scope) {
  TRY(elect(task, proposing));
  Term term = driver_->proposer().term();
  Lsn start = driver_->proposer().start();
  Status begun = reference_.begin_term(term, start);
  if (!begun.ok()) {
    if (!begun.is(Code::Stale)) events_.violated(config_.name, begun.error().message());
    return begun;
  }
  events_.elected(config_.name, term, start);
  PageClient client(scope, env_, {config_.pageserver, config_.id});
  ModelContext context{env_, config_, reference_, events_, *driver_, client, log_, term};
  TRY_ASSIGN(ModelStart backup, base_backup(task, start));
  ModelWriter writer(context, backup, start);
  Status ended = work(task, context, writer);
  ignore_result(client.stop(task));
  return ended;
}

Status Incarnation::work(Task& task, const ModelContext& context, ModelWriter& writer) {
  TRY(writer.begin(task));
  events_.started(config_.name, context.term);
  ModelRows rows(context, writer);
  if (config_.rows != nullptr) TRY(rows.open(task, driver_->proposer().start()));
  Scope working(task);
  for (uint32_t i = 0; i < config_.backends; i++)
    working.spawn("backend " + std::to_string(i),
                  [this, &context, &writer, i](Task& t) { return run_backend(t, context, writer, i); });
  for (uint32_t i = 0; i < config_.readers; i++)
    working.spawn("reader " + std::to_string(i),
                  [this, &context, i](Task& t) { return run_reader(t, context, i); });
  for (uint32_t i = 0; config_.rows != nullptr && i < config_.row_clients; i++)
    working.spawn("client " + std::to_string(i),
                  [this, &rows, i](Task& t) { return run_client(t, rows, i); });
  working.spawn("watch proposer", [this](Task& t) { return driver_->wait_lost(t); });
  return working.join(task);
}

Status Incarnation::run_backend(Task& task, const ModelContext& context, ModelWriter& writer,
                                uint32_t number) {
  Random& random = env_.random("model.backend." + std::to_string(number));
  while (true) {
    TRY(task.sleep(random.exponential(config_.think)));
    if (config_.may_begin != nullptr && !config_.may_begin()) continue;
    TRY_ASSIGN(ModelWriter::Outcome outcome, writer.run_transaction(task, random));
    if (outcome.commit_end.valid()) TRY(context.wait_acknowledged(task, outcome.xid, outcome.commit_end));
  }
}

// A client of the table of rows.
Status Incarnation::run_client(Task& task, ModelRows& rows, uint32_t number) {
  Random& random = env_.random("model.client." + std::to_string(number));
  while (true) {
    TRY(task.sleep(random.exponential(config_.row_pause)));
    if (config_.may_begin != nullptr && !config_.may_begin()) continue;
    std::optional<RowTransaction> transaction = config_.rows->next(random);
    if (!transaction) continue;
    TRY_ASSIGN(RowOutcome outcome, rows.run(task, random, *transaction));
    config_.rows->ended(*transaction, outcome);
  }
}

// Compares pages, sizes and transaction states at the latest committed LSN and at older ones.
Status Incarnation::run_reader(Task& task, const ModelContext& context, uint32_t number) {
  Random& random = env_.random("model.reader." + std::to_string(number));
  while (true) {
    TRY(task.sleep(random.exponential(config_.read_pause)));
    std::vector<pg::RelTag> relations = reference_.relations();
    Lsn newest = driver_->committed();
    Lsn oldest = reference_.start();
    if (relations.empty() || newest <= oldest) continue;
    bool old = random.chance({1, 2});
    Lsn lsn = old ? Lsn(random.between(oldest.value, newest.value)) : newest;
    pg::RelTag rel = relations[random.below(relations.size())];
    std::optional<uint32_t> blocks = reference_.blocks_at(rel, lsn);
    Status checked;
    if (random.chance({1, 30}))
      checked = check_clog(task, context, lsn);
    else if (blocks.value_or(0) == 0 || random.chance({1, 8}))
      checked = check_size(task, context, rel, lsn);
    else
      checked = check_page(task, context, {rel, static_cast<uint32_t>(random.below(*blocks))}, lsn);
    bool gone = config_.history_gone && !checked.ok() && is_below_gc_cutoff(checked.error());
    if (gone) config_.history_gone(lsn);
    if (!gone) TRY(checked);
  }
}

Status Incarnation::check_page(Task& task, const ModelContext& context, const pg::BlockTag& tag, Lsn lsn) {
  ReadLsn at{lsn, reference_.page_changed_at(tag, lsn)};
  TRY_ASSIGN(Bytes page, read_until_there<Bytes>(task, context, [&](Task& t) {
               return context.client.page(t, to_wire(tag.rel), tag.block, at);
             }));
  Status right = reference_.check_page(tag, lsn, page);
  if (!right.ok()) return context.judge(right.error());
  events_.page_checked(config_.name, tag, lsn);
  return {};
}

Status Incarnation::check_size(Task& task, const ModelContext& context, const pg::RelTag& rel, Lsn lsn) {
  ReadLsn at{lsn, reference_.size_changed_at(rel, lsn)};
  TRY_ASSIGN(bool there, read_until_there<bool>(task, context, [&](Task& t) {
               return context.client.exists(t, to_wire(rel), at);
             }));
  std::optional<uint32_t> blocks;
  if (there) {
    TRY_ASSIGN(blocks, read_until_there<uint32_t>(task, context, [&](Task& t) {
                 return context.client.blocks(t, to_wire(rel), at);
               }));
  }
  Status right = reference_.check_blocks(rel, lsn, blocks);
  return right.ok() ? right : context.judge(right.error());
}

Status Incarnation::check_clog(Task& task, const ModelContext& context, Lsn lsn) {
  ReadLsn at{lsn, reference_.clog_changed_at(lsn)};
  TRY_ASSIGN(Bytes segment, read_until_there<Bytes>(task, context, [&](Task& t) {
               return context.client.slru_segment(t, wire::SlruKind::Clog, 0, at);
             }));
  Status right = reference_.check_clog(lsn, segment);
  return right.ok() ? right : context.judge(right.error());
}

}  // namespace

bool is_below_gc_cutoff(const Error& error) {
  return error.code() == Code::Invalid && error.message().find("GC cutoff") != std::string::npos;
}

Status run_model_compute(Task& task, Env& env, const ModelComputeConfig& config, ReferenceModel& reference,
                         ModelEvents& events) {
  return Incarnation(env, config, reference, events).run(task);
}

}  // namespace argon::compute
