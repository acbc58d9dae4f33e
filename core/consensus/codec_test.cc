#include "core/consensus/codec.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/base/random.h"

namespace argon::consensus {
namespace {

Configuration some_configuration(Random& random) {
  Configuration c;
  c.generation = ConfigurationGeneration(static_cast<uint32_t>(1 + random.below(1000)));
  uint64_t n = 1 + random.below(5);
  for (uint64_t i = 1; i <= n; ++i) c.members.push_back({NodeId(i * 7), "host" + std::to_string(i), 5454});
  if (random.chance({1, 2})) c.new_members.push_back({NodeId(3), "::1", 65535});
  return c;
}

TermHistory some_history(Random& random) {
  std::vector<TermStart> entries;
  uint64_t n = random.below(6);
  uint64_t term = 0;
  uint64_t lsn = 1 + random.below(1u << 30);
  for (uint64_t i = 0; i < n; ++i) {
    entries.push_back({Term(term), Lsn(lsn)});
    term += 1 + random.below(9);
    lsn += random.below(1000);
  }
  return TermHistory(entries);
}

template <typename Message>
wire::Frame framed(Bytes& bytes, const Message& message) {
  bytes.clear();
  encode_message(bytes, message);
  size_t used = 0;
  auto frame = wire::decode_frame(bytes, used);
  CHECK(frame.ok() && used == bytes.size());
  return *frame;
}

template <typename Kind, typename Message>
bool survives(const Kind& kind) {
  Bytes bytes;
  wire::Frame frame = framed(bytes, Message(kind));
  if constexpr (std::is_same_v<Message, ProposerMessage>)
    return std::get<Kind>(*parse_proposer_message(frame)) == kind;
  else
    return std::get<Kind>(*parse_acceptor_message(frame)) == kind;
}

RC_GTEST_PROP(ConsensusCodec, ReadsWhatWasWritten, (uint64_t seed, const std::string& text)) {
  Random random(seed);
  Configuration configuration = some_configuration(random);
  TermHistory history = some_history(random);
  ConfigurationGeneration g = configuration.generation;
  Term term(random.next());
  Lsn lsn(random.next());
  WalCheck check{Lsn(1 + random.below(100)), 77};
  ProposerGreeting greeting{
      {random_tenant_id(random), random_timeline_id(random)}, configuration, {150020, 9, 1 << 24}, true};
  RC_ASSERT((survives<ProposerGreeting, ProposerMessage>(greeting)));
  RC_ASSERT((survives<VoteRequest, ProposerMessage>({g, term})));
  RC_ASSERT((survives<ProposerElected, ProposerMessage>({g, term, lsn, history, check})));
  RC_ASSERT((survives<AcceptorGreeting, AcceptorMessage>({NodeId(3), configuration, term, lsn})));
  RC_ASSERT((
      survives<VoteResponse, AcceptorMessage>({g, term, true, Lsn(1), lsn, Lsn(2), Lsn(3), history, check})));
  RC_ASSERT((survives<AppendResponse, AcceptorMessage>(
      {g, term, lsn, Lsn(4), {-5, 6, 7}, PageserverFeedback{1, Lsn(2), Lsn(3), Lsn(4), 5}})));
  RC_ASSERT((survives<AppendResponse, AcceptorMessage>({g, term, lsn, Lsn(4), {}, {}})));
  std::string ascii;
  for (char c : text) ascii += static_cast<char>(c & 0x7f);
  RC_ASSERT((survives<Refusal, AcceptorMessage>({Code::Stale, ascii})));
}

RC_GTEST_PROP(ConsensusCodec, WalTravelsAsItIs, (uint64_t seed, const Bytes& wal)) {
  Random random(seed);
  AppendRequest sent{ConfigurationGeneration(3),
                     Term(random.next()),
                     Lsn(random.below(1u << 30)),
                     Lsn(5),
                     Lsn(6),
                     {Lsn(16), 99},
                     wal};
  Bytes bytes;
  wire::Frame frame = framed(bytes, ProposerMessage(sent));
  auto parsed = parse_proposer_message(frame);
  RC_ASSERT(parsed.ok());
  const auto& got = std::get<AppendRequest>(*parsed);
  RC_ASSERT(got.begin == sent.begin && got.end() == sent.end() && got.term == sent.term &&
            got.check == sent.check);
  RC_ASSERT(to_bytes(got.wal) == wal);
  // Any other length is refused.
  wire::Frame shorter{frame.type, frame.payload.first(frame.payload.size() - 1)};
  RC_ASSERT(parse_proposer_message(shorter).is(Code::Corrupt));
}

TEST(ConsensusCodec, RefusesWhatItDoesNotKnow) {
  Bytes junk = {1, 2, 3, 4};
  EXPECT_TRUE(parse_proposer_message({'Z', junk}).is(Code::Corrupt));
  EXPECT_TRUE(parse_acceptor_message({'g', junk}).is(Code::Corrupt));
  EXPECT_TRUE(parse_proposer_message({'g', junk}).is(Code::Corrupt));
  EXPECT_TRUE(parse_proposer_message({'a', junk}).is(Code::Corrupt));
}

TEST(ConsensusCodec, APeersCancellationIsNotOurs) {
  Bytes bytes;
  auto parsed = parse_acceptor_message(framed(bytes, AcceptorMessage(Refusal{Code::Cancelled, "stopping"})));
  EXPECT_EQ(std::get<Refusal>(*parsed).code, Code::Unavailable);
}

TEST(ConsensusCodec, RefusesAConfigurationOfGenerationZero) {
  ProposerGreeting greeting;
  greeting.configuration.members = {{NodeId(1), "a", 1}};
  Bytes bytes;
  EXPECT_TRUE(parse_proposer_message(framed(bytes, ProposerMessage(greeting))).is(Code::Invalid));
}

}  // namespace
}  // namespace argon::consensus
