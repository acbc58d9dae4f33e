#include "core/safekeeper/timeline.h"

#include <algorithm>

#include "core/env/io.h"
#include "core/env/points.h"
#include "core/objstore/keys.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/catch_up.h"

namespace argon::safekeeper {

using consensus::AcceptorEffect;
using consensus::AcceptorEffects;
using consensus::ConnectionId;

void ProposerLink::refuse(const Error& reason) {
  replies.try_send(consensus::Refusal{reason.code(), reason.message()});
  replies.close();
}

namespace {

constexpr Duration kLateFlush = Duration::milliseconds(20);

}  // namespace

std::string claim_key(NodeId node, const TenantTimelineId& id, std::string_view what) {
  return "safekeeper " + to_string(node) + " " + to_string(id) + " " + std::string(what);
}

Timeline::Timeline(Env& env, Scope& scope, const SafekeeperConfig& config, objstore::ObjectStore* store,
                   std::string directory, TimelineControl control)
    : env_(env),
      config_(config),
      store_(store),
      directory_(std::move(directory)),
      term_claim_(claim_key(config.id, control.id, "term")),
      flush_claim_(claim_key(config.id, control.id, "flush")),
      backup_claim_(claim_key(config.id, control.id, "backup")),
      log_(Logger(env.log())
               .with("tenant", to_string(control.id.tenant))
               .with("timeline", to_string(control.id.timeline))),
      control_(std::move(control)),
      spare_(env.disk(), directory_),
      decoded_(config.decode),
      leftovers_(control_.evicted.has_value()),
      used_at_(env.now()),
      led_at_(env.now()),
      saved_at_(env.now()),
      partial_since_(env.now()),
      scope_(scope) {}

Timeline::~Timeline() = default;

Status Timeline::stop(Task& task, bool save_positions) {
  Status saved;
  if (save_positions && failure_.ok()) {
    Lock lock;
    saved = lock.acquire(task, mutex_);
    if (saved.ok() && failure_.ok()) saved = close(task);
  }
  for (auto& [id, link] : links_) link->refuse(Error(Code::Unavailable, "the safekeeper is stopping"));
  TRY(scope_.stop(task));
  return saved;
}

Status Timeline::load(Task& task) {
  TRY_ASSIGN(control_, read_control(task, env_.disk(), directory_));
  // Segments that are here do not count.
  if (evicted()) return Error(Code::Unavailable, "it is evicted");
  TRY_ASSIGN(
      std::unique_ptr<WalStorage> storage,
      WalStorage::open(task, env_.disk(), directory_, control_.acceptor, control_.closed_at, log_, &spare_));
  acceptor_.emplace(config_.id, control_.acceptor, storage->end());
  storage_ = std::move(storage);
  begin_chain();
  remote_consistent_ = std::max(remote_consistent_, control_.remote_consistent);
  backup_ = std::max(backup_, control_.backup);
  publish_positions();
  return {};
}

Status Timeline::try_recover(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (failure_.ok() || !may_recover_) return failure_;
  Uninterruptible whole(task);
  acceptor_.reset();
  storage_.reset();
  if (Status loaded = load(task); !loaded.ok()) {
    may_recover_ = loaded.is(Code::NoSpace);
    failure_ = loaded;
    return loaded;
  }
  failure_ = {};
  env_.probe("safekeeper.serving-again"_probe);
  log_.info("serving again, flushed up to {}", to_string(acceptor_->flush()));
  return {};
}

Error Timeline::fail(const Error& error, bool may_recover) {
  if (failure_.ok()) {
    log_.error("stopped serving: {}", error.to_string());
    may_recover_ = may_recover;
    failure_ = Error(Code::Unavailable, "timeline " + to_string(id()) + " is stopped: " + error.message());
    for (auto& [id, link] : links_) link->refuse(failure_.error());
    flush_wanted_.notify_all();
  }
  return failure_.error();
}

void Timeline::publish_positions() {
  durable_ = {config_.id,
              acceptor_->state().configuration.generation,
              acceptor_->term(),
              {acceptor_->last_log_term(), acceptor_->flush()}};
  known_ = true;
  flushed_.advance(acceptor_->flush());
  committed_.advance(acceptor_->commit());
}

// ---- proposers

void Timeline::attach(ProposerLink& link) {
  links_[link.id] = &link;
}

void Timeline::detach(ProposerLink& link) {
  links_.erase(link.id);
  if (acceptor_) acceptor_->on_disconnected(link.id);
}

Status Timeline::on_message(Task& task, ProposerLink& link, const consensus::ProposerMessage& message) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!failure_.ok()) return failure_;
  TRY(wal_refused_);
  return apply(task, acceptor_->on_message(link.id, message));
}

Status Timeline::apply(Task& task, AcceptorEffects effects) {
  // Once begun, the effects are carried out whole: a task that is cancelled or out of time must not leave
  // them half done, since then only a restart could tell what the disk holds.
  Uninterruptible whole(task);
  for (AcceptorEffect& effect : effects) TRY(apply_one(task, effect));
  publish_positions();
  if (acceptor_->unflushed()) {
    if (!flusher_running_) {
      flusher_running_ = true;
      scope_.spawn("flush " + to_string(id().timeline),
                   [this](Task& flusher) { return flush_loop(flusher); });
    }
    flush_wanted_.notify_one();
  }
  return {};
}

Status Timeline::apply_one(Task& task, AcceptorEffect& effect) {
  if (auto* persist_state = std::get_if<consensus::PersistState>(&effect)) {
    control_.acceptor = persist_state->state;
    storage_->expect_system(control_.acceptor.server.system_id);
    return persist(task);
  }
  if (auto* write = std::get_if<consensus::WriteWal>(&effect)) {
    TRY(reopen(task));
    Status written = storage_->write(task, write->at, write->wal);
    if (written.ok()) return {};
    env_.probe("safekeeper.write-failed"_probe);
    if (written.is(Code::NoSpace)) return refuse_wal(task, written.error());
    return fail(written.error(), written.is(Code::Corrupt));
  }
  if (std::get_if<consensus::FlushWal>(&effect)) {
    env_.probe("safekeeper.vote-flushed-first"_probe);
    auto flushed = storage_->flush(task);
    if (!flushed.ok()) return fail(flushed.error(), false);
    ++flushes_;
    return apply(task, acceptor_->on_flushed(flushed->durable, flushed->record_end));
  }
  if (auto* cut = std::get_if<consensus::TruncateWal>(&effect)) return truncate(task, *cut);
  if (auto* told = std::get_if<consensus::Reply>(&effect)) reply(told->connection, std::move(told->message));
  if (auto* close = std::get_if<consensus::CloseConnection>(&effect)) {
    env_.probe("safekeeper.proposer-refused"_probe);
    log_.warn("refused a proposer: {}", close->reason.to_string());
    if (auto link = links_.find(close->connection); link != links_.end()) link->second->refuse(close->reason);
  }
  if (auto* commit = std::get_if<consensus::Committed>(&effect)) committed_.advance(commit->commit);
  return {};
}

Status Timeline::truncate(Task& task, const consensus::TruncateWal& cut) {
  consensus::WalCheck check = consensus::first_check(cut.to);
  TRY(reopen(task));
  if (cut.initialise) {
    Status made = storage_->initialise(task, cut.to, control_.acceptor.server.system_id);
    if (made.is(Code::NoSpace)) return refuse_wal(task, made.error());
    if (!made.ok()) return fail(made.error(), false);
  } else {
    if (cut.to < storage_->written()) env_.probe("safekeeper.log-cut"_probe);
    durable_.position = {control_.acceptor.history.term_at(cut.to), cut.to};
    env_.durable_claim(flush_claim_, cut.to.value);
    claimed_flush_ = cut.to;
    auto done = storage_->truncate(task, cut.to);
    if (!done.ok()) return fail(done.error(), false);
    env_.durable_claim(flush_claim_, cut.to.value);
    check = *done;
  }
  return apply(task, acceptor_->on_truncated(check));
}

Status Timeline::persist(Task& task) {
  control_.backup = std::max(control_.backup, backup_);
  control_.remote_consistent = std::max(control_.remote_consistent, remote_consistent_);
  Lsn needed = needed_from(control_);
  Status written = write_control(task, env_.disk(), directory_, control_);
  if (!written.ok()) {
    env_.probe("safekeeper.control-file-failed"_probe);
    Error error = written.error().with("persist state");
    return written.is(Code::NoSpace) ? refuse_wal(task, error) : fail(error, false);
  }
  saved_at_ = env_.now();
  saved_needed_from_ = needed;
  return {};
}

void Timeline::reply(ConnectionId to, consensus::AcceptorMessage message) {
  auto link = links_.find(to);
  if (link == links_.end()) return;
  if (auto* vote = std::get_if<consensus::VoteResponse>(&message))
    claim(vote->term, std::max(vote->flush, vote->commit));
  if (auto* response = std::get_if<consensus::AppendResponse>(&message)) {
    if (!response->flush.valid()) env_.probe("safekeeper.append-of-old-term"_probe);
    claim(response->term, std::max(response->flush, response->commit));
    if (response->flush.valid()) told_ = {to, *response};
    *response = with_feedback(*response);
  }
  // A proposer that does not read what it is told is cut off, rather than waited for.
  if (!link->second->replies.try_send(std::move(message))) {
    env_.probe("safekeeper.proposer-does-not-read"_probe);
    link->second->replies.close();
  }
}

void Timeline::claim(Term term, Lsn wal) {
  if (retired_) return;
  env_.durable_claim(term_claim_, term.value);
  claimed_term_ = term;
  if (!wal.valid()) return;
  env_.durable_claim(flush_claim_, wal.value);
  claimed_flush_ = wal;
}

// ---- flushing

Status Timeline::flush_loop(Task& task) {
  auto due = [this] { return failure_.ok() && acceptor_ && acceptor_->unflushed(); };
  while (!task.cancelled() && !asleep()) {
    if (due()) {
      if (env_.buggify("safekeeper.flushes-late"_rare) && !task.sleep(kLateFlush).ok()) break;
      // Storage and acceptor may have gone meanwhile.
      if (!due()) continue;
      // Errors are the timeline's: flush_once() has stopped it.
      ignore_result(flush_once(task));
      continue;
    }
    if (Status woken = flush_wanted_.wait(task); !woken.ok()) break;
  }
  flusher_running_ = false;
  return {};
}

Status Timeline::flush_once(Task& task) {
  std::shared_ptr<WalStorage> storage = storage_;
  Uninterruptible whole(task);
  auto flushed = storage->flush(task);
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (storage != storage_ || !failure_.ok()) return {};
  if (!flushed.ok()) {
    env_.probe("safekeeper.sync-failed"_probe);
    return fail(flushed.error(), false);
  }
  ++flushes_;
  make_spare_segment();
  // Cut meanwhile, or flushed further for a vote: this flush proves nothing new.
  if (flushed->epoch != storage->epoch() || flushed->durable <= acceptor_->durable()) {
    env_.probe("safekeeper.cut-while-flushing"_probe);
    return {};
  }
  return apply(task, acceptor_->on_flushed(flushed->durable, flushed->record_end));
}

void Timeline::make_spare_segment() {
  bool due = storage_->spare_is_due() || env_.buggify("safekeeper.spare-early"_rare);
  if (!due || spare_tried_ == pg::segment_number(storage_->written())) return;
  spare_tried_ = pg::segment_number(storage_->written());
  scope_.spawn("next segment of " + to_string(id().timeline), [this](Task& task) {
    if (asleep()) return Status();
    Status made = spare_.make(task);
    if (!made.ok() && !made.is(Code::Cancelled)) log_.warn("{}", made.error().to_string());
    return Status();
  });
}

// ---- readers

Result<size_t> Timeline::read_wal(Task& task, Lsn at, Lsn limit, ByteSpan into) {
  if (!failure_.ok()) return failure_.error();
  used_at_ = env_.now();
  if (at >= limit) return size_t{0};
  ByteSpan wanted = into.first(std::min<uint64_t>(into.size(), limit - at));
  std::shared_ptr<WalStorage> storage = storage_;
  // Copies: the acceptor may be another one after a wait.
  Lsn timeline_start = acceptor_->state().timeline_start;
  Lsn local_start = acceptor_->state().local_start;
  uint64_t system_id = acceptor_->state().server.system_id;
  // Before a node's first LSN there are only made-up bytes, which are right only where nothing ever was.
  bool made_up = at < local_start && local_start != timeline_start;
  Result<size_t> here = Error(Code::NotFound, "WAL at " + to_string(at) + " is not on this safekeeper");
  if (!made_up) here = storage->read(task, at, wanted);
  if (here.ok()) pg::lay_empty_pages(at, wanted.first(*here), local_start, system_id);
  if (!here.is(Code::NotFound) || store_ == nullptr) return here;
  env_.probe("safekeeper.segment-from-store"_probe);
  std::string key = objstore::wal_prefix(id()) + pg::segment_file_name(pg::segment_number(at));
  uint64_t length = std::min<uint64_t>(wanted.size(), pg::kWalSegmentSize - pg::segment_offset(at));
  TRY_ASSIGN(Bytes bytes, store_->get(task, key, {pg::segment_offset(at), length}));
  std::copy(bytes.begin(), bytes.end(), into.begin());
  pg::lay_empty_pages(at, into.first(bytes.size()), timeline_start, system_id);
  return bytes.size();
}

uint64_t Timeline::add_reader() {
  readers_[next_reader_];
  return next_reader_++;
}

consensus::AppendResponse Timeline::with_feedback(consensus::AppendResponse response) const {
  for (const auto& [number, reader] : readers_) add_feedback(response, reader);
  return response;
}

void Timeline::on_feedback() {
  for (const auto& [number, reader] : readers_)
    if (reader.is_pageserver)
      remote_consistent_ = std::max(remote_consistent_, reader.pageserver.remote_consistent);
  // What the acceptor would say now need not be on the disk before its effects are carried out.
  if (!failure_.ok() || !acceptor_ || !told_) return;
  if (told_->to == acceptor_->leader() && told_->response.term == acceptor_->term())
    reply(told_->to, told_->response);
}

// ---- peers, management

Status Timeline::on_peer(Task& task, const PeerInfo& peer) {
  peers_[peer.report.id] = peer;
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!failure_.ok() || asleep()) return {};
  backup_ = std::max(backup_, peer.backup);
  remote_consistent_ = std::max(remote_consistent_, peer.remote_consistent);
  AcceptorEffects effects = acceptor_->on_peer_commit(peer.report.position.last_log_term, peer.commit);
  if (!effects.empty()) env_.probe("safekeeper.commit-from-peer"_probe);
  TRY(apply(task, std::move(effects)));
  std::vector<consensus::MemberReport> reports;
  for (const auto& [id, known] : peers_) reports.push_back(known.report);
  effects = acceptor_->on_peer_reports(reports);
  if (!effects.empty()) env_.probe("safekeeper.commit-found-with-peers"_probe);
  TRY(apply(task, std::move(effects)));
  consensus::LogPosition ours{acceptor_->last_log_term(), acceptor_->flush()};
  asked_ = asked_ || peer.report.position < ours || peer.commit < acceptor_->commit();
  return {};
}

const PeerInfo* Timeline::ahead() const {
  if (!acceptor_ || acceptor_->leader() || !acceptor_->has_wal()) return nullptr;
  consensus::LogPosition highest{acceptor_->last_log_term(), acceptor_->flush()};
  const PeerInfo* best = nullptr;
  for (const auto& [id, peer] : peers_) {
    const consensus::LogPosition& theirs = peer.report.position;
    bool there =
        env_.now() - peer.heard <= config_.peer_timeout && acceptor_->state().configuration.contains(id);
    if (!there || theirs <= highest || theirs.last_log_term < acceptor_->state().history.last_term())
      continue;
    highest = theirs;
    best = &peer;
  }
  return best;
}

void Timeline::catch_up_if_behind() {
  if (acceptor_->leader()) led_at_ = env_.now();
  const PeerInfo* peer = ahead();
  if (peer == nullptr || catching_up_ || !wal_refused_.ok() || env_.now() - led_at_ < config_.catch_up_pause)
    return;
  catching_up_ = true;
  scope_.spawn("catch up " + to_string(id().timeline), [this, from = *peer](Task& task) -> Status {
    Status done = catch_up(task, *this, from);
    catching_up_ = false;
    if (done.ok())
      log_.info("caught up with safekeeper {} up to {}", to_string(from.report.id),
                to_string(from.report.position.flush));
    else if (!done.is(Code::Cancelled) && !done.is(Code::Stale))
      log_.warn("catch up with safekeeper {}: {}", to_string(from.report.id), done.error().to_string());
    return {};
  });
}

Status Timeline::follow_peer(Task& task, const consensus::PeerLog& log) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!failure_.ok()) return failure_;
  TRY(wal_refused_);
  TRY_ASSIGN(AcceptorEffects effects, acceptor_->follow_peer(log));
  return apply(task, std::move(effects));
}

Status Timeline::on_peer_wal(Task& task, Lsn at, ByteView wal) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!failure_.ok()) return failure_;
  TRY(wal_refused_);
  TRY_ASSIGN(AcceptorEffects effects, acceptor_->on_peer_wal(at, wal));
  return apply(task, std::move(effects));
}

Status Timeline::set_configuration(Task& task, const consensus::Configuration& configuration) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!failure_.ok()) return failure_;
  TRY_ASSIGN(AcceptorEffects effects, acceptor_->adopt_configuration(configuration));
  return apply(task, std::move(effects));
}

Status Timeline::raise_term(Task& task, Term term) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!failure_.ok()) return failure_;
  return apply(task, acceptor_->raise_term(term));
}

consensus::MemberReport Timeline::report() {
  Lsn flush = durable_.position.flush;
  claim(std::max(durable_.term, claimed_term_), flush > claimed_flush_ ? flush : Lsn());
  return durable_;
}

Status Timeline::bury(Task& task, const consensus::Configuration& configuration) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!failure_.ok()) return failure_;
  if (control_.acceptor.configuration.generation > configuration.generation)
    return Error(Code::Stale, "here is " + to_string(control_.acceptor.configuration));
  Uninterruptible whole(task);
  TimelineControl tombstone = control_;
  tombstone.acceptor.configuration = configuration;
  tombstone.acceptor.history = {};
  tombstone.acceptor.local_start = tombstone.acceptor.commit = tombstone.closed_at = Lsn();
  tombstone.chain.clear();
  tombstone.evicted.reset();
  retired_ = true;
  env_.durable_claim(flush_claim_, 0);
  if (Status written = write_control(task, env_.disk(), directory_, tombstone); !written.ok()) {
    retired_ = false;
    Error error = written.error().with("leave a tombstone");
    return written.is(Code::NoSpace) ? error : fail(error, false);
  }
  control_ = std::move(tombstone);
  ignore_result(Status(fail(Error(Code::Stale, "its members are " + to_string(configuration)), false)));
  return {};
}

Status Timeline::condemn(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  retired_ = true;
  ignore_result(Status(fail(Error(Code::Stale, "it was deleted"), false)));
  return {};
}

Status Timeline::save(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!failure_.ok()) return failure_;
  Uninterruptible whole(task);
  control_.acceptor = state();
  return persist(task);
}

bool Timeline::active() const {
  if (asleep()) return remote_consistent_ < control_.acceptor.commit;
  if (!failure_.ok() || !wal_refused_.ok() || chain_lags() || !is_uploaded()) return true;
  return !links_.empty() || !readers_.empty() || remote_consistent_ < acceptor_->commit() ||
         control_.acceptor.commit < acceptor_->commit() || ahead() != nullptr;
}

void Timeline::manage(Task& task) {
  auto report = [&](std::string_view what, const Status& status) {
    if (!status.ok() && !status.is(Code::Cancelled)) log_.warn("{}: {}", what, status.error().to_string());
  };
  if (!failure_.ok()) {
    if (may_recover_) report("recover", try_recover(task));
    return;
  }
  if (asleep()) return;
  struct Managing {
    explicit Managing(bool& f) : flag(f) { flag = true; }
    ~Managing() { flag = false; }
    bool& flag;
  } managing(managing_);
  std::erase_if(peers_,
                [&](const auto& peer) { return env_.now() - peer.second.heard > config_.peer_timeout; });
  if (!wal_refused_.ok()) report("take WAL again", take_wal_again(task));
  catch_up_if_behind();
  if (store_ != nullptr && acceptor_->has_wal() && !env_.buggify("safekeeper.uploads-late"_rare)) {
    report("upload WAL", upload_full_segments(task));
    report("upload the last segment", upload_partial(task));
  }
  if (failure_.ok()) report("hash WAL", advance_chain(task));
  if (!failure_.ok()) return;
  bool far = acceptor_->commit().value >= control_.acceptor.commit.value + pg::kWalSegmentSize;
  bool moved = acceptor_->commit() > control_.acceptor.commit || backup_ > control_.backup ||
               remote_consistent_ > control_.remote_consistent || needed_from(control_) > saved_needed_from_;
  bool due = env_.now() - saved_at_ > config_.save_interval || env_.buggify("safekeeper.saves-early"_rare);
  if (far || (moved && due)) report("save positions", save(task));
  if (failure_.ok()) report("remove old WAL", remove_old_wal(task));
}

}  // namespace argon::safekeeper
