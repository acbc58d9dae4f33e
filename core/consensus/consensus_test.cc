#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/consensus/acceptor.h"
#include "core/consensus/invariants.h"
#include "core/consensus/proposer.h"

namespace argon::consensus {
namespace {

Configuration three(uint32_t generation = 1) {
  return {ConfigurationGeneration(generation),
          {{NodeId(1), "a", 1}, {NodeId(2), "b", 2}, {NodeId(3), "c", 3}},
          {}};
}

TermHistory history(std::vector<TermStart> entries) {
  return TermHistory(std::move(entries));
}

AcceptorState fresh() {
  AcceptorState state;
  state.configuration = three();
  state.server.wal_segment_size = 16 << 20;
  return state;
}

template <typename Effect, typename Effects>
const Effect* first(const Effects& effects) {
  for (const auto& effect : effects)
    if (const auto* found = std::get_if<Effect>(&effect)) return found;
  return nullptr;
}

template <typename Message>
const Message* reply(const AcceptorEffects& effects) {
  for (const auto& effect : effects)
    if (const auto* found = std::get_if<Reply>(&effect))
      if (const auto* message = std::get_if<Message>(&found->message)) return message;
  return nullptr;
}

constexpr ConnectionId kOne{1};
constexpr ConnectionId kTwo{2};

VoteRequest vote_request(uint64_t term, uint32_t generation = 1) {
  return {ConfigurationGeneration(generation), Term(term)};
}

ProposerElected elected_in(uint64_t term, Lsn at, TermHistory h) {
  return {ConfigurationGeneration(1), Term(term), at, std::move(h), {}};
}

AppendRequest wal(uint64_t term, Lsn begin, ByteView bytes, Lsn commit = Lsn()) {
  return {ConfigurationGeneration(1), Term(term), begin, commit, Lsn(), {}, bytes};
}

// Elected in term 1 at 0x1000 on connection one, nothing written yet.
Acceptor elected_acceptor() {
  Acceptor acceptor(NodeId(1), fresh(), {});
  acceptor.on_message(kOne, vote_request(1));
  acceptor.on_message(kOne,
                      elected_in(1, Lsn(0x1000), history({{Term(0), Lsn(0x1000)}, {Term(1), Lsn(0x1000)}})));
  acceptor.on_truncated(first_check(Lsn(0x1000)));
  return acceptor;
}

TEST(Configuration, AJointOneNeedsBothMajorities) {
  Configuration joint = three();
  joint.new_members = {{NodeId(3), "c", 3}, {NodeId(4), "d", 4}, {NodeId(5), "e", 5}};
  EXPECT_FALSE(joint.is_quorum({NodeId(1), NodeId(2), NodeId(3)}));
  EXPECT_FALSE(joint.is_quorum({NodeId(3), NodeId(4), NodeId(5)}));
  EXPECT_TRUE(joint.is_quorum({NodeId(1), NodeId(3), NodeId(4)}));
  EXPECT_EQ(to_string(joint), "g1 {1, 2, 3} -> {3, 4, 5}");
}

TEST(Configuration, RefusesGenerationAndNodeZero) {
  EXPECT_TRUE(three(0).validate().is(Code::Invalid));
  Configuration zero = three();
  zero.members[1].id = NodeId(0);
  EXPECT_TRUE(zero.validate().is(Code::Invalid));
  Configuration twice = three();
  twice.members[1].id = NodeId(1);
  EXPECT_TRUE(twice.validate().is(Code::Invalid));
}

TEST(TermHistory, LogsPartWhereTermsDiffer) {
  auto ours = history({{Term(0), Lsn(16)}, {Term(1), Lsn(16)}, {Term(3), Lsn(100)}});
  EXPECT_EQ(*common_point(ours, history({{Term(0), Lsn(16)}, {Term(1), Lsn(16)}}), Lsn(200)), Lsn(100));
  EXPECT_EQ(*common_point(ours, history({{Term(0), Lsn(16)}, {Term(1), Lsn(16)}}), Lsn(80)), Lsn(80));
  EXPECT_EQ(
      *common_point(ours, history({{Term(0), Lsn(16)}, {Term(1), Lsn(16)}, {Term(2), Lsn(60)}}), Lsn(90)),
      Lsn(60));
  EXPECT_EQ(*common_point(ours, ours, Lsn(150)), Lsn(150));
  EXPECT_TRUE(common_point(ours, history({{Term(0), Lsn(24)}}), Lsn(90)).is(Code::Corrupt));
  EXPECT_TRUE(common_point(ours, history({{Term(7), Lsn(16)}}), Lsn(90)).is(Code::Corrupt));
}

RC_GTEST_PROP(TermHistory, TheTermAtAnEndIsTheLastOfTheHistoryUpToIt, (const std::vector<uint8_t>& steps)) {
  std::vector<TermStart> entries;
  uint64_t start = 16;
  for (size_t i = 0; i < steps.size(); i++) entries.push_back({Term(i + 1), Lsn(start += steps[i] % 3)});
  TermHistory whole(std::move(entries));
  for (uint64_t end = 15; end <= start + 1; end++)
    RC_ASSERT(whole.term_at(Lsn(end)) == whole.up_to(Lsn(end)).last_term());
}

RC_GTEST_PROP(WalCheck, DoesNotDependOnHowBytesArrive, (const Bytes& bytes, uint8_t cut)) {
  constexpr uint64_t kSegment = 64;
  ByteView all(bytes);
  size_t at = bytes.empty() ? 0 : cut % (bytes.size() + 1);
  WalCheck whole = extend_check(first_check(Lsn(40)), Lsn(40), all, kSegment);
  WalCheck parts = extend_check(first_check(Lsn(40)), Lsn(40), all.first(at), kSegment);
  parts = extend_check(parts, Lsn(40 + at), all.subspan(at), kSegment);
  RC_ASSERT(whole == parts);
}

TEST(Acceptor, GivesOneVoteATerm) {
  Acceptor acceptor(NodeId(1), fresh(), {});
  auto effects = acceptor.on_message(kOne, vote_request(5));
  EXPECT_TRUE(std::holds_alternative<PersistState>(effects.front()));
  EXPECT_TRUE(reply<VoteResponse>(effects)->given);
  EXPECT_FALSE(reply<VoteResponse>(acceptor.on_message(kTwo, vote_request(5)))->given);
  EXPECT_FALSE(reply<VoteResponse>(acceptor.on_message(kTwo, vote_request(4)))->given);
  EXPECT_EQ(reply<VoteResponse>(acceptor.on_message(kTwo, vote_request(4)))->term, Term(5));
  EXPECT_TRUE(reply<VoteResponse>(acceptor.on_message(kTwo, vote_request(6)))->given);
}

TEST(Acceptor, FlushesBeforeItVotes) {
  Acceptor acceptor = elected_acceptor();
  Bytes bytes(64, 7);
  acceptor.on_message(kOne, wal(1, Lsn(0x1000), bytes));
  auto effects = acceptor.on_message(kTwo, vote_request(2));
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<FlushWal>(effects.front()));
  effects = acceptor.on_flushed(Lsn(0x1040), Lsn(0x1030));
  EXPECT_TRUE(reply<VoteResponse>(effects)->given);
  EXPECT_EQ(reply<VoteResponse>(effects)->flush, Lsn(0x1030));
}

TEST(Acceptor, AnswersAnElectionOnceTheHistoryIsPersisted) {
  Acceptor acceptor(NodeId(1), fresh(), {});
  acceptor.on_message(kOne, vote_request(1));
  auto effects = acceptor.on_message(
      kOne, elected_in(1, Lsn(0x1000), history({{Term(0), Lsn(0x1000)}, {Term(1), Lsn(0x1000)}})));
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_TRUE(first<TruncateWal>(effects)->initialise);
  effects = acceptor.on_truncated(first_check(Lsn(0x1000)));
  ASSERT_EQ(effects.size(), 2u);
  EXPECT_EQ(std::get<PersistState>(effects[0]).state.history.last_term(), Term(1));
  EXPECT_EQ(reply<AppendResponse>(effects)->flush, Lsn(0x1000));
}

TEST(Acceptor, CutsTheLogWhereItPartsAndOnlyThenPersists) {
  Acceptor acceptor = elected_acceptor();
  Bytes bytes(64, 7);
  acceptor.on_message(kOne, wal(1, Lsn(0x1000), bytes));
  acceptor.on_flushed(Lsn(0x1040), Lsn(0x1040));
  acceptor.on_message(kTwo, vote_request(2));
  auto wins = history({{Term(0), Lsn(0x1000)}, {Term(1), Lsn(0x1000)}, {Term(2), Lsn(0x1020)}});
  auto effects = acceptor.on_message(kTwo, elected_in(2, Lsn(0x1020), wins));
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_EQ(first<TruncateWal>(effects)->to, Lsn(0x1020));
  EXPECT_EQ(acceptor.state().history.last_term(), Term(1));
  acceptor.on_truncated(WalCheck{});
  EXPECT_EQ(acceptor.write(), Lsn(0x1020));
  EXPECT_EQ(acceptor.state().history, wins);
  // The former proposer is told so, and nothing of it is written.
  effects = acceptor.on_message(kOne, wal(1, Lsn(0x1040), bytes));
  EXPECT_EQ(reply<AppendResponse>(effects)->term, Term(2));
  EXPECT_EQ(first<WriteWal>(effects), nullptr);
}

TEST(Acceptor, NeverCutsBelowCommit) {
  Acceptor acceptor = elected_acceptor();
  Bytes bytes(64, 7);
  acceptor.on_message(kOne, wal(1, Lsn(0x1000), bytes));
  acceptor.on_flushed(Lsn(0x1040), Lsn(0x1040));
  auto effects = acceptor.on_message(kOne, wal(1, Lsn(0x1040), {}, Lsn(0x1040)));
  EXPECT_EQ(first<Committed>(effects)->commit, Lsn(0x1040));
  acceptor.on_message(kTwo, vote_request(2));
  effects = acceptor.on_message(
      kTwo, elected_in(2, Lsn(0x1020),
                       history({{Term(0), Lsn(0x1000)}, {Term(1), Lsn(0x1000)}, {Term(2), Lsn(0x1020)}})));
  EXPECT_EQ(first<CloseConnection>(effects)->reason.code(), Code::Corrupt);
}

TEST(Acceptor, TakesWalOnlyAtItsEndAndOnlyIfItContinues) {
  Acceptor acceptor = elected_acceptor();
  Bytes bytes(64, 7);
  EXPECT_NE(first<CloseConnection>(acceptor.on_message(kOne, wal(1, Lsn(0x1008), bytes))), nullptr);
  EXPECT_NE(first<CloseConnection>(acceptor.on_message(kTwo, wal(1, Lsn(0x1000), bytes))), nullptr);
  EXPECT_NE(first<CloseConnection>(acceptor.on_message(kOne, wal(2, Lsn(0x1000), bytes))), nullptr);
  EXPECT_NE(first<WriteWal>(acceptor.on_message(kOne, wal(1, Lsn(0x1000), bytes))), nullptr);
  AppendRequest other = wal(1, Lsn(0x1040), bytes);
  other.check = {Lsn(0x1000), 12345};
  auto effects = acceptor.on_message(kOne, other);
  EXPECT_EQ(first<CloseConnection>(effects)->reason.code(), Code::Corrupt);
  other.check = acceptor.write_check();
  EXPECT_NE(first<WriteWal>(acceptor.on_message(kOne, other)), nullptr);
}

TEST(Acceptor, ObeysOnlyItsOwnGeneration) {
  Acceptor acceptor(NodeId(1), fresh(), {});
  EXPECT_NE(first<CloseConnection>(acceptor.on_message(kOne, vote_request(1, 2))), nullptr);
  EXPECT_NE(first<CloseConnection>(acceptor.on_message(kOne, vote_request(1, 0))), nullptr);
  EXPECT_EQ(acceptor.term(), Term(0));
  ProposerGreeting greeting{{}, three(2), fresh().server, false};
  auto effects = acceptor.on_message(kOne, greeting);
  EXPECT_EQ(first<PersistState>(effects)->state.configuration.generation, ConfigurationGeneration(2));
  greeting.configuration = three(3);
  greeting.configuration.members.erase(greeting.configuration.members.begin());
  EXPECT_EQ(first<CloseConnection>(acceptor.on_message(kOne, greeting))->reason.code(), Code::Invalid);
}

TEST(Acceptor, RefusesAnotherServer) {
  AcceptorState state = fresh();
  state.server = {150013, 77, 16 << 20};
  Acceptor acceptor(NodeId(1), state, {});
  ProposerGreeting greeting{{}, three(), {150020, 77, 16 << 20}, false};
  EXPECT_NE(reply<AcceptorGreeting>(acceptor.on_message(kOne, greeting)), nullptr);
  greeting.server = {160001, 77, 16 << 20};
  EXPECT_NE(first<CloseConnection>(acceptor.on_message(kOne, greeting)), nullptr);
  greeting.server = {150020, 78, 16 << 20};
  EXPECT_NE(first<CloseConnection>(acceptor.on_message(kOne, greeting)), nullptr);
}

TEST(Acceptor, TakesCommitFromAPeerOfTheSameTermOnly) {
  Acceptor acceptor = elected_acceptor();
  Bytes bytes(64, 7);
  acceptor.on_message(kOne, wal(1, Lsn(0x1000), bytes));
  acceptor.on_flushed(Lsn(0x1040), Lsn(0x1040));
  EXPECT_TRUE(acceptor.on_peer_commit(Term(2), Lsn(0x1040)).empty());
  EXPECT_EQ(first<Committed>(acceptor.on_peer_commit(Term(1), Lsn(0x2000)))->commit, Lsn(0x1040));
}

// ---- proposer

ProposerConfig proposer_config() {
  ProposerConfig config;
  config.configuration = three();
  config.bootstrap_start = Lsn(0x1000);
  return config;
}

AcceptorGreeting greeting_of(uint64_t node, uint64_t term) {
  return {NodeId(node), three(), Term(term), Lsn()};
}

VoteResponse vote_of(uint64_t term, Lsn flush, TermHistory h) {
  return {ConfigurationGeneration(1),
          Term(term),
          true,
          h.empty() ? Lsn() : h.first().start,
          flush,
          Lsn(),
          Lsn(),
          std::move(h),
          {}};
}

AppendResponse ack(uint64_t term, Lsn flush) {
  return {ConfigurationGeneration(1), Term(term), flush, Lsn(), {}, {}};
}

TEST(Proposer, TakesATermAboveAllItSaw) {
  ProposerConfig config = proposer_config();
  config.min_term = Term(9);
  Proposer proposer(config);
  proposer.on_connected(NodeId(1));
  proposer.on_connected(NodeId(2));
  EXPECT_TRUE(proposer.on_message(NodeId(1), greeting_of(1, 3)).empty());
  proposer.on_message(NodeId(2), greeting_of(2, 4));
  EXPECT_EQ(proposer.term(), Term(10));
}

// Elected by 1 and 2, where 2's log is of a higher term though shorter.
Proposer leading() {
  Proposer proposer(proposer_config());
  proposer.on_connected(NodeId(1));
  proposer.on_connected(NodeId(2));
  proposer.on_message(NodeId(1), greeting_of(1, 3));
  proposer.on_message(NodeId(2), greeting_of(2, 4));
  proposer.on_message(NodeId(1),
                      vote_of(5, Lsn(0x3000), history({{Term(0), Lsn(0x1000)}, {Term(3), Lsn(0x1000)}})));
  proposer.on_message(NodeId(2),
                      vote_of(5, Lsn(0x2000), history({{Term(0), Lsn(0x1000)}, {Term(4), Lsn(0x1800)}})));
  return proposer;
}

TEST(Proposer, SendsNothingBeforeItsTermIsPersisted) {
  Proposer proposer(proposer_config());
  proposer.on_connected(NodeId(1));
  proposer.on_connected(NodeId(2));
  proposer.on_message(NodeId(1), greeting_of(1, 0));
  proposer.on_message(NodeId(2), greeting_of(2, 0));
  proposer.on_message(NodeId(1), vote_of(1, Lsn(), {}));
  auto effects = proposer.on_message(NodeId(2), vote_of(1, Lsn(), {}));
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_EQ(std::get<PersistTerm>(effects[0]).start, Lsn(0x1000));
  EXPECT_FALSE(proposer.next_append(NodeId(1)).has_value());
}

TEST(Proposer, StartsWhereTheHighestTermEnds) {
  Proposer proposer = leading();
  auto effects = proposer.on_term_persisted();
  EXPECT_EQ(first<Elected>(effects)->start, Lsn(0x2000));
  EXPECT_EQ(first<Elected>(effects)->donor, NodeId(2));
  EXPECT_EQ(first<Elected>(effects)->previous_term, Term(4));
  std::map<NodeId, Lsn> from;
  for (const auto& effect : effects)
    if (const auto* send = std::get_if<Send>(&effect))
      from[send->to] = std::get<ProposerElected>(send->message).start_streaming_at;
  EXPECT_EQ(from[NodeId(1)], Lsn(0x1000));  // terms 3 and 4 part at once
  EXPECT_EQ(from[NodeId(2)], Lsn(0x2000));
}

TEST(Proposer, CountsOnlyFromItsOwnStart) {
  Proposer proposer = leading();
  proposer.on_term_persisted();
  while (proposer.next_append(NodeId(1))) {
  }
  EXPECT_TRUE(proposer.on_message(NodeId(2), ack(5, Lsn(0x2000))).empty());
  EXPECT_TRUE(proposer.on_message(NodeId(1), ack(5, Lsn(0x1ff8))).empty());
  EXPECT_FALSE(proposer.commit().valid());
  auto effects = proposer.on_message(NodeId(1), ack(5, Lsn(0x2000)));
  EXPECT_EQ(first<StartCommitted>(effects)->start, Lsn(0x2000));
  EXPECT_EQ(proposer.commit(), Lsn(0x2000));
}

TEST(Proposer, RefusesAcknowledgementsOfWhatItNeverSent) {
  Proposer proposer = leading();
  proposer.on_term_persisted();
  EXPECT_NE(first<CloseLink>(proposer.on_message(NodeId(2), ack(5, Lsn(0x9000)))), nullptr);
  EXPECT_FALSE(proposer.commit().valid());
}

TEST(Proposer, StepsDownForAHigherTermAndStaysDown) {
  Proposer proposer = leading();
  proposer.on_term_persisted();
  auto effects = proposer.on_message(NodeId(2), ack(6, Lsn()));
  EXPECT_EQ(first<SteppedDown>(effects)->seen, Term(6));
  EXPECT_TRUE(proposer.on_message(NodeId(1), ack(5, Lsn(0x2000))).empty());
  EXPECT_FALSE(proposer.next_append(NodeId(1)).has_value());
}

TEST(Proposer, StreamsInPiecesThatDoNotStraddleItsStart) {
  Proposer proposer = leading();
  proposer.on_term_persisted();
  auto append = proposer.next_append(NodeId(1), 0xc00);
  EXPECT_EQ(append->begin, Lsn(0x1000));
  EXPECT_EQ(append->end, Lsn(0x1c00));
  EXPECT_EQ(proposer.next_append(NodeId(1), 0xc00)->end, Lsn(0x2000));
  EXPECT_FALSE(proposer.next_append(NodeId(1)).has_value());
}

TEST(Proposer, AdoptsAHigherConfigurationBeforeItCampaigns) {
  Proposer proposer(proposer_config());
  proposer.on_connected(NodeId(1));
  AcceptorGreeting greeting = greeting_of(1, 0);
  greeting.configuration = three(4);
  auto effects = proposer.on_message(NodeId(1), greeting);
  EXPECT_EQ(first<Reconfigured>(effects)->configuration, three(4));
  EXPECT_EQ(proposer.configuration().generation, ConfigurationGeneration(4));
}

TEST(Proposer, IsToldOfAHigherConfigurationByWhoDecidedIt) {
  Proposer proposer(proposer_config());
  EXPECT_TRUE(proposer.on_configuration(proposer_config().configuration).empty());
  auto effects = proposer.on_configuration(three(4));
  EXPECT_EQ(first<Reconfigured>(effects)->configuration, three(4));
  EXPECT_EQ(proposer.configuration(), three(4));
  EXPECT_TRUE(proposer.on_configuration(three(3)).empty());
}

// It goes on in its term; what it had committed counts, what it commits from here on needs both sets.
TEST(Proposer, LeadsOnUnderAJointConfiguration) {
  Proposer proposer = leading();
  proposer.on_term_persisted();
  while (proposer.next_append(NodeId(1))) {
  }
  proposer.on_message(NodeId(2), ack(5, Lsn(0x2000)));
  proposer.on_message(NodeId(1), ack(5, Lsn(0x2000)));
  ASSERT_EQ(proposer.commit(), Lsn(0x2000));
  Configuration joint = three(2);
  joint.new_members = {joint.members[1], {NodeId(4), "d", 4}, {NodeId(5), "e", 5}};
  proposer.on_connected(NodeId(3));
  AcceptorGreeting greeting = greeting_of(3, 5);
  greeting.configuration = joint;
  auto effects = proposer.on_message(NodeId(3), greeting);
  EXPECT_EQ(first<Reconfigured>(effects)->configuration, joint);
  EXPECT_EQ(first<SteppedDown>(effects), nullptr);
  EXPECT_TRUE(proposer.leading());
  EXPECT_EQ(check_state(proposer), "");
  proposer.on_wal(Lsn(0x2100));
  auto stream_to = [&](uint64_t id) {
    AcceptorGreeting again = greeting_of(id, 5);
    again.configuration = joint;
    proposer.on_connected(NodeId(id));
    proposer.on_message(NodeId(id), again);
    VoteResponse vote = vote_of(5, Lsn(0x2000), proposer.history());
    vote.given = false;
    vote.generation = joint.generation;
    proposer.on_message(NodeId(id), vote);
    while (proposer.next_append(NodeId(id))) {
    }
    AppendResponse response = ack(5, Lsn(0x2100));
    response.generation = joint.generation;
    return proposer.on_message(NodeId(id), response);
  };
  stream_to(1);
  stream_to(2);
  EXPECT_EQ(proposer.commit(), Lsn(0x2000));  // a majority of the old ones alone
  stream_to(4);
  EXPECT_EQ(proposer.commit(), Lsn(0x2100));
  EXPECT_EQ(check_state(proposer), "");
}

TEST(Proposer, WithoutWalOrAStartThereIsNoElection) {
  ProposerConfig config = proposer_config();
  config.bootstrap_start = Lsn();
  Proposer proposer(config);
  proposer.on_connected(NodeId(1));
  proposer.on_connected(NodeId(2));
  proposer.on_message(NodeId(1), greeting_of(1, 0));
  proposer.on_message(NodeId(2), greeting_of(2, 0));
  proposer.on_message(NodeId(1), vote_of(1, Lsn(), {}));
  auto effects = proposer.on_message(NodeId(2), vote_of(1, Lsn(), {}));
  EXPECT_EQ(first<SteppedDown>(effects)->reason.code(), Code::Invalid);
}

}  // namespace
}  // namespace argon::consensus
