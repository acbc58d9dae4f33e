#include "core/consensus/acceptor.h"

#include <algorithm>
#include <map>

#include "core/base/codec.h"

namespace argon::consensus {
namespace {

std::string at(const AcceptorState& state) {
  return "term " + to_string(state.term) + ", " + to_string(state.configuration);
}

}  // namespace

Acceptor::Acceptor(NodeId self, AcceptorState state, WalEnd wal)
    : self_(self),
      state_(std::move(state)),
      write_(wal.flush),
      durable_(wal.flush),
      flush_(wal.flush),
      check_(wal.check),
      flush_check_(wal.check) {
  CHECK(self_ != NodeId(0));
  CHECK(has_wal() == flush_.valid(), "control file and WAL disagree on whether there is WAL");
  CHECK(flush_ >= state_.local_start);
}

AcceptorEffects Acceptor::on_message(ConnectionId from, const ProposerMessage& message) {
  CHECK(!pending_vote_ && !pending_log_, "an input while a flush or truncation is awaited");
  AcceptorEffects out;
  if (const auto* greeting = std::get_if<ProposerGreeting>(&message)) greet(from, *greeting, out);
  if (const auto* request = std::get_if<VoteRequest>(&message)) vote(from, *request, out);
  if (const auto* elected = std::get_if<ProposerElected>(&message)) elect(from, *elected, out);
  if (const auto* request = std::get_if<AppendRequest>(&message)) append(from, *request, out);
  return out;
}

void Acceptor::on_disconnected(ConnectionId connection) {
  if (leader_ == connection) leader_.reset();
}

// ---- greeting and configuration

Status Acceptor::check_server(const ServerInfo& server) const {
  const ServerInfo& ours = state_.server;
  if (ours.pg_version != 0 && server.pg_version / 10'000 != ours.pg_version / 10'000)
    return Error(Code::Invalid, "server version " + std::to_string(server.pg_version) +
                                    ", but the timeline was written by " + std::to_string(ours.pg_version));
  if (ours.wal_segment_size != 0 && server.wal_segment_size != ours.wal_segment_size)
    return Error(Code::Invalid, "WAL segments of " + std::to_string(server.wal_segment_size) +
                                    " bytes, but the timeline's have " +
                                    std::to_string(ours.wal_segment_size));
  if (ours.system_id != 0 && server.system_id != 0 && server.system_id != ours.system_id)
    return Error(Code::Invalid, "system identifier " + std::to_string(server.system_id) +
                                    ", but the timeline's is " + std::to_string(ours.system_id));
  return {};
}

Result<AcceptorEffects> Acceptor::adopt_configuration(const Configuration& configuration) {
  TRY(configuration.validate());
  if (configuration.generation < state_.configuration.generation)
    return Error(Code::Stale, "configuration " + to_string(configuration) + " is older than " +
                                  to_string(state_.configuration));
  AcceptorEffects out;
  if (configuration.generation == state_.configuration.generation) {
    if (!configuration.same_members(state_.configuration))
      return Error(Code::Invalid, "two configurations of one generation: " + to_string(configuration) +
                                      " and " + to_string(state_.configuration));
    return out;
  }
  if (!configuration.contains(self_))
    return Error(Code::Invalid, "safekeeper " + to_string(self_) + " is not in " + to_string(configuration));
  state_.configuration = configuration;
  persist(out);
  return out;
}

AcceptorEffects Acceptor::raise_term(Term term) {
  AcceptorEffects out;
  if (term <= state_.term) return out;
  obey(term);
  persist(out);
  return out;
}

// A higher term: whoever was obeyed in a lower one is no more.
void Acceptor::obey(Term term) {
  state_.term = term;
  leader_.reset();
  following_.reset();
}

void Acceptor::greet(ConnectionId from, const ProposerGreeting& greeting, AcceptorEffects& out) {
  if (Status same = check_server(greeting.server); !same.ok()) {
    out.push_back(CloseConnection{from, same.error()});
    return;
  }
  // An older generation is answered with ours: the proposer then knows better.
  if (greeting.configuration.generation >= state_.configuration.generation) {
    auto adopted = adopt_configuration(greeting.configuration);
    if (!adopted.ok()) {
      out.push_back(CloseConnection{from, adopted.error()});
      return;
    }
    out = *std::move(adopted);
  }
  ServerInfo merged = greeting.server;
  if (merged.system_id == 0) merged.system_id = state_.server.system_id;
  if (merged != state_.server) {
    state_.server = merged;
    persist(out);
  }
  out.push_back(
      Reply{from, AcceptorGreeting{self_, state_.configuration, state_.term, state_.timeline_start}});
}

bool Acceptor::same_generation(ConnectionId from, ConfigurationGeneration generation,
                               AcceptorEffects& out) const {
  if (generation == state_.configuration.generation) return true;
  out.push_back(
      CloseConnection{from, Error(Code::Stale, "message of configuration generation " +
                                                   to_string(generation) + ", here is " + at(state_))});
  return false;
}

// ---- votes

void Acceptor::vote(ConnectionId from, const VoteRequest& request, AcceptorEffects& out) {
  if (!same_generation(from, request.generation, out)) return;
  pending_vote_ = PendingVote{from, request};
  if (unflushed()) {
    out.push_back(FlushWal{.for_vote = true});
    return;
  }
  give_vote(*std::exchange(pending_vote_, std::nullopt), out);
}

void Acceptor::give_vote(const PendingVote& pending, AcceptorEffects& out) {
  bool given = pending.request.term > state_.term;
  if (given) {
    obey(pending.request.term);
    voted_ = state_.term;
    persist(out);
  }
  VoteResponse response;
  response.generation = state_.configuration.generation;
  response.term = state_.term;
  response.given = given;
  response.local_start = state_.local_start;
  response.flush = flush_;
  response.commit = state_.commit;
  response.truncate = truncate_;
  if (has_wal()) response.history = state_.history.up_to(flush_);
  response.check = flush_check_;
  out.push_back(Reply{pending.connection, std::move(response)});
}

// ---- election

Status Acceptor::check_elected(const ProposerElected& elected) const {
  TRY(elected.history.validate());
  if (elected.history.empty() || elected.history.last().term != elected.term)
    return Error(Code::Invalid, "elected in term " + to_string(elected.term) + " with history " +
                                    to_string(elected.history));
  if (state_.timeline_start.valid() && elected.history.first().start != state_.timeline_start)
    return Error(Code::Corrupt, "timeline begins at " + to_string(state_.timeline_start) +
                                    ", for the elected proposer at " +
                                    to_string(elected.history.first().start));
  Lsn start = elected.start_streaming_at;
  if (start < elected.history.first().start || start > elected.history.last().start)
    if (!has_wal())
      return Error(Code::Invalid, "first WAL at " + to_string(start) + " is outside of history " +
                                      to_string(elected.history));
  if (!has_wal()) return {};
  TRY_ASSIGN(Lsn common, common_point(elected.history, state_.history, flush_));
  if (common != start)
    return Error(Code::Unavailable, "elected proposer streams from " + to_string(start) +
                                        ", but the logs part at " + to_string(common) +
                                        "; the proposer must ask for our position anew");
  if (start < state_.commit || start < state_.local_start)
    return Error(Code::Corrupt, "elected proposer of term " + to_string(elected.term) + " cuts at " +
                                    to_string(start) + ", below committed " + to_string(state_.commit));
  return {};
}

void Acceptor::elect(ConnectionId from, const ProposerElected& elected, AcceptorEffects& out) {
  if (!same_generation(from, elected.generation, out)) return;
  if (elected.term < state_.term) {
    AppendResponse refused;
    refused.generation = state_.configuration.generation;
    refused.term = state_.term;
    out.push_back(Reply{from, std::move(refused)});
    return;
  }
  if (Status fits = check_elected(elected); !fits.ok()) {
    out.push_back(CloseConnection{from, fits.error()});
    return;
  }
  if (elected.term > state_.term) {
    obey(elected.term);
    persist(out);
  }
  take_over({from, elected.history, elected.start_streaming_at, elected.check, {}}, out);
}

void Acceptor::take_over(PendingLog log, AcceptorEffects& out) {
  leader_.reset();
  following_.reset();
  Lsn start = log.start;
  pending_log_ = std::move(log);
  bool nothing_to_cut = has_wal() && start == write_ && !unflushed();
  if (!nothing_to_cut) {
    out.push_back(TruncateWal{start, !has_wal()});
    return;
  }
  AcceptorEffects rest = on_truncated(check_);
  out.insert(out.end(), std::make_move_iterator(rest.begin()), std::make_move_iterator(rest.end()));
}

AcceptorEffects Acceptor::on_truncated(WalCheck check) {
  CHECK(pending_log_.has_value());
  PendingLog log = *std::exchange(pending_log_, std::nullopt);
  AcceptorEffects out;
  if (!has_wal()) state_.local_start = log.start;
  write_ = durable_ = flush_ = log.start;
  check_ = flush_check_ = check;
  leader_commit_ = Lsn();
  if (log.proposer && check.contradicts(log.check)) {
    persist(out);
    out.push_back(CloseConnection{
        *log.proposer,
        Error(Code::Corrupt, "WAL before " + to_string(write_) + " differs from the elected proposer's")});
    return out;
  }
  state_.history = std::move(log.history);
  state_.timeline_start = state_.history.first().start;
  leader_ = log.proposer;
  following_ = log.peer_end;
  persist(out);
  if (leader_) out.push_back(Reply{*leader_, response()});
  return out;
}

// ---- append

Status Acceptor::check_append(ConnectionId from, const AppendRequest& request) const {
  if (request.term > state_.term || leader_ != from || state_.history.last_term() != request.term)
    return Error(Code::Invalid, "WAL of term " + to_string(request.term) +
                                    " from a connection that was not elected; here is " + at(state_));
  if (request.wal.size() > kAppendBytesMax)
    return Error(Code::Invalid, std::to_string(request.wal.size()) + " bytes of WAL in one message");
  if (request.begin != write_)
    return Error(Code::Invalid,
                 "WAL from " + to_string(request.begin) + ", expected from " + to_string(write_));
  if (check_.contradicts(request.check))
    return Error(Code::Corrupt, "WAL before " + to_string(write_) +
                                    " differs from the proposer's: checksum " + std::to_string(check_.crc) +
                                    ", sent " + std::to_string(request.check.crc));
  return {};
}

void Acceptor::append(ConnectionId from, const AppendRequest& request, AcceptorEffects& out) {
  if (!same_generation(from, request.generation, out)) return;
  if (request.term < state_.term) {
    AppendResponse refused;
    refused.generation = state_.configuration.generation;
    refused.term = state_.term;
    out.push_back(Reply{from, std::move(refused)});
    return;
  }
  if (Status fits = check_append(from, request); !fits.ok()) {
    out.push_back(CloseConnection{from, fits.error()});
    return;
  }
  if (!request.wal.empty()) {
    out.push_back(WriteWal{write_, request.wal});
    check_ = extend_check(check_, write_, request.wal, state_.server.wal_segment_size);
    write_ += request.wal.size();
  }
  bool news = request.commit > leader_commit_;
  leader_commit_ = std::max(leader_commit_, request.commit);
  truncate_ = std::max(truncate_, request.truncate);
  raise_commit(out);
  // A heartbeat is answered at once, so that the proposer knows we live; WAL when it is flushed. What only
  // tells a new commit position is not answered: another message of ours did, or will.
  if (request.wal.empty() && !news) out.push_back(Reply{from, response()});
}

AcceptorEffects Acceptor::on_flushed(Lsn durable, Lsn record_end) {
  CHECK(flush_ <= record_end && record_end <= durable && durable_ <= durable && durable <= write_,
        "flushed " + to_string(durable) + ", records end at " + to_string(record_end) + ", written " +
            to_string(write_));
  AcceptorEffects out;
  bool moved = record_end > flush_;
  durable_ = durable;
  flush_ = record_end;
  if (flush_ == write_)
    flush_check_ = check_;
  else if (moved)
    flush_check_ = WalCheck{};
  if (moved) {
    raise_commit(out);
    if (leader_) out.push_back(Reply{*leader_, response()});
  }
  if (pending_vote_) {
    CHECK(!unflushed(), "a flush for a vote must cover everything written");
    give_vote(*std::exchange(pending_vote_, std::nullopt), out);
  }
  return out;
}

void Acceptor::raise_commit(AcceptorEffects& out) {
  Lsn reached = std::min(leader_commit_, flush_);
  if (reached <= state_.commit) return;
  state_.commit = reached;
  out.push_back(Committed{reached});
}

AcceptorEffects Acceptor::on_peer_commit(Term last_log_term, Lsn commit) {
  AcceptorEffects out;
  // One term has one proposer, so logs that end in the same term are prefixes of one another.
  if (!has_wal() || last_log_term != this->last_log_term() || pending_vote_ || pending_log_) return out;
  Lsn reached = std::min(commit, flush_);
  if (reached <= state_.commit) return out;
  state_.commit = reached;
  out.push_back(Committed{reached});
  return out;
}

AcceptorEffects Acceptor::on_peer_reports(const std::vector<MemberReport>& peers) {
  AcceptorEffects out;
  Term last = last_log_term();
  if (!has_wal() || last == Term(0) || pending_vote_ || pending_log_) return out;
  std::map<NodeId, Lsn> reached;
  auto count = [&](const MemberReport& r) {
    bool in_that_term = r.term == last && r.position.last_log_term == last;
    if (in_that_term && r.generation == state_.configuration.generation) reached[r.id] = r.position.flush;
  };
  for (const MemberReport& peer : peers) count(peer);
  count({self_, state_.configuration.generation, state_.term, {last, flush_}});
  Lsn committed;
  for (const auto& [id, candidate] : reached) {
    std::set<NodeId> holders;
    for (const auto& [other, flush] : reached)
      if (flush >= candidate) holders.insert(other);
    if (state_.configuration.is_quorum(holders)) committed = std::max(committed, candidate);
  }
  committed = std::min(committed, flush_);
  if (committed <= state_.commit) return out;
  state_.commit = committed;
  out.push_back(Committed{committed});
  return out;
}

// ---- a peer's log

Result<AcceptorEffects> Acceptor::follow_peer(const PeerLog& log) {
  CHECK(!pending_vote_ && !pending_log_, "an input while a flush or truncation is awaited");
  TRY(log.history.validate());
  if (leader_) return Error(Code::Unavailable, "a proposer is elected here");
  if (!has_wal() || log.history.empty()) return Error(Code::Unavailable, "no WAL to go on from");
  // A later proposer's history that its WAL has not reached yet is not given up for an earlier one's.
  if (log.position() <= LogPosition{last_log_term(), flush_} ||
      log.history.last_term() < state_.history.last_term())
    return Error(Code::Stale, "the peer's log is not higher");
  TRY_ASSIGN(Lsn common, common_point(log.history, state_.history, flush_));
  Lsn start = std::min(common, log.flush);
  if (start < state_.commit || start < state_.local_start)
    return Error(Code::Corrupt, "the peer's log parts at " + to_string(start) +
                                    " from what is committed up to " + to_string(state_.commit));
  // Whoever was voted for in a later term may be elected, and count on what it was told is here.
  if (start < flush_ && log.history.last_term() < state_.term)
    return Error(Code::Stale, "the peer's log is of term " + to_string(log.history.last_term()) +
                                  ", and cannot cut what was told in term " + to_string(state_.term));
  AcceptorEffects out;
  if (log.history.last_term() > state_.term) {
    obey(log.history.last_term());
    persist(out);
  }
  take_over({std::nullopt, log.history, start, {}, log.flush}, out);
  return out;
}

Result<AcceptorEffects> Acceptor::on_peer_wal(Lsn at, ByteView wal) {
  CHECK(!pending_vote_ && !pending_log_, "an input while a flush or truncation is awaited");
  if (!following_) return Error(Code::Stale, "a proposer came meanwhile");
  if (at != write_ || wal.size() > *following_ - write_)
    return Error(Code::Invalid, "WAL from " + to_string(at) + ", expected from " + to_string(write_) +
                                    " up to " + to_string(*following_));
  AcceptorEffects out;
  out.push_back(WriteWal{write_, wal});
  check_ = extend_check(check_, write_, wal, state_.server.wal_segment_size);
  write_ += wal.size();
  return out;
}

AppendResponse Acceptor::response() const {
  AppendResponse response;
  response.generation = state_.configuration.generation;
  response.term = state_.term;
  response.flush = flush_;
  response.commit = state_.commit;
  return response;
}

void Acceptor::fingerprint(Bytes& out) const {
  Writer w(out);
  w.be(state_.term.value).be(state_.configuration.generation.value).be(state_.commit.value);
  w.be(state_.local_start.value).be(write_.value).be(durable_.value).be(flush_.value);
  w.be(leader_commit_.value).be(check_.from.value).be(check_.crc).be(leader_ ? leader_->value : 0);
  w.be(flush_check_.from.value).be(flush_check_.crc).be(truncate_.value).be(voted_.value);
  w.be(state_.timeline_start.value).be(state_.server.system_id).be(state_.server.wal_segment_size);
  w.u8(pending_vote_.has_value()).u8(pending_log_.has_value()).be(following_ ? following_->value : 0);
  for (const TermStart& entry : state_.history.entries()) w.be(entry.term.value).be(entry.start.value);
}

}  // namespace argon::consensus
