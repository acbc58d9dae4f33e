// Interpreted WAL from a safekeeper: one decode for many readers, those that lag, shards, hostile requests.

#include <algorithm>

#include "core/env/io.h"
#include "core/pg/interpret/batch.h"
#include "core/pg/record_makers.h"
#include "core/wire/pg_wire.h"
#include "core/wire/replication.h"
#include "sim/one_safekeeper.h"

namespace argon::sim {
namespace {

class DecodedWal : public WrittenSafekeeper {
 protected:
  void SetUp() override { ASSERT_TRUE(create(kTenant, kTimeline, configuration(1, {1})).ok()); }

  // With other options, before anything is written.
  void restart(size_t window_bytes, size_t batch_bytes, Duration keepalive = Duration::seconds(1)) {
    sk_.power_loss();
    base_.decode = {window_bytes, batch_bytes};
    base_.keepalive_interval = keepalive;
    boot();
  }

  // A reader's stream up to `until`: where records end, and the batches' headers.
  struct Stream {
    std::vector<Lsn> ends;
    std::vector<pg::BatchHeader> batches;
  };
  using Client = std::unique_ptr<wire::PgClient>;

  static Result<Client> connect(Task& task, const std::string& command) {
    TRY_ASSIGN(Client client, wire::PgClient::connect(
                                  task, Address::tcp("sk", 5454),
                                  {{"user", "reader"}, {"database", "replication"}, {"replication", "true"}},
                                  {{"tenant_id", kTenant}, {"timeline_id", kTimeline}}));
    TRY(client->start_copy_both(task, command));
    return client;
  }
  static Result<Client> connect(Task& task, Lsn from, const wire::InterpretedStream& stream = {}) {
    return connect(task,
                   wire::to_string(wire::StartReplication{.slot = {}, .start = from, .interpreted = stream}));
  }

  static Result<Stream> read(Task& task, wire::PgClient& client, Lsn until) {
    Stream stream;
    Bytes buffer;
    while (stream.batches.empty() || stream.batches.back().end < until) {
      TRY_ASSIGN(std::optional<ByteView> body, client.read_copy(task));
      if (!body) return Error(Code::Disconnected, "the stream ended");
      TRY_ASSIGN(std::optional<wire::InterpretedWal> message, wire::parse_interpreted_wal(*body));
      if (!message) continue;
      TRY_ASSIGN(ByteView opened, pg::open_batch(message->payload, buffer));
      TRY_ASSIGN(pg::BatchReader batch, pg::BatchReader::open(opened));
      pg::InterpretedRecord record;
      for (;;) {
        TRY_ASSIGN(bool found, batch.next(record));
        if (!found) break;
        stream.ends.push_back(record.end);
      }
      bool goes_on = stream.batches.empty() || batch.header().start == stream.batches.back().end;
      EXPECT_TRUE(goes_on);
      stream.batches.push_back(batch.header());
    }
    return stream;
  }

  void run(const std::function<Status(Task&)>& body) {
    Status done = world_.run(client_, [&](Task& task) -> Status {
      Deadline deadline(task, Duration::seconds(300));
      return body(task);
    });
    EXPECT_TRUE(done.ok()) << done.error().to_string();
  }

  uint64_t metric(const std::string& name) {
    uint64_t value = 0;
    run([&](Task& task) -> Status {
      http::ClientRequest request;
      request.target = "/metrics";
      TRY_ASSIGN(http::Response answer, http::fetch(task, Address::tcp("sk", 7676), request));
      const std::string& text = answer.body;
      size_t at = text.find("\nargon_safekeeper_" + name + "{");
      EXPECT_NE(at, std::string::npos) << name;
      size_t space = text.find(' ', at);
      TRY_ASSIGN(value, parse_u64(text.substr(space + 1, text.find('\n', space) - space - 1)));
      return {};
    });
    return value;
  }
};

TEST_F(DecodedWal, ManyReadersCostOneDecodeAndNoneIsLeftOfItWhenTheyWait) {
  write(2000);
  std::vector<Client> clients;
  std::vector<Stream> streams(8);
  run([&](Task& task) -> Status {
    Scope scope(task);
    for (Stream& stream : streams) {
      TRY_ASSIGN(Client client, connect(task, kStart, {.zstd = clients.size() % 2 == 1}));
      clients.push_back(std::move(client));
      scope.spawn("reader", [this, &stream, from = clients.back().get()](Task& t) -> Status {
        TRY_ASSIGN(stream, read(t, *from, end_));
        return {};
      });
    }
    return scope.join(task);
  });
  for (const Stream& stream : streams) {
    EXPECT_EQ(stream.ends.size(), 2000u);
    EXPECT_EQ(stream.ends, streams[0].ends);
  }
  EXPECT_EQ(metric("wal_decoded_bytes"), end_ - kStart);
  EXPECT_EQ(metric("wal_decoders_made"), 1u);
  world_.run_for(Duration::seconds(3));
  EXPECT_EQ(metric("wal_decoders"), 0u);
  EXPECT_EQ(metric("feedback_readers"), 8u);
}

TEST_F(DecodedWal, AReaderFarBehindDecodesForItselfUntilItHasCaughtUp) {
  constexpr size_t kWindow = 256 * 1024;
  restart(kWindow, 16 * 1024, Duration::seconds(1000));
  write(2000);
  Stream late;
  std::vector<Client> clients;
  run([&](Task& task) -> Status {
    for (int i = 0; i < 2; i++) {
      TRY_ASSIGN(Client client, connect(task, kStart));
      TRY_ASSIGN(late, read(task, *client, end_));
      clients.push_back(std::move(client));
    }
    return {};
  });
  EXPECT_EQ(late.ends.size(), 2000u);
  EXPECT_EQ(metric("wal_decoders_made"), 2u);
  EXPECT_EQ(metric("wal_decoders"), 1u);
  uint64_t all = end_ - kStart;
  EXPECT_LT(metric("wal_decoded_bytes"), 2 * all - kWindow / 2);
  EXPECT_GT(metric("wal_decoded_bytes"), 2 * all - 2 * kWindow);
}

TEST_F(DecodedWal, AReaderBeginsWithTheBatchThatHoldsItsPlace) {
  write(500);
  run([&](Task& task) -> Status {
    TRY_ASSIGN(Client first, connect(task, kStart));
    TRY_ASSIGN(Stream all, read(task, *first, end_));
    Lsn middle = all.ends[200];
    TRY_ASSIGN(Client second, connect(task, middle));
    TRY_ASSIGN(Stream rest, read(task, *second, end_));
    EXPECT_LE(rest.batches.front().start, middle);
    EXPECT_GT(rest.batches.front().end, middle);
    EXPECT_EQ(rest.ends.back(), end_);
    EXPECT_TRUE(std::ranges::includes(all.ends, rest.ends));
    return {};
  });
  EXPECT_EQ(metric("wal_decoded_bytes"), end_ - kStart);
}

TEST_F(DecodedWal, DamagedWalIsNobodysWhoeverComesFirst) {
  write(500);
  Status flipped = world_.run(sk_, [&](Task& task) -> Status {
    std::string path = kFolder + "/000000010000000000000001";
    TRY_ASSIGN(auto file, task.env().disk().open(task, path, OpenMode::ReadWrite));
    Bytes byte(1);
    TRY(read_exact_at(task, *file, 300'000, byte));
    byte[0] ^= 0x10;
    return write_all_at(task, *file, 300'000, byte);
  });
  ASSERT_TRUE(flipped.ok()) << flipped.error().to_string();
  for (int reader = 0; reader < 2; reader++) {
    run([&](Task& task) -> Status {
      TRY_ASSIGN(Client client, connect(task, kStart));
      auto stream = read(task, *client, end_);
      std::string error = stream.ok() ? "" : stream.error().to_string();
      EXPECT_NE(error.find("segment 000000010000000000000001"), std::string::npos) << error;
      EXPECT_NE(error.find("was changed after it was written"), std::string::npos) << error;
      return {};
    });
  }
  EXPECT_EQ(metric("damaged_reads"), 2u);
}

TEST_F(DecodedWal, BadInputARequestThatCannotBeMetIsAnErrorThatSaysWhy) {
  write(10);
  auto refused = [&](const std::string& command, std::string_view why) {
    run([&](Task& task) -> Status {
      auto client = connect(task, command);
      Status status = client.ok() ? Status() : Status(client.error());
      if (client.ok()) {
        auto stream = read(task, **client, end_);
        status = stream.ok() ? Status() : Status(stream.error());
      }
      std::string error = status.ok() ? "none" : status.error().to_string();
      EXPECT_NE(error.find(why), std::string::npos) << command << ": " << error;
      return {};
    });
  };
  refused("START_REPLICATION 0/1000030 (protocol='interpreted')", "no record begins at 0/1000030");
  refused("START_REPLICATION 0/1000028 (protocol='interpreted', shard_number='2', shard_count='2')",
          "no shard 2 of 2");
  refused("START_REPLICATION 0/1000028 (protocol='interpreted', shard_count='1000')", "1000");
  refused("START_REPLICATION 0/1000028 (protocol='interpreted', term='1')", "no term");
  refused("START_REPLICATION 0/1000028 (protocol='logical')", "not logical");
  refused("START_REPLICATION 0/1000028 (protocol='interpreted', compression='lz4')", "not lz4");
  refused("START_REPLICATION 0/1000028 (shard_count='2')", "unexpected word");
  EXPECT_EQ(metric("damaged_reads"), 0u);
}

}  // namespace
}  // namespace argon::sim
