#include "core/wire/replication.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/base/codec.h"

namespace argon::wire {
namespace {

RC_GTEST_PROP(Replication, WalComesBackAsItWentIn,
              (uint64_t start, uint64_t end, int64_t at, const Bytes& wal)) {
  Bytes wire;
  encode_xlog_header(wire, Lsn(start), Lsn(end), at);
  RC_ASSERT(wire.size() == kXLogDataHeader);
  append(wire, wal);
  auto parsed = parse_replication_server_message(wire);
  RC_ASSERT(parsed.ok());
  const auto& message = std::get<XLogData>(*parsed);
  RC_ASSERT(message.start == Lsn(start));
  RC_ASSERT(message.end == Lsn(end));
  RC_ASSERT(message.sent_at == at);
  RC_ASSERT(to_bytes(message.data) == wal);
}

RC_GTEST_PROP(Replication, PageserverFeedbackComesBackAsItWentIn,
              (uint64_t size, uint64_t a, uint64_t b, uint64_t c, int64_t at, uint32_t shard, bool bad)) {
  PageserverFeedback sent{size, Lsn(a), Lsn(b), Lsn(c), at, shard, bad};
  Bytes wire;
  encode_pageserver_feedback(wire, sent);
  auto parsed = parse_replication_client_message(wire);
  RC_ASSERT(parsed.ok());
  RC_ASSERT(std::get<PageserverFeedback>(*parsed) == sent);
}

TEST(Replication, UnknownFeedbackKeysAreSkipped) {
  Bytes list;
  Writer(list)
      .u8(2)
      .cstring("from_the_future")
      .be<int32_t>(3)
      .zeros(3)
      .cstring("ps_writelsn")
      .be<int32_t>(8)
      .be<uint64_t>(9);
  auto feedback = parse_feedback_list(list);
  ASSERT_TRUE(feedback.ok()) << feedback.error().to_string();
  EXPECT_EQ(feedback->last_received, Lsn(9));
}

TEST(Replication, CutMessagesAreCorrupt) {
  Bytes status, feedback;
  encode_standby_status(status, {Lsn(1), Lsn(2), Lsn(3), 4, true});
  encode_pageserver_feedback(feedback, {1, Lsn(2), Lsn(3), Lsn(4), 5, 6, true});
  for (const Bytes& whole : {status, feedback})
    for (size_t n = 1; n < whole.size(); n++)
      EXPECT_FALSE(parse_replication_client_message(ByteView(whole).first(n)).ok()) << n;
}

TEST(Replication, TheCommandsOfStockClientsAreUnderstood) {
  auto plain = parse_start_replication("START_REPLICATION 0/3000000 TIMELINE 1");
  ASSERT_TRUE(plain.ok() && plain->has_value());
  EXPECT_EQ((*plain)->start, Lsn(0x3000000));
  auto full = parse_start_replication("start_replication SLOT \"s1\" PHYSICAL 1/AB (term='7')");
  ASSERT_TRUE(full.ok() && full->has_value());
  EXPECT_EQ((*full)->slot, "s1");
  EXPECT_EQ((*full)->start, Lsn(0x1000000AB));
  EXPECT_EQ((*full)->term, Term(7));
  EXPECT_FALSE(parse_start_replication("IDENTIFY_SYSTEM")->has_value());
  for (std::string_view bad :
       {"START_REPLICATION", "START_REPLICATION PHYSICAL zz", "START_REPLICATION 0/1 TIMELINE 2",
        "START_REPLICATION SLOT x LOGICAL 0/1", "START_REPLICATION 0/1 0/2"})
    EXPECT_TRUE(parse_start_replication(bad).is(Code::Invalid)) << bad;
}

TEST(Replication, BaseBackupsAreAskedForAsPgBasebackupDoes) {
  auto plain =
      parse_base_backup("BASE_BACKUP ( LABEL 'it''s (MANIFEST)',  PROGRESS,  CHECKPOINT 'fast',  WAIT 0)");
  ASSERT_TRUE(plain.ok() && plain->has_value());
  EXPECT_EQ(**plain, (BaseBackup{false, true}));
  auto manifest =
      parse_base_backup("base_backup (MANIFEST 'yes', MANIFEST_CHECKSUMS 'none', TARGET 'client')");
  ASSERT_TRUE(manifest.ok() && manifest->has_value());
  EXPECT_EQ(**manifest, (BaseBackup{true, false}));
  EXPECT_FALSE(parse_base_backup("IDENTIFY_SYSTEM")->has_value());
  for (std::string_view bad : {"BASE_BACKUP (TARGET 'server')", "BASE_BACKUP (COMPRESSION 'gzip')",
                               "BASE_BACKUP (MANIFEST_CHECKSUMS 'SHA256')"})
    EXPECT_TRUE(parse_base_backup(bad).is(Code::Unsupported)) << bad;
}

TEST(Replication, InterpretedWalIsAskedForByOptions) {
  auto plain = parse_start_replication("START_REPLICATION 0/3000000 (protocol='interpreted')");
  ASSERT_TRUE(plain.ok() && plain->has_value());
  EXPECT_EQ((*plain)->interpreted, InterpretedStream{});
  InterpretedStream all{true, 3, 8, 2048};
  auto command = parse_start_replication(to_string(StartReplication{"s1", Lsn(0x3000000), {}, all}));
  ASSERT_TRUE(command.ok() && command->has_value());
  EXPECT_EQ((*command)->interpreted, all);
  EXPECT_EQ((*command)->slot, "s1");
  for (std::string_view bad :
       {"START_REPLICATION 0/1 (shard_count='2')", "START_REPLICATION 0/1 (protocol='interpreted', term='1')",
        "START_REPLICATION 0/1 (protocol='interpreted', shard_count='-1')",
        "START_REPLICATION 0/1 (protocol='interpreted', shard_count='4294967296')"})
    EXPECT_TRUE(parse_start_replication(bad).is(Code::Invalid)) << bad;
  for (std::string_view unknown : {"START_REPLICATION 0/1 (protocol='vanilla')",
                                   "START_REPLICATION 0/1 (protocol='interpreted', compression='lz4')"})
    EXPECT_TRUE(parse_start_replication(unknown).is(Code::Unsupported)) << unknown;
}

TEST(Replication, InterpretedWalIsAHeaderAndAPayload) {
  Bytes body;
  encode_interpreted_header(body, Lsn(0x2000), Lsn(0x3000));
  append(body, as_bytes("payload"));
  auto message = parse_interpreted_wal(body);
  ASSERT_TRUE(message.ok() && message->has_value());
  EXPECT_EQ((*message)->end, Lsn(0x2000));
  EXPECT_EQ((*message)->commit, Lsn(0x3000));
  EXPECT_EQ(as_text((*message)->payload), "payload");
  EXPECT_TRUE(parse_interpreted_wal(ByteView(body).first(16)).is(Code::Corrupt));
  Bytes keepalive;
  encode_keepalive(keepalive, {});
  EXPECT_FALSE(parse_interpreted_wal(keepalive)->has_value());
}

RC_GTEST_PROP(Replication, AnyBytesAreAnAnswerOrAnError, (const Bytes& bytes)) {
  ignore_result(parse_interpreted_wal(bytes));
  ignore_result(parse_replication_client_message(bytes));
  ignore_result(parse_replication_server_message(bytes));
  ignore_result(parse_feedback_list(bytes));
}

}  // namespace
}  // namespace argon::wire
