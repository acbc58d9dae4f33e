// A proposer's connection: one fiber reads and feeds the acceptor, another sends what it answers.

#include "core/consensus/codec.h"
#include "core/env/points.h"
#include "core/safekeeper/wal_service.h"

namespace argon::safekeeper {
namespace {

constexpr size_t kSendAtOnce = 256 * 1024;
constexpr Duration kDrainTimeout = Duration::seconds(2);
constexpr Duration kSendTimeout = Duration::seconds(20);

// Until the replies are closed and sent; then the stream is closed, so that the reader ends too.
Status send_replies(Task& task, Stream& stream, ProposerLink& link) {
  wire::BufferedWriter out(stream);
  Status ended;
  while (ended.ok()) {
    auto message = link.replies.receive(task);
    if (!message.ok()) break;
    consensus::encode_message(out.buffer(), *message);
    consensus::AcceptorMessage more;
    while (out.pending() < kSendAtOnce && link.replies.try_receive(more))
      consensus::encode_message(out.buffer(), more);
    Deadline deadline(task, kSendTimeout);
    ended = out.flush(task);
  }
  stream.close();
  return {};
}

Status refuse(Task& task, Stream& stream, const Error& error) {
  wire::BufferedWriter out(stream);
  consensus::encode_message(out.buffer(),
                            consensus::AcceptorMessage(consensus::Refusal{error.code(), error.message()}));
  Deadline deadline(task, kDrainTimeout);
  ignore_result(out.flush(task));  // best effort: the connection ends anyway
  return error;
}

}  // namespace

Result<std::shared_ptr<Timeline>> WalService::greeted(Task& task,
                                                      const consensus::ProposerGreeting& greeting) {
  auto found = timelines_.use(task, greeting.id);
  if (!found.is(Code::NotFound)) return found;
  if (!greeting.allow_creation || !config_.allow_creation) return found;
  if (greeting.server.wal_segment_size != pg::kWalSegmentSize)
    return Error(Code::Unsupported, "WAL segments of " + std::to_string(greeting.server.wal_segment_size) +
                                        " bytes; only 16 MB ones are supported");
  auto created = timelines_.create(task, greeting.id, greeting.configuration, greeting.server, Lsn());
  return created.is(Code::AlreadyExists) ? timelines_.use(task, greeting.id) : created;
}

// To a proposer that has not heard yet that the members are others.
Status WalService::tell_members(Task& task, Stream& stream, const consensus::Configuration& members) {
  env_.probe("safekeeper.told-members"_probe);
  wire::BufferedWriter out(stream);
  consensus::encode_message(out.buffer(), consensus::AcceptorMessage(consensus::AcceptorGreeting{
                                              config_.id, members, Term(), Lsn()}));
  Deadline deadline(task, kDrainTimeout);
  return out.flush(task);
}

Status WalService::serve_proposer(Task& task, wire::BufferedReader& in, Stream& stream) {
  TRY(wire::expect_hello(task, in));
  wire::FrameReader frames(in);
  consensus::ProposerMessage first;
  {
    Deadline deadline(task, config_.idle_timeout);
    TRY_ASSIGN(wire::Frame frame, frames.read(task));
    TRY_ASSIGN(first, consensus::parse_proposer_message(frame));
  }
  const auto* greeting = std::get_if<consensus::ProposerGreeting>(&first);
  if (greeting == nullptr)
    return refuse(task, stream, Error(Code::Invalid, "the first message must be a greeting"));
  if (const consensus::Configuration* members = timelines_.removed(greeting->id);
      members != nullptr && members->generation > greeting->configuration.generation)
    return tell_members(task, stream, *members);
  auto timeline = greeted(task, *greeting);
  if (!timeline.ok()) return refuse(task, stream, timeline.error());

  ProposerLink link{consensus::ConnectionId(next_link_++)};
  (*timeline)->attach(link);
  Scope scope(task);
  scope.spawn("replies", [&](Task& t) { return send_replies(t, stream, link); });
  Status ended = read_proposer(task, frames, **timeline, link, first);
  (*timeline)->detach(link);
  if (!ended.ok() && !link.replies.closed()) link.refuse(ended.error());
  Deadline deadline(task, kDrainTimeout);
  ignore_result(scope.join(task));
  return ended;
}

Status WalService::read_proposer(Task& task, wire::FrameReader& frames, Timeline& timeline,
                                 ProposerLink& link, const consensus::ProposerMessage& greeting) {
  TRY(timeline.on_message(task, link, greeting));
  for (;;) {
    wire::Frame frame;
    {
      Deadline deadline(task, config_.idle_timeout);
      TRY_ASSIGN(frame, frames.read(task));
    }
    TRY_ASSIGN(consensus::ProposerMessage message, consensus::parse_proposer_message(frame));
    if (link.replies.closed()) return Error(Code::Disconnected, "the proposer was refused");
    TRY(timeline.on_message(task, link, message));
  }
}

}  // namespace argon::safekeeper
