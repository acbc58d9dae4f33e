#include "core/compute/proposer_driver.h"

#include <algorithm>

#include "core/compute/old_wal_reader.h"
#include "core/consensus/codec.h"
#include "core/env/points.h"
#include "core/wire/frame.h"

namespace argon::compute {
namespace {

// Bytes put together before they are handed to the network.
constexpr size_t kSendBatch = 512 * 1024;
// Control messages waiting for one member; more means that it does not read.
constexpr size_t kQueueMax = 64;
constexpr size_t kSmallAppend = 11;

}  // namespace

ProposerDriver::ProposerDriver(Scope& parent, Env& env, Logger log, ProposerDriverConfig config,
                               PersistTerm persist_term)
    : env_(env),
      log_(std::move(log)),
      config_(std::move(config)),
      persist_term_(std::move(persist_term)),
      proposer_(config_.proposer),
      scope_(parent) {}

ProposerDriver::~ProposerDriver() = default;

void ProposerDriver::start() {
  reconcile_links();
  if (config_.decided != nullptr)
    scope_.spawn("members", [this](Task& task) { return follow_members(task); });
}

Status ProposerDriver::follow_members(Task& task) {
  while (lost_.ok()) {
    consensus::Proposer::Phase phase = proposer_.phase();
    Lsn committed = committed_;
    TRY(task.sleep(config_.ask_after));
    bool waits = !proposer_.leading() || committed_ < end();
    if (!waits || committed_ > committed || proposer_.phase() != phase) continue;
    Result<consensus::Configuration> decided = config_.decided(task);
    if (decided.is(Code::Cancelled)) return decided.error();
    Status done = decided.ok() ? apply(task, proposer_.on_configuration(*decided)) : decided.error();
    if (done.is(Code::Cancelled)) return done;
    if (!done.ok()) log_.debug("who the safekeepers are: {}", done.error().to_string());
  }
  return {};
}

Result<consensus::Elected> ProposerDriver::elect(Task& task) {
  while (lost_.ok() && !start_committed_) TRY(change_waiters_.wait(task));
  if (!lost_.ok()) return lost_.error();
  return *elected_;
}

Status ProposerDriver::append(Task& task, Lsn begin, ByteView wal) {
  while (lost_.ok() && buffer_ &&
         buffer_->end() - std::max(committed_, elected_->start) > config_.uncommitted_limit) {
    env_.probe("proposer.back-pressure"_probe);
    TRY(change_waiters_.wait(task));
  }
  TRY(lost_);
  if (!start_committed_)
    return Error(Code::Invalid, "append WAL at " + to_string(begin) + ": not elected yet");
  if (begin != buffer_->end())
    return Error(Code::Invalid, "append WAL at " + to_string(begin) + ": expected it to go on at " +
                                    to_string(buffer_->end()));
  buffer_->append(wal);
  proposer_.on_wal(buffer_->end());
  trim();
  wake_links();
  return {};
}

Status ProposerDriver::wait_committed(Task& task, Lsn lsn) {
  while (lost_.ok() && committed_ < lsn) TRY(change_waiters_.wait(task));
  if (committed_ >= lsn) return {};
  return lost_;
}

Status ProposerDriver::finish(Task& task) {
  TRY(elect(task));
  TRY(wait_committed(task, end()));
  for (auto& [id, link] : links_) link->ask = true;
  wake_links();
  while (lost_.ok() && proposer_.commit_known() < committed_) TRY(change_waiters_.wait(task));
  return lost_;
}

Status ProposerDriver::wait_change(Task& task, uint64_t seen) {
  while (changes_ == seen) TRY(change_waiters_.wait(task));
  return {};
}

Status ProposerDriver::wait_lost(Task& task) {
  while (lost_.ok()) TRY(lost_waiters_.wait(task));
  return lost_;
}

Status ProposerDriver::stop(Task& task) {
  return scope_.stop(task);
}

void ProposerDriver::reconcile_links() {
  const consensus::Configuration& configuration = proposer_.configuration();
  for (auto& [id, link] : links_) link->wanted = configuration.contains(id);
  for (NodeId id : configuration.ids()) {
    auto found = links_.find(id);
    if (found != links_.end()) {
      found->second->member = *configuration.find(id);
      continue;
    }
    auto link = std::make_unique<Link>();
    link->id = id;
    link->member = *configuration.find(id);
    Link& added = *link;
    links_.emplace(id, std::move(link));
    scope_.spawn("proposer to safekeeper " + to_string(id),
                 [this, &added](Task& task) { return run_link(task, added); });
  }
}

// Connects again and again, until the proposer is lost or the member is one no more.
Status ProposerDriver::run_link(Task& task, Link& link) {
  Duration delay = config_.reconnect_delay;
  while (lost_.ok()) {
    if (!link.wanted) {
      TRY(link.wake.wait(task));
      continue;
    }
    MonotonicTime began = env_.now();
    Status ended = run_session(task, link);
    if (task.cancelled()) return Error(Code::Cancelled, "the proposer stops");
    if (!lost_.ok()) break;
    if (start_committed_) env_.probe("proposer.link-lost"_probe);
    log_.info("safekeeper {} at {}:{}: {}; connecting again", to_string(link.id), link.member.host,
              link.member.port, ended.ok() ? "closed" : ended.error().to_string());
    if (env_.now() - began > config_.silence_timeout) delay = config_.reconnect_delay;
    TRY(task.sleep(delay + env_.random("proposer.reconnect").between(Duration(), delay)));
    delay = std::min(delay * 2, config_.reconnect_delay_max);
  }
  return {};
}

Status ProposerDriver::run_session(Task& task, Link& link) {
  std::unique_ptr<Stream> stream;
  {
    Deadline deadline(task, config_.connect_timeout);
    TRY_ASSIGN(stream, env_.network().connect(task, Address::tcp(link.member.host, link.member.port)));
  }
  link.queue.clear();
  link.stream = stream.get();
  Status status = apply(task, proposer_.on_connected(link.id));
  if (status.ok()) {
    Scope session(task);
    session.spawn("read from safekeeper " + to_string(link.id),
                  [&](Task& t) { return read_messages(t, link, *stream); });
    session.spawn("write to safekeeper " + to_string(link.id),
                  [&](Task& t) { return write_messages(t, link, *stream); });
    status = session.join(task);
  }
  link.stream = nullptr;
  stream->close();
  proposer_.on_disconnected(link.id);
  return status;
}

Status ProposerDriver::read_messages(Task& task, Link& link, Stream& stream) {
  wire::BufferedReader in(stream);
  wire::FrameReader frames(in);
  uint64_t messages_left =
      env_.buggify("proposer.drops-a-link"_rare) ? env_.random("proposer.drop").between(1, 500) : UINT64_MAX;
  for (;;) {
    if (messages_left-- == 0) return Error(Code::Disconnected, "the proposer ends the connection");
    std::optional<consensus::AcceptorMessage> message;
    {
      Deadline deadline(task, config_.silence_timeout);
      TRY_ASSIGN(wire::Frame frame, frames.read(task));
      TRY_ASSIGN(message, consensus::parse_acceptor_message(frame));
    }
    Lsn known = proposer_.commit_known();
    TRY(apply(task, proposer_.on_message(link.id, *message)));
    if (proposer_.commit_known() > known || env_.buggify("proposer.spurious-wakeup"_rare)) changed();
    if (link.stream == nullptr) return link.close_reason;
  }
}

Status ProposerDriver::write_messages(Task& task, Link& link, Stream& stream) {
  wire::BufferedWriter out(stream);
  std::unique_ptr<OldWalReader> old_wal;
  argon::append(out.buffer(), wire::kHello);
  MonotonicTime last_sent = env_.now();
  for (;;) {
    while (!link.queue.empty()) {
      consensus::encode_message(out.buffer(), link.queue.front());
      link.queue.pop_front();
    }
    bool hold = holds_commit(link);
    while (!hold && out.pending() < kSendBatch) {
      size_t most = env_.buggify("proposer.small-append"_rare) ? kSmallAppend : config_.append_bytes_max;
      std::optional<consensus::Append> next = proposer_.next_append(link.id, most);
      if (!next) break;
      consensus::WalCheck check;
      TRY_ASSIGN(Bytes wal, wal_for(task, link, *next, old_wal, check));
      consensus::encode_message(out.buffer(), consensus::ProposerMessage(next->request(check, wal)));
    }
    bool idle = out.pending() == 0 && env_.now() - last_sent >= config_.heartbeat_interval;
    if (idle || std::exchange(link.ask, false) || env_.buggify("proposer.asks-early"_rare)) {
      std::optional<consensus::Append> beat = proposer_.heartbeat(link.id);
      last_sent = env_.now();
      if (beat)
        consensus::encode_message(out.buffer(),
                                  consensus::ProposerMessage(beat->request(consensus::WalCheck(), {})));
    }
    if (out.pending() > 0) {
      Deadline deadline(task, config_.silence_timeout);
      TRY(out.flush(task));
      last_sent = env_.now();
      continue;
    }
    MonotonicTime due = last_sent + config_.heartbeat_interval;
    Deadline deadline(task, hold ? std::min(due, *link.commit_due) : due);
    Status woken = link.wake.wait(task);
    if (!woken.ok() && !woken.is(Code::TimedOut)) return woken;
  }
}

// Under load WAL follows at once: a message less for each commit, here and at the safekeepers.
bool ProposerDriver::holds_commit(Link& link) {
  bool commit_alone = proposer_.has_append(link.id) && !proposer_.has_wal_for(link.id);
  if (!commit_alone || link.ask) {
    link.commit_due.reset();
    return false;
  }
  if (!link.commit_due) link.commit_due = env_.now() + config_.commit_pause;
  return env_.now() < *link.commit_due;
}

// The bytes of one append: from the buffer where it has them, else from a safekeeper that does.
Result<Bytes> ProposerDriver::wal_for(Task& task, Link& link, const consensus::Append& append,
                                      std::unique_ptr<OldWalReader>& old_wal, consensus::WalCheck& check) {
  if (append.begin == append.end) return Bytes();
  if (buffer_ && buffer_->begin() <= append.begin) {
    check = buffer_->check_at(append.begin);
    return buffer_->read(append.begin, append.end - append.begin);
  }
  Result<Bytes> wal = old_wal_for(task, link, append, old_wal);
  env_.probe(wal.ok() ? "proposer.filled-up-from-donor"_probe : "proposer.donor-failed"_probe);
  if (!wal.ok()) link.donor_failures++;
  return wal;
}

Result<Bytes> ProposerDriver::old_wal_for(Task& task, const Link& link, const consensus::Append& append,
                                          std::unique_ptr<OldWalReader>& old_wal) {
  if (!old_wal || old_wal->position() != append.begin) {
    std::vector<consensus::Member> donors = donors_for(link, append.end);
    if (donors.empty())
      return Error(Code::Unavailable, "no safekeeper has the WAL before " + to_string(append.end) +
                                          " that safekeeper " + to_string(link.id) + " lacks");
    uint64_t turn = link.donor_failures + (env_.buggify("proposer.other-donor"_rare) ? 1 : 0);
    const consensus::Member& donor = donors[turn % donors.size()];
    TRY_ASSIGN(old_wal, OldWalReader::open(task, Address::tcp(donor.host, donor.port), config_.proposer.id,
                                           append.begin, proposer_.term(), config_.connect_timeout));
  }
  return old_wal->read(task, append.end - append.begin, config_.silence_timeout);
}

// Those who have the WAL before `end`; first those who are connected, since the others may be gone.
std::vector<consensus::Member> ProposerDriver::donors_for(const Link& link, Lsn end) const {
  std::vector<NodeId> ids;
  for (const auto& [id, flushed] : proposer_.acknowledged())
    if (flushed >= end) ids.push_back(id);
  if (end <= proposer_.start())
    for (NodeId id : proposer_.donors())
      if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  auto connected = [this](NodeId id) {
    auto found = links_.find(id);
    return found != links_.end() && found->second->stream != nullptr;
  };
  std::vector<consensus::Member> donors;
  for (bool wanted : {true, false})
    for (NodeId id : ids)
      if (connected(id) == wanted && id != link.id && proposer_.configuration().contains(id))
        donors.push_back(*proposer_.configuration().find(id));
  return donors;
}

Status ProposerDriver::apply(Task& task, consensus::ProposerEffects effects) {
  for (size_t i = 0; i < effects.size(); i++) {
    consensus::ProposerEffect effect = std::move(effects[i]);
    if (auto* send = std::get_if<consensus::Send>(&effect)) {
      auto found = links_.find(send->to);
      if (found == links_.end() || found->second->stream == nullptr) continue;
      Link& link = *found->second;
      if (link.queue.size() >= kQueueMax) {
        env_.probe("proposer.member-does-not-read"_probe);
        return Error(Code::Disconnected, "the safekeeper does not read");
      }
      link.queue.push_back(std::move(send->message));
      link.wake.notify_all();
    } else if (std::get_if<consensus::Reconfigured>(&effect) != nullptr) {
      reconcile_links();
      for (auto& [id, link] : links_) {
        link->close_reason = Error(Code::Disconnected, "the safekeepers' configuration changed");
        if (link->stream != nullptr) link->stream->close();
        link->wake.notify_all();
      }
    } else if (auto* persist = std::get_if<consensus::PersistTerm>(&effect)) {
      // The win is the proposer's, not this link's: a link that ends meanwhile must not leave it undecided.
      Uninterruptible whole(task);
      Status stored = persist_term_(task, persist->term, persist->start).with("store the won term");
      if (!stored.ok()) {
        lose(persist->term, stored.error());
        return stored;
      }
      consensus::ProposerEffects more = proposer_.on_term_persisted();
      effects.insert(effects.end(), std::make_move_iterator(more.begin()),
                     std::make_move_iterator(more.end()));
    } else if (auto* elected = std::get_if<consensus::Elected>(&effect)) {
      log_.info("elected in term {}, start {}", to_string(elected->term), to_string(elected->start));
      buffer_ = std::make_unique<WalBuffer>(elected->start, elected->start_check,
                                            config_.proposer.server.wal_segment_size);
      elected_ = *elected;
    } else if (std::get_if<consensus::StartCommitted>(&effect) != nullptr) {
      start_committed_ = true;
      committed_ = std::max(committed_, proposer_.start());
      changed();
    } else if (auto* commit = std::get_if<consensus::CommitAdvanced>(&effect)) {
      committed_ = std::max(committed_, commit->commit);
      trim();
      changed();
    } else if (auto* feedback = std::get_if<consensus::FeedbackReceived>(&effect)) {
      heard(*feedback);
    } else if (auto* close = std::get_if<consensus::CloseLink>(&effect)) {
      auto found = links_.find(close->to);
      if (found == links_.end() || found->second->stream == nullptr) continue;
      found->second->close_reason = close->reason;
      found->second->stream->close();
      found->second->stream = nullptr;
    } else if (auto* down = std::get_if<consensus::SteppedDown>(&effect)) {
      lose(down->seen, down->reason);
    }
  }
  wake_links();
  return {};
}

void ProposerDriver::heard(const consensus::FeedbackReceived& feedback) {
  if (!feedback.pageserver) return;
  PageserverPositions before = pageserver_;
  pageserver_.last_received = std::max(pageserver_.last_received, feedback.pageserver->last_received);
  pageserver_.disk_consistent = std::max(pageserver_.disk_consistent, feedback.pageserver->disk_consistent);
  pageserver_.remote_consistent =
      std::max(pageserver_.remote_consistent, feedback.pageserver->remote_consistent);
  if (uint64_t bytes = feedback.pageserver->current_timeline_size; bytes > 0)
    pageserver_.timeline_bytes = bytes;
  if (pageserver_ != before) changed();
}

void ProposerDriver::lose(Term seen, const Error& reason) {
  if (!lost_.ok()) return;
  env_.probe(start_committed_ ? "proposer.stepped-down"_probe : "proposer.election-lost"_probe);
  log_.info("stepped down: {}", reason.to_string());
  lost_ = reason;
  seen_term_ = seen;
  for (auto& [id, link] : links_) {
    if (link->stream != nullptr) link->stream->close();
    link->wake.notify_all();
  }
  lost_waiters_.notify_all();
  changed();
}

void ProposerDriver::wake_links() {
  for (auto& [id, link] : links_)
    if (!link->queue.empty() || link->ask || proposer_.has_append(id)) link->wake.notify_all();
}

void ProposerDriver::changed() {
  changes_++;
  change_waiters_.notify_all();
}

// Keeps what is not committed, and of the rest what some member still lacks, up to the limit.
void ProposerDriver::trim() {
  if (!buffer_) return;
  Lsn keep = std::min(std::max(proposer_.truncate(), buffer_->begin()), buffer_->end());
  uint64_t limit = env_.buggify("proposer.trims-early"_rare) ? 0 : config_.buffer_limit;
  if (buffer_->end() - keep > limit) {
    keep = std::max(keep, std::min(committed_, buffer_->end() - limit));
    if (keep > std::max(proposer_.truncate(), buffer_->begin()))
      env_.probe("proposer.trimmed-what-a-member-lacks"_probe);
  }
  buffer_->discard_before(std::min(keep, std::max(committed_, buffer_->begin())));
}

}  // namespace argon::compute
