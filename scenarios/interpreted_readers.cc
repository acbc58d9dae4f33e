#include "scenarios/interpreted_readers.h"

#include <algorithm>

#include "core/pg/interpret/batch.h"
#include "core/wire/pg_wire.h"
#include "core/wire/replication.h"

namespace argon::scenarios {
namespace {

using namespace argon::literals;

Error differs(const std::string& what, Lsn at) {
  return Error(Code::Corrupt, "interpreted WAL at " + to_string(at) + ": " + what);
}

// The place of one reader.
class InterpretedReader {
 public:
  explicit InterpretedReader(const WalLedger& ledger) : ledger_(ledger) {}

  Lsn at() const { return at_; }
  void go_to(Lsn at) { at_ = at; }
  // Why the WAL that came is not what was written; it stays.
  const Status& wrong() const { return wrong_; }

  // From a safekeeper until `until`, or something goes wrong.
  Status read(Task& task, const std::string& host, const wire::InterpretedStream& stream, Lsn until) {
    wire::StartReplication command{.slot = {}, .start = at_, .interpreted = stream};
    TRY_ASSIGN(auto client, WalCluster::connect_reader(task, host, wire::to_string(command)));
    Bytes buffer;
    while (at_ < until) {
      TRY_ASSIGN(auto body, client->read_copy(task));
      if (!body) return Error(Code::Disconnected, "the stream ended early");
      TRY_ASSIGN(auto message, wire::parse_interpreted_wal(*body));
      if (!message) continue;
      TRY_ASSIGN(ByteView opened, pg::open_batch(message->payload, buffer));
      wrong_ = take(opened);
      TRY(wrong_);
    }
    return {};
  }

 private:
  Status take(ByteView body) {
    TRY_ASSIGN(pg::BatchReader batch, pg::BatchReader::open(body));
    const pg::BatchHeader& header = batch.header();
    if (header.start > at_ || header.end <= at_)
      return differs("a batch from " + to_string(header.start), at_);
    auto next = std::ranges::upper_bound(ledger_.records, at_, {}, &pg::PlacedRecord::end);
    pg::InterpretedRecord record;
    for (;;) {
      TRY_ASSIGN(bool found, batch.next(record));
      if (!found) break;
      if (record.end <= at_) continue;
      if (next == ledger_.records.end() || next->start != record.start || next->end != record.end)
        return differs("there is no such record, or one before it is missing", record.start);
      if (!record.has_effects || !pg::check_record_crc(record.record))
        return differs("it is not what was written", record.start);
      ++next;
    }
    if (next == ledger_.records.begin() || std::prev(next)->end != header.end ||
        std::prev(next)->start != header.last_record)
      return differs("the batch does not end with its last record, at " + to_string(header.end), at_);
    at_ = header.end;
    return {};
  }

  const WalLedger& ledger_;
  Lsn at_ = WalLedger::kStart;
  Status wrong_;
};

wire::InterpretedStream some_stream(Random& random) {
  wire::InterpretedStream stream;
  stream.zstd = random.chance({1, 2});
  stream.shard_count = static_cast<uint32_t>(random.between(1, 3));
  stream.shard_number = static_cast<uint32_t>(random.below(stream.shard_count));
  return stream;
}

}  // namespace

Status read_interpreted(Task& task, Run& run, WalCluster& cluster, int number) {
  Random& random = task.env().random("interpreted reader " + std::to_string(number));
  InterpretedReader reader(cluster.ledger());
  for (;;) {
    const std::string& host = cluster.safekeepers()[random.below(cluster.safekeepers().size())]->name();
    if (random.chance({1, 12})) reader.go_to(WalLedger::kStart);
    {
      Deadline deadline(task, random.between(200_ms, 5_s));
      ignore_result(reader.read(task, host, some_stream(random), Lsn(UINT64_MAX)));
    }
    if (!reader.wrong().ok())
      run.fail("interpreted WAL is what was written", host + ": " + reader.wrong().error().to_string());
    // Now and then long enough for everybody to fall asleep.
    TRY(task.sleep(random.chance({1, 2}) ? random.between(3_s, 10_s) : random.between(1_ms, 300_ms)));
  }
}

Status check_interpreted(Task& task, WalCluster& cluster, const std::string& safekeeper) {
  InterpretedReader reader(cluster.ledger());
  Deadline deadline(task, 30_s);
  for (;;) {
    Status read = reader.read(task, safekeeper, {}, cluster.ledger().acknowledged);
    if (!read.is(Code::Disconnected)) return read;
    TRY(task.sleep(100_ms));
  }
}

}  // namespace argon::scenarios
