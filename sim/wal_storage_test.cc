// A safekeeper's WAL segments on a made-up disk: where WAL ends after a crash, and what a cut leaves.

#include "core/safekeeper/wal_storage.h"

#include <gtest/gtest.h>

#include "core/env/io.h"
#include "core/fiber/scope.h"
#include "core/pg/wal_builder.h"
#include "sim/machine.h"

namespace argon::sim {
namespace {

using namespace argon::literals;
using safekeeper::SpareSegment;
using safekeeper::WalStorage;

constexpr Lsn kStart{0x1000028};
const std::string kDirectory = "/wal";

consensus::AcceptorState with_wal(Lsn commit = kStart) {
  consensus::AcceptorState state;
  state.configuration.generation = consensus::ConfigurationGeneration(1);
  state.local_start = state.timeline_start = kStart;
  state.commit = commit;
  return state;
}

pg::RecordBuilder record(size_t size, uint8_t fill) {
  pg::RecordBuilder r(pg::Rmgr::Xlog, 0x20, 3);
  r.main(Bytes(size, fill));
  return r;
}

// One machine, on which steps run one after the other.
struct Disked {
  explicit Disked(uint64_t seed = 1) {
    WorldOptions options;
    options.seed = seed;
    world = std::make_unique<World>(options);
    machine = &world->add_machine("sk");
    machine->boot(idle);
  }
  static Status idle(Task& task, Env&) {
    for (;;) TRY(task.sleep(3600_s));
  }
  Status step(const std::function<Status(Task&, Disk&)>& body) {
    return world->run(*machine, [&](Task& task) { return body(task, task.env().disk()); });
  }
  void crash() {
    machine->power_loss();
    machine->restart();
  }

  std::unique_ptr<World> world;
  Machine* machine = nullptr;
};

Result<std::unique_ptr<WalStorage>> open(Task& task, Disk& disk, const consensus::AcceptorState& state) {
  return WalStorage::open(task, disk, kDirectory, state, Lsn(), Logger(task.env().log()), nullptr);
}

Result<std::unique_ptr<WalStorage>> open(Task& task, Disk& disk, const consensus::AcceptorState& state,
                                         SpareSegment& spare) {
  return WalStorage::open(task, disk, kDirectory, state, Lsn(), Logger(task.env().log()), &spare);
}

// A fresh timeline with `records` records of 1000 bytes; its writer.
Status fill(Task& task, Disk& disk, int records, std::unique_ptr<WalStorage>& storage, pg::WalWriter& writer,
            SpareSegment* spare = nullptr) {
  TRY(make_dirs(task, disk, kDirectory));
  TRY_ASSIGN(storage, WalStorage::open(task, disk, kDirectory, {}, Lsn(), Logger(task.env().log()), spare));
  TRY(storage->initialise(task, kStart, 0));
  for (int i = 0; i < records; ++i) writer.append(record(1000, static_cast<uint8_t>(i)));
  TRY(storage->write(task, writer.begin(), writer.bytes()));
  writer.take();
  return {};
}

TEST(WalStorage, EndsAtTheLastWholeRecord) {
  Disked d;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 std::unique_ptr<WalStorage> storage;
                 pg::WalWriter writer({}, kStart, Lsn());
                 TRY(fill(task, disk, 30, storage, writer));
                 Lsn whole = writer.position();
                 writer.append(record(20'000, 7));
                 TRY(storage->write(task, writer.begin(), ByteView(writer.bytes()).first(9000)));
                 EXPECT_EQ(storage->record_end(), whole);
                 TRY_ASSIGN(auto flushed, storage->flush(task));
                 EXPECT_EQ(flushed.record_end, whole);
                 EXPECT_EQ(flushed.durable, whole + 9000);
                 TRY_ASSIGN(auto again, open(task, disk, with_wal()));
                 EXPECT_EQ(again->end().flush, whole);
                 // What was behind it is gone.
                 Bytes behind(9000);
                 TRY_ASSIGN(size_t n, again->read(task, whole, behind));
                 EXPECT_EQ(n, behind.size());
                 EXPECT_EQ(behind, Bytes(9000, 0));
                 return {};
               }).ok());
}

// Before the first LSN there is a hole, but for the two headers that tools look at.
TEST(WalStorage, BeforeItsFirstLsnTakesNoRoom) {
  Disked d;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 const Lsn start(3 * pg::kWalSegmentSize - 3 * pg::kWalBlockSize + 1000);
                 TRY(make_dirs(task, disk, kDirectory));
                 TRY_ASSIGN(auto storage, open(task, disk, {}));
                 TRY(storage->initialise(task, start, 7));
                 EXPECT_LT(d.machine->storage().bytes_in_use(), 64u * 1024);
                 for (Lsn page : {pg::segment_start(start), pg::page_start(start)}) {
                   Bytes header(pg::page_header_size(page));
                   TRY_ASSIGN(size_t n, storage->read(task, page, header));
                   EXPECT_EQ(n, header.size());
                   EXPECT_TRUE(pg::read_page_header(header, page, {7}).ok());
                 }
                 return {};
               }).ok());
}

// A page in the middle of a segment does not say whose it is; the first of each does.
TEST(WalStorage, BadInputWalOfAnotherSystemIsRefused) {
  Disked d;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 std::unique_ptr<WalStorage> storage;
                 pg::WalWriter writer({7}, kStart, Lsn());
                 TRY(fill(task, disk, 1, storage, writer));
                 storage->expect_system(8);
                 Lsn border = pg::segment_start(kStart) + pg::kWalSegmentSize;
                 while (writer.position() < border + pg::kWalBlockSize) writer.append(record(8000, 7));
                 Status written = storage->write(task, writer.begin(), writer.bytes());
                 EXPECT_TRUE(written.is(Code::Corrupt));
                 std::string said = written.ok() ? "" : written.error().message();
                 EXPECT_NE(said.find("system"), std::string::npos) << said;
                 EXPECT_LE(storage->record_end(), border);

                 // What was written before anybody knew is found at the next start.
                 TRY(remove_tree(task, disk, kDirectory));
                 pg::WalWriter other({7}, kStart, Lsn());
                 TRY(fill(task, disk, 1, storage, other));
                 while (other.position() < border + pg::kWalBlockSize) other.append(record(8000, 7));
                 TRY(storage->write(task, other.begin(), other.bytes()));
                 TRY(storage->flush(task));
                 consensus::AcceptorState state = with_wal();
                 state.commit = other.position();
                 state.server.system_id = 7;
                 EXPECT_TRUE(open(task, disk, state).ok());
                 state.server.system_id = 8;
                 EXPECT_TRUE(open(task, disk, state).is(Code::Corrupt));
                 return {};
               }).ok());
}

// A switch record ends with its segment. Its zeros come later than it, and until then it is no record.
// At a start only the last segment is looked at, and that begins with the rest of a record.
TEST(WalStorage, ACommittedRecordMayReachJustIntoTheNextSegment) {
  Disked d;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 std::unique_ptr<WalStorage> storage;
                 pg::WalWriter writer({}, kStart, Lsn());
                 TRY(fill(task, disk, 1, storage, writer));
                 Lsn border = pg::segment_start(kStart) + pg::kWalSegmentSize;
                 while (writer.position() < border) writer.append(record(8000, 7));
                 Lsn end = writer.position();
                 EXPECT_LT(end - border, pg::kWalBlockSize);
                 TRY(storage->write(task, writer.begin(), writer.bytes()));
                 TRY(storage->flush(task));
                 storage.reset();
                 TRY_ASSIGN(storage, open(task, disk, with_wal(end)));
                 EXPECT_EQ(storage->end().flush, end);
                 return {};
               }).ok());
}

TEST(WalStorage, ASwitchRecordIsWholeWithItsZeros) {
  Disked d;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 std::unique_ptr<WalStorage> storage;
                 pg::WalWriter writer({}, kStart, Lsn());
                 TRY(fill(task, disk, 3, storage, writer));
                 writer.append(record(1000, 3));
                 Lsn before = writer.position();
                 writer.append_switch();
                 Lsn segment_end = writer.position();
                 EXPECT_EQ(segment_end, Lsn(0x2000000));
                 Bytes wal = writer.bytes();
                 size_t first = before - writer.begin() + 24;  // a switch record is a header alone
                 TRY(storage->write(task, writer.begin(), ByteView(wal).first(first)));
                 TRY_ASSIGN(auto partly, storage->flush(task));
                 EXPECT_EQ(partly.record_end, before);
                 EXPECT_EQ(partly.durable, before + 24);
                 TRY(storage->write(task, storage->written(), ByteView(wal).subspan(first)));
                 TRY_ASSIGN(auto whole, storage->flush(task));
                 EXPECT_EQ(whole.record_end, segment_end);
                 EXPECT_EQ(whole.durable, segment_end);
                 TRY_ASSIGN(auto again, open(task, disk, with_wal()));
                 EXPECT_EQ(again->end().flush, segment_end);
                 return {};
               }).ok());
}

TEST(WalStorage, WhatOnlyTheCacheHoldsAfterAFailedSyncIsWrittenAgain) {
  Disked d;
  d.machine->faults.begin(faults::Kind::DroppedPagesLinger, 0);
  Lsn told;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 std::unique_ptr<WalStorage> storage;
                 pg::WalWriter writer({}, kStart, Lsn());
                 TRY(fill(task, disk, 10, storage, writer));
                 told = writer.position();
                 d.machine->faults.begin(faults::Kind::SyncFailure, 1);
                 EXPECT_FALSE(storage->flush(task).ok());
                 d.machine->faults.end(faults::Kind::SyncFailure);
                 return {};
               }).ok());
  d.machine->kill();
  d.machine->restart();
  auto end = [&](Lsn& found) {
    return d.step([&](Task& task, Disk& disk) -> Status {
      TRY_ASSIGN(auto storage, open(task, disk, with_wal()));
      found = storage->end().flush;
      return {};
    });
  };
  Lsn before;
  Lsn after;
  EXPECT_TRUE(end(before).ok());
  EXPECT_EQ(before, told);
  d.crash();
  EXPECT_TRUE(end(after).ok());
  EXPECT_EQ(after, told);
}

// It finds nothing dirty, since the one that failed took the marks; nothing is durable either.
TEST(WalStorage, WhoWaitedForAFlushThatFailedFailsToo) {
  Disked d;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 std::unique_ptr<WalStorage> storage;
                 pg::WalWriter writer({}, kStart, Lsn());
                 TRY(fill(task, disk, 10, storage, writer));
                 d.machine->faults.begin(faults::Kind::SyncFailure, 1);
                 Scope flushers(task);
                 int failed = 0;
                 for (const char* name : {"first", "waits for it"})
                   flushers.spawn(name, [&](Task& t) -> Status {
                     failed += storage->flush(t).is(Code::Io) ? 1 : 0;
                     return {};
                   });
                 TRY(flushers.join(task));
                 EXPECT_EQ(failed, 2);
                 d.machine->faults.end(faults::Kind::SyncFailure);
                 EXPECT_TRUE(storage->truncate(task, kStart).is(Code::Io));
                 return {};
               }).ok());
}

TEST(WalStorage, WhatWasFlushedSurvivesPowerLoss) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Disked d(seed);
    d.machine->faults.begin(faults::Kind::UnsyncedDataLost, 1);
    d.machine->faults.begin(faults::Kind::TornSectors, 1);
    d.machine->faults.begin(faults::Kind::UnsyncedNamesLost, 1);
    Lsn flushed;
    Lsn written;
    pg::WalWriter writer({}, kStart, Lsn());
    ASSERT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                   std::unique_ptr<WalStorage> storage;
                   TRY(fill(task, disk, static_cast<int>(seed), storage, writer));
                   TRY_ASSIGN(auto done, storage->flush(task));
                   flushed = done.record_end;
                   for (int i = 0; i < 20; ++i) writer.append(record(3000, 9));
                   Status ok = storage->write(task, writer.begin(), writer.bytes());
                   written = writer.position();
                   return ok;
                 }).ok());
    d.crash();
    Status reopened = d.step([&](Task& task, Disk& disk) -> Status {
      TRY_ASSIGN(auto storage, open(task, disk, with_wal(flushed)));
      EXPECT_GE(storage->end().flush, flushed) << "seed " << seed;
      EXPECT_LE(storage->end().flush, written) << "seed " << seed;
      return {};
    });
    EXPECT_TRUE(reopened.ok()) << reopened.error().to_string();
  }
}

// A start record has the same length in each term: behind it, the old term's next record would decode.
TEST(WalStorage, ACutLeavesNothingThatDecodes) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    Disked d(seed);
    d.machine->faults.begin(faults::Kind::UnsyncedDataLost, 1);
    d.machine->faults.begin(faults::Kind::UnsyncedNamesLost, 1);
    Lsn ours;
    ASSERT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                   std::unique_ptr<WalStorage> storage;
                   pg::WalWriter old_term({}, kStart, Lsn());
                   TRY(fill(task, disk, 5, storage, old_term));
                   Lsn cut = old_term.position();
                   Lsn previous = old_term.previous();
                   // The old term goes on, into the next segment.
                   for (int i = 0; i < 20; ++i) old_term.append(record(i == 0 ? 100 : 1'000'000, 1));
                   TRY(storage->write(task, old_term.begin(), old_term.bytes()));
                   TRY_ASSIGN(auto flushed, storage->flush(task));
                   EXPECT_GT(flushed.record_end, cut + (16u << 20));
                   TRY(storage->truncate(task, cut));
                   // From here on the new history counts: a crash must not bring the tail back.
                   pg::WalWriter new_term({}, cut, previous);
                   new_term.append(record(100, 2));
                   TRY(storage->write(task, new_term.begin(), new_term.bytes()));
                   ours = new_term.position();
                   TRY(storage->flush(task));
                   return {};
                 }).ok());
    d.crash();
    Status reopened = d.step([&](Task& task, Disk& disk) -> Status {
      TRY_ASSIGN(auto storage, open(task, disk, with_wal()));
      EXPECT_EQ(storage->end().flush, ours) << "seed " << seed << ": " << storage->end_reason();
      TRY_ASSIGN(auto names, disk.list(task, kDirectory));
      EXPECT_EQ(names.size(), 1u);
      return {};
    });
    EXPECT_TRUE(reopened.ok()) << reopened.error().to_string();
  }
}

TEST(WalStorage, CommittedWalThatDoesNotDecodeIsAnError) {
  Disked d;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 std::unique_ptr<WalStorage> storage;
                 pg::WalWriter writer({}, kStart, Lsn());
                 TRY(fill(task, disk, 30, storage, writer));
                 TRY(storage->flush(task));
                 TRY_ASSIGN(auto file,
                            disk.open(task, kDirectory + "/000000010000000000000001", OpenMode::ReadWrite));
                 Bytes flipped(1);
                 TRY(read_exact_at(task, *file, 5000, flipped));
                 flipped[0] ^= 4;
                 TRY(write_all_at(task, *file, 5000, flipped));
                 auto state = with_wal(writer.position());
                 auto damaged = open(task, disk, state);
                 EXPECT_TRUE(damaged.is(Code::Corrupt));
                 flipped[0] ^= 4;
                 TRY(write_all_at(task, *file, 5000, flipped));
                 EXPECT_TRUE(open(task, disk, state).ok());
                 TRY(file->truncate(task, 20'000));
                 auto cut_short = open(task, disk, state);
                 EXPECT_TRUE(cut_short.is(Code::Corrupt));
                 return {};
               }).ok());
}

TEST(WalStorage, RefusesBytesThatAreNotWal) {
  Disked d;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 std::unique_ptr<WalStorage> storage;
                 pg::WalWriter writer({}, kStart, Lsn());
                 TRY(fill(task, disk, 3, storage, writer));
                 Bytes junk(100, 0xAB);
                 EXPECT_TRUE(storage->write(task, writer.position(), junk).is(Code::Corrupt));
                 return {};
               }).ok());
}

TEST(WalStorage, WalThatEndsWithItsSegmentIsFoundAndStays) {
  Disked d;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 std::unique_ptr<WalStorage> storage;
                 pg::WalWriter writer({}, kStart, Lsn());
                 TRY(fill(task, disk, 3, storage, writer));
                 writer.append_switch();
                 TRY(storage->write(task, writer.begin(), writer.bytes()));
                 TRY(storage->flush(task));
                 EXPECT_EQ(storage->record_end(), Lsn(0x2000000));
                 TRY_ASSIGN(size_t none, storage->remove_below(task, Lsn(0x2000000)));
                 EXPECT_EQ(none, 0u);
                 TRY_ASSIGN(auto again, open(task, disk, with_wal(Lsn(0x2000000))));
                 EXPECT_EQ(again->end().flush, Lsn(0x2000000));
                 return {};
               }).ok());
}

// Writes on to a little behind the next segment's begin.
Status write_over_the_border(Task& task, WalStorage& storage, pg::WalWriter& writer) {
  Lsn border = pg::segment_start(writer.position()) + pg::kWalSegmentSize;
  while (writer.position() < border + pg::kWalBlockSize) writer.append(record(8000, 7));
  TRY(storage.write(task, writer.begin(), writer.bytes()));
  writer.take();
  return {};
}

Result<bool> is_there(Task& task, Disk& disk, std::string_view name) {
  auto info = disk.stat(task, join_path(kDirectory, name));
  if (info.is(Code::NotFound)) return false;
  TRY(info);
  return true;
}

TEST(WalStorage, ASegmentMadeAheadIsTheNextOne) {
  Disked d;
  Lsn end;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 SpareSegment spare(disk, kDirectory);
                 std::unique_ptr<WalStorage> storage;
                 pg::WalWriter writer({}, kStart, Lsn());
                 TRY(fill(task, disk, 1, storage, writer, &spare));
                 EXPECT_FALSE(storage->spare_is_due());
                 while (pg::segment_offset(writer.position()) < pg::kWalSegmentSize / 2) {
                   writer.append(record(100'000, 7));
                   TRY(storage->write(task, writer.begin(), writer.bytes()));
                   writer.take();
                   TRY(storage->flush(task));
                 }
                 EXPECT_TRUE(storage->spare_is_due());
                 TRY(spare.make(task));
                 EXPECT_FALSE(storage->spare_is_due());
                 TRY_ASSIGN(FileInfo file, disk.stat(task, join_path(kDirectory, safekeeper::kSpareName)));
                 EXPECT_EQ(file.size, pg::kWalSegmentSize);

                 TRY(write_over_the_border(task, *storage, writer));
                 end = storage->record_end();
                 TRY_ASSIGN(bool left, is_there(task, disk, safekeeper::kSpareName));
                 EXPECT_FALSE(left);
                 TRY(storage->flush(task));
                 return {};
               }).ok());
  d.crash();
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 TRY_ASSIGN(auto again, open(task, disk, with_wal()));
                 EXPECT_EQ(again->end().flush, end);
                 return {};
               }).ok());
}

// Whatever power loss leaves of it, and of its new name, counts for nothing.
TEST(WalStorage, ASegmentMadeAheadIsWorthNothingAfterACrash) {
  for (uint64_t seed = 1; seed <= 30; seed++) {
    Disked d(seed);
    Lsn end;
    EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                   SpareSegment spare(disk, kDirectory);
                   std::unique_ptr<WalStorage> storage;
                   pg::WalWriter writer({}, kStart, Lsn());
                   TRY(fill(task, disk, 3, storage, writer, &spare));
                   TRY(storage->flush(task));
                   end = storage->record_end();
                   TRY(spare.make(task));
                   if (seed % 2 == 0) TRY(write_over_the_border(task, *storage, writer));
                   return {};
                 }).ok());
    d.crash();
    EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                   SpareSegment spare(disk, kDirectory);
                   TRY_ASSIGN(auto again, open(task, disk, with_wal(end), spare));
                   EXPECT_GE(again->end().flush, end);
                   TRY_ASSIGN(bool left, is_there(task, disk, safekeeper::kSpareName));
                   EXPECT_FALSE(left);
                   EXPECT_TRUE(spare.make(task).ok());
                   return {};
                 }).ok());
  }
}

// A timeline that is opened anew while the next segment is still being made for the one before.
TEST(WalStorage, ASegmentMadeForAFormerOneZeroesNoWal) {
  for (uint64_t seed = 1; seed <= 60; seed++) {
    Disked d(seed);
    Lsn end;
    EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                   SpareSegment spare(disk, kDirectory);
                   std::unique_ptr<WalStorage> former;
                   pg::WalWriter writer({}, kStart, Lsn());
                   TRY(fill(task, disk, 3, former, writer, &spare));
                   TRY(former->flush(task));
                   Random& random = task.env().random("test.pause");
                   Scope scope(task);
                   // Its first call of the disk may take long.
                   Duration pause = random.between(Duration(), 4_ms);
                   scope.spawn("make", [&](Task& t) -> Status {
                     TRY(t.sleep(pause));
                     return spare.make(t);
                   });
                   TRY_ASSIGN(auto again, open(task, disk, with_wal(writer.position()), spare));
                   ignore_result(spare.make(task));
                   TRY(write_over_the_border(task, *again, writer));
                   for (int i = 0; i < 12; i++) {
                     writer.append(record(1'000'000, 7));
                     TRY(again->write(task, writer.begin(), writer.bytes()));
                     writer.take();
                   }
                   TRY(again->flush(task));
                   end = again->record_end();
                   ignore_result(scope.join(task));
                   return {};
                 }).ok());
    EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                   TRY_ASSIGN(auto again, open(task, disk, with_wal(end)));
                   EXPECT_EQ(again->end().flush, end);
                   return {};
                 }).ok())
        << "seed " << seed;
    if (testing::Test::HasFailure()) break;
  }
}

TEST(WalStorage, SegmentsGoOnlyBelowTheHorizon) {
  Disked d;
  EXPECT_TRUE(d.step([&](Task& task, Disk& disk) -> Status {
                 std::unique_ptr<WalStorage> storage;
                 pg::WalWriter writer({}, kStart, Lsn());
                 TRY(fill(task, disk, 0, storage, writer));
                 for (int i = 0; i < 40; ++i) writer.append(record(1'000'000, 1));
                 TRY(storage->write(task, writer.begin(), writer.bytes()));
                 TRY(storage->flush(task));
                 TRY_ASSIGN(size_t none, storage->remove_below(task, Lsn(0x1FFFFFF)));
                 EXPECT_EQ(none, 0u);
                 TRY_ASSIGN(size_t one, storage->remove_below(task, Lsn(0x2000010)));
                 EXPECT_EQ(one, 1u);
                 EXPECT_EQ(storage->oldest(), Lsn(0x2000000));
                 Bytes into(10);
                 EXPECT_TRUE(storage->read(task, kStart, into).is(Code::NotFound));
                 auto state = with_wal(Lsn(0x2000000));
                 state.commit = writer.position();
                 TRY_ASSIGN(auto again, open(task, disk, state));
                 EXPECT_EQ(again->end().flush, writer.position());
                 return {};
               }).ok());
}

}  // namespace
}  // namespace argon::sim
