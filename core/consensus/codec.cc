#include "core/consensus/codec.h"

#include "core/base/codec.h"
#include "core/wire/safekeeper.pb.h"

namespace argon::consensus {
namespace {

namespace proto = wire::proto;

Error broken(std::string_view what) {
  return Error(Code::Corrupt, "malformed " + std::string(what));
}

void put(proto::Configuration& to, const Configuration& from) {
  to.set_generation(from.generation.value);
  auto put_member = [](proto::Member* member, const Member& m) {
    member->set_id(m.id.value);
    member->set_host(m.host);
    member->set_port(m.port);
  };
  for (const Member& m : from.members) put_member(to.add_members(), m);
  for (const Member& m : from.new_members) put_member(to.add_new_members(), m);
}

Result<Configuration> get(const proto::Configuration& from) {
  Configuration to;
  to.generation = ConfigurationGeneration(from.generation());
  auto take = [](const auto& members, std::vector<Member>& out) {
    for (const proto::Member& m : members)
      out.push_back({NodeId(m.id()), m.host(), static_cast<uint16_t>(m.port())});
  };
  take(from.members(), to.members);
  take(from.new_members(), to.new_members);
  TRY(to.validate());
  return to;
}

template <typename Message>
void put_history(Message& to, const TermHistory& history) {
  for (const TermStart& entry : history.entries()) {
    proto::TermStart* added = to.add_history();
    added->set_term(entry.term.value);
    added->set_start(entry.start.value);
  }
}

template <typename Message>
Result<TermHistory> get_history(const Message& from) {
  std::vector<TermStart> entries;
  for (const proto::TermStart& entry : from.history())
    entries.push_back({Term(entry.term()), Lsn(entry.start())});
  TermHistory history(std::move(entries));
  TRY(history.validate());
  return history;
}

template <typename Message>
void put_check(Message& to, const WalCheck& check) {
  if (!check.known()) return;
  to.mutable_check()->set_from(check.from.value);
  to.mutable_check()->set_crc(check.crc);
}

template <typename Message>
WalCheck get_check(const Message& from) {
  return {Lsn(from.check().from()), from.check().crc()};
}

void put_frame(Bytes& out, FrameType type, const google::protobuf::MessageLite& message) {
  std::string payload = message.SerializeAsString();
  wire::encode_frame(out, static_cast<uint8_t>(type), as_bytes(payload));
}

template <typename Message>
bool take(Message& message, const wire::Frame& frame) {
  return message.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()));
}

template <typename Id>
bool take_id(Id& id, const std::string& bytes) {
  if (bytes.size() != id.bytes.size()) return false;
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return true;
}

// ---- proposer's messages

void put_message(Bytes& out, const ProposerGreeting& m) {
  proto::ProposerGreeting p;
  p.set_tenant_id(m.id.tenant.bytes.data(), m.id.tenant.bytes.size());
  p.set_timeline_id(m.id.timeline.bytes.data(), m.id.timeline.bytes.size());
  put(*p.mutable_configuration(), m.configuration);
  p.set_pg_version(m.server.pg_version);
  p.set_system_id(m.server.system_id);
  p.set_wal_segment_size(m.server.wal_segment_size);
  p.set_allow_creation(m.allow_creation);
  put_frame(out, FrameType::ProposerGreeting, p);
}

Result<ProposerMessage> get_greeting(const wire::Frame& frame) {
  proto::ProposerGreeting p;
  ProposerGreeting m;
  if (!take(p, frame) || !take_id(m.id.tenant, p.tenant_id()) || !take_id(m.id.timeline, p.timeline_id()))
    return broken("ProposerGreeting");
  TRY_ASSIGN(m.configuration, get(p.configuration()));
  m.server = {p.pg_version(), p.system_id(), p.wal_segment_size()};
  m.allow_creation = p.allow_creation();
  return ProposerMessage(std::move(m));
}

void put_message(Bytes& out, const VoteRequest& m) {
  proto::VoteRequest p;
  p.set_generation(m.generation.value);
  p.set_term(m.term.value);
  put_frame(out, FrameType::VoteRequest, p);
}

Result<ProposerMessage> get_vote_request(const wire::Frame& frame) {
  proto::VoteRequest p;
  if (!take(p, frame)) return broken("VoteRequest");
  return ProposerMessage(VoteRequest{ConfigurationGeneration(p.generation()), Term(p.term())});
}

void put_message(Bytes& out, const ProposerElected& m) {
  proto::ProposerElected p;
  p.set_generation(m.generation.value);
  p.set_term(m.term.value);
  p.set_start_streaming_at(m.start_streaming_at.value);
  put_history(p, m.history);
  put_check(p, m.check);
  put_frame(out, FrameType::ProposerElected, p);
}

Result<ProposerMessage> get_elected(const wire::Frame& frame) {
  proto::ProposerElected p;
  if (!take(p, frame)) return broken("ProposerElected");
  ProposerElected m;
  m.generation = ConfigurationGeneration(p.generation());
  m.term = Term(p.term());
  m.start_streaming_at = Lsn(p.start_streaming_at());
  TRY_ASSIGN(m.history, get_history(p));
  m.check = get_check(p);
  return ProposerMessage(std::move(m));
}

void put_message(Bytes& out, const AppendRequest& m) {
  CHECK(m.wal.size() <= kAppendBytesMax);
  Bytes head;
  Writer w(head);
  w.be(m.generation.value).be(m.term.value).be(m.begin.value).be(m.end().value);
  w.be(m.commit.value).be(m.truncate.value).be(m.check.from.value).be(m.check.crc);
  CHECK(head.size() == kAppendHeader);
  wire::encode_frame(out, static_cast<uint8_t>(FrameType::AppendRequest), head, m.wal);
}

Result<ProposerMessage> get_append(const wire::Frame& frame) {
  Reader r(frame.payload);
  AppendRequest m;
  m.generation = ConfigurationGeneration(r.be<uint32_t>());
  m.term = Term(r.be<uint64_t>());
  m.begin = Lsn(r.be<uint64_t>());
  Lsn end(r.be<uint64_t>());
  m.commit = Lsn(r.be<uint64_t>());
  m.truncate = Lsn(r.be<uint64_t>());
  m.check.from = Lsn(r.be<uint64_t>());
  m.check.crc = r.be<uint32_t>();
  if (r.failed()) return broken("AppendRequest");
  m.wal = r.rest();
  if (m.wal.size() > kAppendBytesMax || end < m.begin || end - m.begin != m.wal.size())
    return broken("AppendRequest: " + std::to_string(m.wal.size()) + " bytes of WAL for " +
                  to_string(m.begin) + " to " + to_string(end));
  return ProposerMessage(m);
}

// ---- acceptor's messages

void put_message(Bytes& out, const AcceptorGreeting& m) {
  proto::AcceptorGreeting p;
  p.set_node(m.node.value);
  put(*p.mutable_configuration(), m.configuration);
  p.set_term(m.term.value);
  p.set_timeline_start(m.timeline_start.value);
  put_frame(out, FrameType::AcceptorGreeting, p);
}

Result<AcceptorMessage> get_acceptor_greeting(const wire::Frame& frame) {
  proto::AcceptorGreeting p;
  if (!take(p, frame)) return broken("AcceptorGreeting");
  AcceptorGreeting m{NodeId(p.node()), {}, Term(p.term()), Lsn(p.timeline_start())};
  TRY_ASSIGN(m.configuration, get(p.configuration()));
  return AcceptorMessage(std::move(m));
}

void put_message(Bytes& out, const VoteResponse& m) {
  proto::VoteResponse p;
  p.set_generation(m.generation.value);
  p.set_term(m.term.value);
  p.set_given(m.given);
  p.set_local_start(m.local_start.value);
  p.set_flush(m.flush.value);
  p.set_commit(m.commit.value);
  p.set_truncate(m.truncate.value);
  put_history(p, m.history);
  put_check(p, m.check);
  put_frame(out, FrameType::VoteResponse, p);
}

Result<AcceptorMessage> get_vote(const wire::Frame& frame) {
  proto::VoteResponse p;
  if (!take(p, frame)) return broken("VoteResponse");
  VoteResponse m;
  m.generation = ConfigurationGeneration(p.generation());
  m.term = Term(p.term());
  m.given = p.given();
  m.local_start = Lsn(p.local_start());
  m.flush = Lsn(p.flush());
  m.commit = Lsn(p.commit());
  m.truncate = Lsn(p.truncate());
  TRY_ASSIGN(m.history, get_history(p));
  m.check = get_check(p);
  return AcceptorMessage(std::move(m));
}

void put_message(Bytes& out, const AppendResponse& m) {
  proto::AppendResponse p;
  p.set_generation(m.generation.value);
  p.set_term(m.term.value);
  p.set_flush(m.flush.value);
  p.set_commit(m.commit.value);
  if (m.standby != HotStandbyFeedback{}) {
    p.mutable_standby()->set_reply_time(m.standby.reply_time);
    p.mutable_standby()->set_xmin(m.standby.xmin);
    p.mutable_standby()->set_catalog_xmin(m.standby.catalog_xmin);
  }
  if (m.pageserver) {
    proto::PageserverFeedback& feedback = *p.mutable_pageserver();
    feedback.set_current_timeline_size(m.pageserver->current_timeline_size);
    feedback.set_last_received(m.pageserver->last_received.value);
    feedback.set_disk_consistent(m.pageserver->disk_consistent.value);
    feedback.set_remote_consistent(m.pageserver->remote_consistent.value);
    feedback.set_reply_time(m.pageserver->reply_time);
  }
  put_frame(out, FrameType::AppendResponse, p);
}

Result<AcceptorMessage> get_append_response(const wire::Frame& frame) {
  proto::AppendResponse p;
  if (!take(p, frame)) return broken("AppendResponse");
  AppendResponse m;
  m.generation = ConfigurationGeneration(p.generation());
  m.term = Term(p.term());
  m.flush = Lsn(p.flush());
  m.commit = Lsn(p.commit());
  if (p.has_standby()) m.standby = {p.standby().reply_time(), p.standby().xmin(), p.standby().catalog_xmin()};
  if (p.has_pageserver()) {
    const proto::PageserverFeedback& f = p.pageserver();
    m.pageserver = PageserverFeedback{f.current_timeline_size(), Lsn(f.last_received()),
                                      Lsn(f.disk_consistent()), Lsn(f.remote_consistent()), f.reply_time()};
  }
  return AcceptorMessage(std::move(m));
}

// That a task was told to stop, or ran out of time, is said of one's own tasks only: told by a peer it
// would be taken for the receiver's.
Code told_by_a_peer(Code code) {
  return code == Code::Cancelled || code == Code::TimedOut ? Code::Unavailable : code;
}

void put_message(Bytes& out, const Refusal& m) {
  proto::Refusal p;
  p.set_code(static_cast<uint32_t>(told_by_a_peer(m.code)));
  p.set_text(m.text);
  put_frame(out, FrameType::Refusal, p);
}

Result<AcceptorMessage> get_refusal(const wire::Frame& frame) {
  proto::Refusal p;
  if (!take(p, frame) || p.code() > static_cast<uint32_t>(Code::Io)) return broken("Refusal");
  return AcceptorMessage(Refusal{told_by_a_peer(static_cast<Code>(p.code())), p.text()});
}

}  // namespace

void encode_message(Bytes& out, const ProposerMessage& message) {
  std::visit([&](const auto& m) { put_message(out, m); }, message);
}

void encode_message(Bytes& out, const AcceptorMessage& message) {
  std::visit([&](const auto& m) { put_message(out, m); }, message);
}

Result<ProposerMessage> parse_proposer_message(const wire::Frame& frame) {
  switch (static_cast<FrameType>(frame.type)) {
    case FrameType::ProposerGreeting:
      return get_greeting(frame);
    case FrameType::VoteRequest:
      return get_vote_request(frame);
    case FrameType::ProposerElected:
      return get_elected(frame);
    case FrameType::AppendRequest:
      return get_append(frame);
    default:
      return Error(Code::Corrupt, "frame of type " + std::to_string(frame.type) + " from a proposer");
  }
}

Result<AcceptorMessage> parse_acceptor_message(const wire::Frame& frame) {
  switch (static_cast<FrameType>(frame.type)) {
    case FrameType::AcceptorGreeting:
      return get_acceptor_greeting(frame);
    case FrameType::VoteResponse:
      return get_vote(frame);
    case FrameType::AppendResponse:
      return get_append_response(frame);
    case FrameType::Refusal:
      return get_refusal(frame);
    default:
      return Error(Code::Corrupt, "frame of type " + std::to_string(frame.type) + " from a safekeeper");
  }
}

}  // namespace argon::consensus
