// Storage against a model: the model keeps every content a sector may legally have after power loss.

#include "sim/storage.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace argon::sim {
namespace {

constexpr CrashRules kAllRules{true, true, true};

// The file as a process sees it, and for each sector the contents that power loss may leave.
struct ModelFile {
  Bytes now;
  Bytes durable;

  void write(size_t offset, ByteView bytes) {
    if (now.size() < offset + bytes.size()) now.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), now.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  static Bytes sector(const Bytes& file, size_t index, size_t size) {
    Bytes out(kSectorSize);
    for (size_t i = 0; i < kSectorSize; i++) {
      size_t at = index * kSectorSize + i;
      if (at < file.size() && at < size) out[i] = file[at];
    }
    return out;
  }
  // Each sector of `found` is the old or the new one; the size is the old or the new one.
  void check(const Bytes& found) const {
    RC_ASSERT(found.size() == now.size() || found.size() == durable.size());
    for (size_t s = 0; s * kSectorSize < found.size(); s++) {
      Bytes have = sector(found, s, found.size());
      RC_ASSERT(have == sector(now, s, found.size()) || have == sector(durable, s, found.size()));
    }
  }
};

Bytes content(const Inode& inode) {
  Bytes all(inode.size());
  RC_ASSERT(inode.read(0, all) == all.size());
  return all;
}

RC_GTEST_PROP(Storage, AFileReadsAsWrittenAndSurvivesPowerLossAsSynced, (uint64_t seed)) {
  Random random(seed);
  Storage storage;
  auto inode = storage.make(false);
  storage.link(storage.root(), "f", inode);
  storage.sync_names(*storage.root());
  ModelFile model;
  for (int step = 0; step < 60; step++) {
    switch (random.below(8)) {
      case 0: {
        Inode::SyncToken token = inode->begin_sync();
        inode->end_sync(token);
        model.durable = model.now;
        break;
      }
      case 1: {
        size_t size = random.below(20000);
        inode->truncate(size);
        model.now.resize(size);
        break;
      }
      case 2: {
        CrashRules rules{random.below(2) == 0, random.below(2) == 0, false};
        CrashLoss loss;
        inode->crash(random, rules, loss);
        Bytes found = content(*inode);
        model.check(found);
        RC_ASSERT(rules.lose_data || rules.tear_sectors || found == model.now);
        model.now = model.durable = found;
        break;
      }
      default: {
        size_t offset = random.below(16000);
        Bytes bytes(1 + random.below(3000));
        random.fill(bytes);
        if (random.below(4) == 0) std::fill(bytes.begin(), bytes.end(), uint8_t{0});
        inode->write(offset, bytes);
        model.write(offset, bytes);
      }
    }
    RC_ASSERT(content(*inode) == model.now);
  }
}

RC_GTEST_PROP(Storage, WhatIsWrittenDuringASyncIsNotCoveredByIt, (uint64_t seed)) {
  Random random(seed);
  Storage storage;
  auto inode = storage.make(false);
  Bytes before(3000, 'b');
  Bytes after(1000, 'a');
  size_t at = random.below(2000);
  inode->write(0, before);
  Inode::SyncToken token = inode->begin_sync();
  inode->write(at, after);
  inode->end_sync(token);
  CrashLoss loss;
  inode->crash(random, {true, false, false}, loss);
  Bytes found = content(*inode);
  RC_ASSERT(found.size() >= before.size());
  for (size_t i = 0; i < before.size(); i++)
    RC_ASSERT(found[i] == 'b' || (found[i] == 'a' && i >= at && i < at + after.size()));
}

TEST(Storage, AFailedSyncDropsThePagesAndASecondOneProvesNothing) {
  Random random(1);
  Storage storage;
  auto inode = storage.make(false);
  inode->write(0, as_bytes("old"));
  inode->end_sync(inode->begin_sync());
  inode->write(0, as_bytes("new"));
  inode->fail_sync(inode->begin_sync());
  EXPECT_EQ(as_text(content(*inode)), "new");
  inode->end_sync(inode->begin_sync());
  CrashLoss loss;
  inode->crash(random, {}, loss);
  EXPECT_EQ(as_text(content(*inode)), "old");
  EXPECT_EQ(loss.sectors, 1u);
}

TEST(Storage, WhatAPowerLossMayBringBackBeyondAnOffsetIsTold) {
  Storage storage;
  auto inode = storage.make(false);
  inode->write(1000, Bytes(9000, 1));
  EXPECT_TRUE(inode->may_hold_beyond(9999));
  EXPECT_FALSE(inode->may_hold_beyond(10'000));
  inode->end_sync(inode->begin_sync());
  inode->truncate(700);
  inode->truncate(20'000);
  EXPECT_TRUE(inode->may_hold_beyond(700));  // the medium has it still
  EXPECT_TRUE(inode->may_hold_beyond(9999));
  inode->end_sync(inode->begin_sync());
  EXPECT_FALSE(inode->may_hold_beyond(0));
}

RC_GTEST_PROP(Storage, SyncedNamesSurviveAndARenameIsAllOrNothing, (uint64_t seed)) {
  Random random(seed);
  Storage storage;
  auto root = storage.root();
  auto old_file = storage.make(false);
  storage.link(root, "target", old_file);
  storage.sync_names(*root);
  auto new_file = storage.make(false);
  storage.link(root, "temporary", new_file);
  bool synced_between = random.below(2) == 0;
  if (synced_between) storage.sync_names(*root);
  storage.rename(root, "temporary", root, "target");
  bool synced = random.below(2) == 0;
  if (synced) storage.sync_names(*root);
  storage.crash(random, kAllRules);
  auto found = storage.find("/target");
  RC_ASSERT(found == old_file || found == new_file);
  RC_ASSERT(!synced || found == new_file);
  RC_ASSERT(found == old_file || storage.find("/temporary") == nullptr);
  RC_ASSERT(!synced_between || found == new_file || storage.find("/temporary") == new_file);
}

TEST(Storage, AnUnsyncedNameIsLostInSomeRunsAndKeptInOthers) {
  int lost = 0;
  for (uint64_t seed = 0; seed < 100; seed++) {
    Random random(seed);
    Storage storage;
    storage.link(storage.root(), "f", storage.make(false));
    storage.crash(random, kAllRules);
    lost += storage.find("/f") == nullptr ? 1 : 0;
  }
  EXPECT_GT(lost, 20);
  EXPECT_LT(lost, 80);
}

TEST(Storage, SpaceIsGivenBackWithTheLastNameAndHandle) {
  Storage storage;
  {
    auto inode = storage.make(false);
    storage.link(storage.root(), "f", inode);
    inode->write(0, Bytes(10000, 1));
    EXPECT_EQ(storage.bytes_in_use(), 3 * kPageSize);
    storage.link(storage.root(), "f", nullptr);
    storage.sync_names(*storage.root());
  }
  EXPECT_EQ(storage.bytes_in_use(), 0u);
}

}  // namespace
}  // namespace argon::sim
