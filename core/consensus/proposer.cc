#include "core/consensus/proposer.h"

#include <algorithm>

#include "core/base/codec.h"

namespace argon::consensus {

AppendRequest Append::request(WalCheck check, ByteView wal) const {
  CHECK(wal.size() == end - begin);
  return {generation, term, begin, commit, truncate, check, wal};
}

Proposer::Proposer(ProposerConfig config) : config_(std::move(config)) {
  CHECK(config_.configuration.validate().ok(), to_string(config_.configuration));
  for (NodeId id : config_.configuration.ids()) peers_[id];
}

std::set<NodeId> Proposer::peers_where(bool (*holds)(const Peer&)) const {
  std::set<NodeId> found;
  for (const auto& [id, peer] : peers_)
    if (holds(peer)) found.insert(id);
  return found;
}

void Proposer::step_down(Term seen, Error reason, ProposerEffects& out) {
  if (phase_ == Phase::SteppedDown) return;
  phase_ = Phase::SteppedDown;
  out.push_back(SteppedDown{std::max(seen, term_), std::move(reason)});
}

void Proposer::close(NodeId to, Peer& peer, Error reason, ProposerEffects& out) {
  peer.link = Link::Offline;
  out.push_back(CloseLink{to, std::move(reason)});
}

// ---- links

ProposerEffects Proposer::on_connected(NodeId member) {
  ProposerEffects out;
  auto found = peers_.find(member);
  if (phase_ == Phase::SteppedDown || found == peers_.end()) return out;
  found->second.link = Link::Greeting;
  out.push_back(Send{
      member, ProposerGreeting{config_.id, config_.configuration, config_.server, config_.allow_creation}});
  return out;
}

void Proposer::on_disconnected(NodeId member) {
  if (auto found = peers_.find(member); found != peers_.end()) found->second.link = Link::Offline;
}

ProposerEffects Proposer::on_message(NodeId from, const AcceptorMessage& message) {
  ProposerEffects out;
  auto found = peers_.find(from);
  if (phase_ == Phase::SteppedDown || found == peers_.end()) return out;
  Peer& peer = found->second;
  if (peer.link == Link::Offline) return out;  // a message that was under way when the link was dropped
  if (const auto* greeting = std::get_if<AcceptorGreeting>(&message)) greeted(from, peer, *greeting, out);
  if (const auto* response = std::get_if<VoteResponse>(&message)) answered(from, peer, *response, out);
  if (const auto* response = std::get_if<AppendResponse>(&message)) acknowledge(from, peer, *response, out);
  if (const auto* refusal = std::get_if<Refusal>(&message))
    close(from, peer, Error(refusal->code, refusal->text), out);
  return out;
}

// ---- collecting terms

void Proposer::greeted(NodeId from, Peer& peer, const AcceptorGreeting& greeting, ProposerEffects& out) {
  if (peer.link != Link::Greeting || greeting.node != from) {
    close(from, peer,
          Error(Code::Invalid, "safekeeper " + to_string(greeting.node) + " answers as " + to_string(from)),
          out);
    return;
  }
  if (greeting.configuration.generation > config_.configuration.generation) {
    adopt(greeting.configuration, out);
    return;
  }
  if (!greeting.configuration.same_members(config_.configuration)) {
    close(
        from, peer,
        Error(Code::Invalid, "safekeeper " + to_string(from) + " keeps " + to_string(greeting.configuration) +
                                 ", wanted is " + to_string(config_.configuration)),
        out);
    return;
  }
  peer.link = Link::Greeted;
  peer.term = greeting.term;
  peer.timeline_start = greeting.timeline_start;
  if (phase_ == Phase::CollectingTerms) {
    campaign_if_quorum(out);
  } else if (greeting.term > term_) {
    step_down(greeting.term,
              Error(Code::Stale, "safekeeper " + to_string(from) + " is in term " + to_string(greeting.term)),
              out);
  } else {
    ask_vote(from, peer, out);
  }
}

ProposerEffects Proposer::on_configuration(const Configuration& decided) {
  ProposerEffects out;
  if (phase_ != Phase::SteppedDown && decided.generation > config_.configuration.generation)
    adopt(decided, out);
  return out;
}

void Proposer::adopt(const Configuration& configuration, ProposerEffects& out) {
  bool may = phase_ == Phase::CollectingTerms || phase_ == Phase::Leading;
  if (Status valid = configuration.validate(); !valid.ok() || !may) {
    step_down(term_, Error(Code::Stale, "another configuration is in force: " + to_string(configuration)),
              out);
    return;
  }
  config_.configuration = configuration;
  committed_earlier_ = commit_;
  // Everybody greets anew, so that the new generation reaches all before anything is asked. What a member has
  // acknowledged in our term it still has; when the terms are not collected yet, nothing that was said
  // counts.
  std::map<NodeId, Peer> before = std::exchange(peers_, {});
  for (NodeId id : configuration.ids()) {
    Peer& peer = peers_[id];
    if (phase_ == Phase::Leading && before.contains(id)) peer.acked = before.at(id).acked;
  }
  out.push_back(Reconfigured{configuration});
}

void Proposer::campaign_if_quorum(ProposerEffects& out) {
  if (!config_.configuration.is_quorum(peers_where([](const Peer& p) { return p.link == Link::Greeted; })))
    return;
  Term highest = config_.min_term;
  for (const auto& [id, peer] : peers_) highest = std::max(highest, peer.term);
  term_ = Term(highest.value + 1);
  phase_ = Phase::Campaigning;
  for (auto& [id, peer] : peers_)
    if (peer.link == Link::Greeted) ask_vote(id, peer, out);
}

void Proposer::ask_vote(NodeId to, Peer& peer, ProposerEffects& out) {
  peer.link = Link::Voting;
  out.push_back(Send{to, VoteRequest{config_.configuration.generation, term_}});
}

// ---- campaign

void Proposer::answered(NodeId from, Peer& peer, const VoteResponse& response, ProposerEffects& out) {
  if (response.term > term_) {
    step_down(response.term,
              Error(Code::Stale, "safekeeper " + to_string(from) + " is in term " + to_string(response.term)),
              out);
    return;
  }
  if (peer.link != Link::Voting || response.term != term_ ||
      response.generation != config_.configuration.generation || !response.history.validate().ok()) {
    close(from, peer, Error(Code::Invalid, "vote that was not asked for"), out);
    return;
  }
  peer.link = Link::Voted;
  peer.vote = response;
  if (phase_ == Phase::Leading) {
    send_elected(from, peer, out);
    return;
  }
  if (phase_ != Phase::Campaigning) return;
  // Refused in our own term: somebody else has the vote, or our request came twice. Either way
  // this term may be lost, and a new attempt in a higher one is safe.
  if (!response.given && !peer.vote_given) {
    step_down(term_,
              Error(Code::Stale,
                    "safekeeper " + to_string(from) + " has voted in term " + to_string(term_) + " already"),
              out);
    return;
  }
  peer.vote_given = true;
  win_if_quorum(out);
}

void Proposer::win_if_quorum(ProposerEffects& out) {
  if (!config_.configuration.is_quorum(peers_where([](const Peer& p) { return p.vote_given; }))) return;
  if (Status chosen = choose_start(); !chosen.ok()) {
    step_down(term_, chosen.error(), out);
    return;
  }
  phase_ = Phase::PersistingTerm;
  out.push_back(PersistTerm{term_, start_});
}

// The log of the voter with the highest (last term, flush) holds everything committed.
Status Proposer::choose_start() {
  const VoteResponse* best = nullptr;
  for (const auto& [id, peer] : peers_) {
    if (!peer.vote_given || !peer.vote->local_start.valid()) continue;
    const VoteResponse& vote = *peer.vote;
    if (vote.history.empty())
      return Error(Code::Corrupt, "safekeeper " + to_string(id) + " has WAL without history");
    if (best != nullptr) {
      auto theirs = std::pair(vote.history.last_term(), vote.flush);
      auto bests = std::pair(best->history.last_term(), best->flush);
      if (theirs == bests && best->check.contradicts(vote.check))
        return Error(Code::Corrupt, "safekeepers " + to_string(donor_) + " and " + to_string(id) +
                                        " have different WAL before " + to_string(vote.flush));
      if (theirs <= bests) continue;
    }
    best = &vote;
    donor_ = id;
  }
  if (best != nullptr) {
    start_ = best->flush;
    start_check_ = best->check;
    oldest_ = best->local_start;
    history_ = best->history.with({term_, start_});
    return {};
  }
  for (const auto& [id, peer] : peers_)
    if (peer.timeline_start.valid()) config_.bootstrap_start = peer.timeline_start;
  if (!config_.bootstrap_start.valid())
    return Error(Code::Invalid,
                 "no safekeeper of the quorum has WAL of this timeline, and where it starts is not known");
  start_ = oldest_ = config_.bootstrap_start;
  start_check_ = first_check(start_);
  history_ = TermHistory({{Term(0), start_}, {term_, start_}});
  return {};
}

ProposerEffects Proposer::on_term_persisted() {
  ProposerEffects out;
  if (phase_ == Phase::SteppedDown) return out;
  CHECK(phase_ == Phase::PersistingTerm);
  phase_ = Phase::Leading;
  wal_end_ = start_;
  Term previous = history_.entries()[history_.entries().size() - 2].term;
  out.push_back(Elected{term_, start_, previous, start_check_, donor_, history_});
  for (auto& [id, peer] : peers_) {
    if (phase_ != Phase::Leading) break;
    if (peer.link == Link::Voted) send_elected(id, peer, out);
  }
  return out;
}

// ---- leading

void Proposer::send_elected(NodeId to, Peer& peer, ProposerEffects& out) {
  const VoteResponse& vote = *peer.vote;
  Lsn from = oldest_;
  if (vote.local_start.valid()) {
    auto common = common_point(history_, vote.history, vote.flush);
    if (!common.ok()) {
      close(to, peer, common.error(), out);
      return;
    }
    from = *common;
    if (from == vote.flush && from == start_ && start_check_.contradicts(vote.check)) {
      close(
          to, peer,
          Error(Code::Corrupt, "safekeeper " + to_string(to) + " has other WAL before " + to_string(start_)),
          out);
      return;
    }
  }
  peer.link = Link::Streaming;
  peer.next = from;
  peer.sent_commit = Lsn();
  WalCheck check = from == start_ ? start_check_ : WalCheck{};
  out.push_back(Send{to, ProposerElected{config_.configuration.generation, term_, from, history_, check}});
}

void Proposer::acknowledge(NodeId from, Peer& peer, const AppendResponse& response, ProposerEffects& out) {
  if (response.term > term_) {
    step_down(response.term,
              Error(Code::Stale, "safekeeper " + to_string(from) + " is in term " + to_string(response.term)),
              out);
    return;
  }
  if (peer.link != Link::Streaming || response.term != term_ || response.flush > peer.next ||
      response.generation != config_.configuration.generation) {
    close(from, peer, Error(Code::Invalid, "acknowledgement of WAL that was not sent"), out);
    return;
  }
  peer.acked = std::max(peer.acked, response.flush);
  peer.known_commit = std::max(peer.known_commit, response.commit);
  advance_commit(out);
  if (response.pageserver || response.standby != HotStandbyFeedback{})
    out.push_back(FeedbackReceived{from, response.standby, response.pageserver});
}

Lsn Proposer::quorum_has(Lsn Peer::* position) const {
  auto majority_has = [&](const std::vector<Member>& members) {
    std::vector<Lsn> reached;
    for (const Member& member : members) {
      Lsn lsn = peers_.at(member.id).*position;
      reached.push_back(lsn >= start_ ? lsn : Lsn());
    }
    std::sort(reached.begin(), reached.end());
    return reached[(reached.size() - 1) / 2];
  };
  Lsn reached = majority_has(config_.configuration.members);
  if (config_.configuration.joint())
    reached = std::min(reached, majority_has(config_.configuration.new_members));
  return reached;
}

void Proposer::advance_commit(ProposerEffects& out) {
  Lsn reached = quorum_has(&Peer::acked);
  Lsn everywhere = Lsn::max();
  for (const auto& [id, peer] : peers_) everywhere = std::min(everywhere, peer.acked);
  if (reached > commit_) {
    bool first = !commit_.valid();
    commit_ = reached;
    if (first) out.push_back(StartCommitted{start_});
    out.push_back(CommitAdvanced{commit_});
  }
  truncate_ = std::max(truncate_, std::min(everywhere, commit_));
}

void Proposer::on_wal(Lsn end) {
  if (phase_ == Phase::SteppedDown) return;
  CHECK(leading() && commit_.valid() && end >= wal_end_);
  wal_end_ = end;
}

bool Proposer::has_append(NodeId member) const {
  auto found = peers_.find(member);
  if (!leading() || found == peers_.end() || found->second.link != Link::Streaming) return false;
  const Peer& peer = found->second;
  return peer.next != wal_end_ || peer.sent_commit != commit_;
}

bool Proposer::has_wal_for(NodeId member) const {
  return has_append(member) && peers_.at(member).next != wal_end_;
}

std::optional<Append> Proposer::next_append(NodeId member, size_t limit) {
  if (!has_append(member)) return {};
  Peer& peer = peers_.at(member);
  Lsn border = peer.next < start_ ? start_ : wal_end_;
  uint64_t bytes = std::min<uint64_t>({border - peer.next, limit, kAppendBytesMax});
  Append append{config_.configuration.generation, term_, peer.next, peer.next + bytes, commit_, truncate_};
  peer.next = append.end;
  peer.sent_commit = commit_;
  return append;
}

std::optional<Append> Proposer::heartbeat(NodeId member) {
  auto found = peers_.find(member);
  if (!leading() || found == peers_.end() || found->second.link != Link::Streaming) return {};
  Lsn next = found->second.next;
  return Append{config_.configuration.generation, term_, next, next, commit_, truncate_};
}

std::vector<NodeId> Proposer::donors() const {
  std::vector<NodeId> found;
  if (peers_.contains(donor_)) found.push_back(donor_);
  for (const auto& [id, peer] : peers_)
    if (id != donor_ && start_.valid() && peer.acked >= start_) found.push_back(id);
  return found;
}

std::map<NodeId, Lsn> Proposer::acknowledged() const {
  std::map<NodeId, Lsn> acked;
  for (const auto& [id, peer] : peers_)
    if (peer.acked.valid()) acked[id] = peer.acked;
  return acked;
}

void Proposer::fingerprint(Bytes& out) const {
  Writer w(out);
  w.u8(static_cast<uint8_t>(phase_)).be(term_.value).be(start_.value).be(wal_end_.value).be(commit_.value);
  w.be(committed_earlier_.value)
      .be(truncate_.value)
      .be(config_.configuration.generation.value)
      .be(donor_.value)
      .be(oldest_.value);
  w.be(config_.min_term.value)
      .be(config_.bootstrap_start.value)
      .be(start_check_.from.value)
      .be(start_check_.crc);
  for (const TermStart& entry : history_.entries()) w.be(entry.term.value).be(entry.start.value);
  for (const auto& [id, peer] : peers_) {
    w.be(id.value).u8(static_cast<uint8_t>(peer.link)).be(peer.term.value).u8(peer.vote_given);
    w.be(peer.timeline_start.value).u8(peer.vote.has_value());
    w.be(peer.next.value).be(peer.acked.value).be(peer.sent_commit.value);
    if (!peer.vote) continue;
    w.be(peer.vote->flush.value).be(peer.vote->local_start.value).be(peer.vote->check.from.value);
    w.be(peer.vote->check.crc);
    for (const TermStart& entry : peer.vote->history.entries()) w.be(entry.term.value).be(entry.start.value);
  }
}

}  // namespace argon::consensus
