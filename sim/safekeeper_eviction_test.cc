// Timelines whose WAL is in the object store alone: they give up their segments, come back for whoever
// comes, at each crash, and never on the word of an object that is not what was uploaded.

#include "core/env/io.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/control_file.h"
#include "sim/one_safekeeper.h"

namespace argon::sim {
namespace {

using namespace argon::literals;
using nlohmann::json;

constexpr int kCrashes = 120;

class SafekeeperEviction : public WrittenSafekeeper {
 protected:
  SafekeeperEviction() {
    sk_.power_loss();
    base_.evict_after = 120_s;
    boot();
  }

  void boot() { OneSafekeeper::boot(sk_, NodeId(1), &bucket_); }
  void lose_power() {
    sk_.power_loss();
    boot();
  }
  void write_and_idle(int records, size_t size = 1000, bool end_segment = false) {
    write(records, size, end_segment);
    world_.run_for(240_s);
  }
  bool evicted() { return status().value("evicted", false); }
  std::vector<std::string> segments() {
    std::vector<std::string> names;
    if (auto folder = sk_.storage().find(kFolder); folder != nullptr)
      for (const auto& [name, inode] : folder->entries)
        if (name.starts_with("0000")) names.push_back(name);
    return names;
  }
  safekeeper::TimelineControl control() {
    auto file = sk_.storage().find(kFolder + "/" + std::string(safekeeper::kControlFileName));
    if (file == nullptr) return {};
    Bytes bytes(file->size());
    file->read(0, bytes);
    auto decoded = safekeeper::decode_control(bytes);
    EXPECT_TRUE(decoded.ok()) << decoded.error().to_string();
    return decoded.ok() ? *decoded : safekeeper::TimelineControl();
  }
  // Of all that is committed, as readers get it.
  Result<uint64_t> digest() {
    TRY_ASSIGN(json answer, call("GET", kPath + "/digest?from_lsn=" + http::url_encode(to_string(kStart)) +
                                            "&until_lsn=" + http::url_encode(to_string(end_))));
    return answer.at("crc32c").get<uint64_t>();
  }
  uint64_t must_digest() {
    auto got = digest();
    EXPECT_TRUE(got.ok()) << got.error().to_string();
    return got.ok() ? *got : 0;
  }
  Bytes object(const std::string& key) {
    const Blob* blob = bucket_.find(key);
    EXPECT_NE(blob, nullptr) << key;
    return blob == nullptr ? Bytes() : blob->bytes();
  }
  Status change(const std::string& key, const std::optional<Bytes>& bytes) {
    return world_.run(client_, [&](Task& task) -> Status {
      BucketStore store(bucket_, 1_ms);
      if (bytes) return store.put(task, key, ByteView(*bytes));
      std::vector<std::string> keys{key};
      return store.remove(task, keys);
    });
  }
  std::string metric(const std::string& name) {
    Result<std::string> text = std::string();
    EXPECT_TRUE(world_
                    .run(client_,
                         [&](Task& task) -> Status {
                           http::ClientRequest request;
                           request.target = "/metrics";
                           TRY_ASSIGN(http::Response got,
                                      http::fetch(task, Address::tcp("sk", 7676), request));
                           text = got.body;
                           return {};
                         })
                    .ok());
    size_t at = text->find("\nargon_safekeeper_" + name + "{");
    if (at == std::string::npos) return "none";
    size_t value = text->find("} ", at) + 2;
    return text->substr(value, text->find('\n', value) - value);
  }

  Bucket bucket_;
};

TEST_F(SafekeeperEviction, WhatNobodyUsesGivesUpItsSegmentsAndComesBackForAProposer) {
  write(20);
  uint64_t before = must_digest();
  json awake = status();
  EXPECT_EQ(segments().size(), 1u);
  world_.run_for(240_s);
  json evicted = status();
  EXPECT_TRUE(evicted.at("evicted"));
  EXPECT_EQ(segments(), std::vector<std::string>());
  for (const char* what : {"term", "flush_lsn", "commit_lsn", "acceptor_state"})
    EXPECT_EQ(evicted.at(what), awake.at(what)) << what;
  EXPECT_EQ(metric("evictions"), "1");
  EXPECT_EQ(metric("evicted"), "1");
  Lsn first_end = end_;
  write(20);
  EXPECT_GT(end_, first_end);
  EXPECT_FALSE(status().at("evicted"));
  EXPECT_EQ(metric("returns"), "1");
  end_ = first_end;
  EXPECT_EQ(must_digest(), before);
}

TEST_F(SafekeeperEviction, AReaderGetsWhatWasThereAlsoAfterARestart) {
  write_and_idle(20);
  ASSERT_TRUE(evicted());
  lose_power();
  EXPECT_TRUE(evicted());
  EXPECT_EQ(segments(), std::vector<std::string>());
  uint64_t once = must_digest();
  EXPECT_EQ(segments().size(), 1u);
  world_.run_for(240_s);
  ASSERT_TRUE(evicted());
  EXPECT_EQ(must_digest(), once);
  // The object of before is not needed once a later one is there.
  write_and_idle(1);
  ASSERT_TRUE(evicted());
  size_t partial = 0;
  for (const auto& [key, bytes] : bucket_.objects()) partial += key.ends_with(".partial") ? 1 : 0;
  EXPECT_EQ(partial, 1u);
}

TEST_F(SafekeeperEviction, OldSegmentsGoWithItAndAreReadFromTheObjectStore) {
  write(60, 600'000);
  uint64_t before = must_digest();
  EXPECT_EQ(segments().size(), 3u);
  world_.run_for(240_s);
  ASSERT_TRUE(evicted());
  EXPECT_EQ(segments(), std::vector<std::string>());
  EXPECT_EQ(must_digest(), before);
  EXPECT_EQ(segments().size(), 1u);
  lose_power();
  EXPECT_EQ(must_digest(), before);
  write(5);
}

TEST_F(SafekeeperEviction, OneThatEndsWithItsSegmentNeedsNoPartialObject) {
  write_and_idle(5, 1000, true);
  ASSERT_EQ(pg::segment_offset(end_), 0u);
  ASSERT_TRUE(evicted());
  EXPECT_FALSE(control().evicted->key.ends_with(".partial"));
  lose_power();
  must_digest();
  write(5);
}

// Everything up to a moment between `from` and `to` of what eviction and return do; then power is lost.
TEST_F(SafekeeperEviction, ACrashWhileItIsEvictedLosesNothing) {
  write(20);
  uint64_t before = must_digest();
  size_t torn = 0;
  for (int crash = 0; crash < kCrashes; crash++) {
    // Until just before it is due; what then happens takes milliseconds.
    world_.run_for(119_s);
    for (int i = 0; i < 3000 && !control().evicted; i++) world_.run_for(1_ms);
    world_.run_for(Duration::microseconds(crash * 50));
    sk_.power_loss();
    ASSERT_TRUE(control().evicted || segments().size() == 1u);
    torn += control().evicted && !segments().empty() ? 1 : 0;
    boot();
    ASSERT_EQ(must_digest(), before) << "crash " << crash;
    write(1);
    ASSERT_FALSE(HasFailure());
    before = must_digest();
  }
  EXPECT_GT(torn, 0u) << "no crash between the control file and the removal";
}

TEST_F(SafekeeperEviction, ACrashWhileItComesBackLosesNothing) {
  write(20);
  uint64_t before = must_digest();
  size_t files = 0;
  size_t back = 0;
  for (int crash = 0; crash < kCrashes; crash++) {
    world_.run_for(240_s);
    ASSERT_TRUE(control().evicted);
    client_.spawn("reader", [](Task& task) -> Status {
      ignore_result(http::fetch_json(task, Address::tcp("sk", 7676), "GET", kPath + "/wal_chain", {}));
      return {};
    });
    world_.run_for(Duration::microseconds(crash * 100));
    sk_.power_loss();
    files += control().evicted && !segments().empty() ? 1 : 0;
    back += control().evicted ? 0 : 1;
    boot();
    ASSERT_EQ(must_digest(), before) << "crash " << crash;
    write(1);
    ASSERT_FALSE(HasFailure());
    before = must_digest();
  }
  EXPECT_GT(files, 0u) << "no crash while the segment was on its way";
  EXPECT_GT(back, 0u) << "no crash after it was back";
}

TEST_F(SafekeeperEviction, WithoutItsObjectItSaysSoAndDoesNotVote) {
  write(20);
  uint64_t before = must_digest();
  world_.run_for(240_s);
  ASSERT_TRUE(evicted());
  std::string key = control().evicted->key;
  Bytes whole = object(key);
  Bytes damaged = whole;
  damaged[damaged.size() / 2] ^= 1;
  Bytes shorter(whole.begin(), whole.end() - 8);
  Bytes longer = whole;
  longer.resize(whole.size() + 8);
  Term term = term_;
  for (const std::optional<Bytes>& bytes :
       {std::optional<Bytes>(), std::optional(damaged), std::optional(shorter), std::optional(longer)}) {
    ASSERT_TRUE(change(key, bytes).ok());
    auto read = digest();
    ASSERT_FALSE(read.ok());
    EXPECT_NE(read.error().message().find(key), std::string::npos) << read.error().message();
    EXPECT_FALSE(try_write(1).ok());
    EXPECT_EQ(term_, term);
    lose_power();
    json said = status();
    EXPECT_TRUE(said.at("evicted"));
    EXPECT_EQ(said.at("flush_lsn"), to_string(end_));
    EXPECT_EQ(segments(), std::vector<std::string>());
  }
  ASSERT_FALSE(digest().ok());
  EXPECT_NE(metric("return_failures"), "0");
  ASSERT_TRUE(change(key, whole).ok());
  EXPECT_EQ(must_digest(), before);
  write(1);
}

TEST_F(SafekeeperEviction, ADamagedObjectIsMadeUpForByAPeersThatHoldsTheSame) {
  write(20);
  uint64_t before = must_digest();
  for (int damage = 0; damage < 4; damage++) {
    world_.run_for(600_s);
    ASSERT_TRUE(evicted());
    std::string key = control().evicted->key;
    Bytes whole = object(key);
    Bytes damaged = whole;
    damaged[damaged.size() / 2] ^= 1;
    std::string segment = key.substr(0, key.find('_'));
    // One that has another bit wrong, one that is too short, and a good one that goes on, of three peers.
    Bytes longer = whole;
    longer.resize(whole.size() + 500, 0x33);
    Bytes wrong = longer;
    wrong[whole.size() / 3] ^= 1;
    ASSERT_TRUE(change(segment + "_1_0_sk2_00000000.partial", wrong).ok());
    ASSERT_TRUE(change(segment + "_1_0_sk3_00000000.partial", Bytes(whole.begin(), whole.end() - 8)).ok());
    ASSERT_TRUE(change(key, damage == 0   ? std::optional<Bytes>()
                            : damage == 1 ? std::optional(damaged)
                            : damage == 2 ? std::optional(Bytes(whole.begin(), whole.end() - 8))
                                          : std::optional(longer))
                    .ok());
    EXPECT_FALSE(digest().ok());
    ASSERT_TRUE(change(segment + "_1_0_sk4_00000000.partial", longer).ok());
    EXPECT_EQ(must_digest(), before);
    EXPECT_FALSE(evicted());
    for (const char* peer : {"sk2", "sk3", "sk4"})
      ASSERT_TRUE(change(segment + "_1_0_" + peer + "_00000000.partial", std::nullopt).ok());
  }
  world_.run_for(600_s);
  ASSERT_TRUE(evicted());
  EXPECT_EQ(must_digest(), before);
}

TEST_F(SafekeeperEviction, AnObjectThatIsNotWhatIsHereIsUploadedAgain) {
  write(20);
  uint64_t before = must_digest();
  world_.run_for(100_s);
  std::string key = control().partial.key;
  Bytes damaged = object(key);
  damaged[damaged.size() - 100] ^= 1;
  ASSERT_TRUE(change(key, damaged).ok());
  world_.run_for(100_s);
  EXPECT_FALSE(evicted());
  EXPECT_EQ(segments().size(), 1u);
  world_.run_for(600_s);
  ASSERT_TRUE(evicted());
  EXPECT_NE(control().evicted->key, key);
  EXPECT_EQ(bucket_.find(key), nullptr);
  EXPECT_EQ(must_digest(), before);
}

TEST_F(SafekeeperEviction, DamagedWalIsNotGivenUp) {
  write(20);
  world_.run_for(100_s);
  sk_.power_loss();
  sk_.boot([](Task& task, Env& env) -> Status {
    TRY_ASSIGN(auto file, env.disk().open(task, kFolder + "/000000010000000000000001", OpenMode::ReadWrite));
    Bytes wrong(1, 0x55);
    TRY(write_all_at(task, *file, 8000, wrong));
    return file->fdatasync(task);
  });
  world_.run_for(1_s);
  boot();
  world_.run_for(600_s);
  EXPECT_FALSE(evicted());
  EXPECT_EQ(segments().size(), 1u);
  EXPECT_NE(metric("damaged_reads"), "0");
}

TEST_F(SafekeeperEviction, WhatAnOrderlyStopLeftIsUploadedFirst) {
  write(20);
  uint64_t before = must_digest();
  sk_.ask_to_stop();
  world_.run_for(5_s);
  boot();
  EXPECT_EQ(control().partial.key, "");
  world_.run_for(600_s);
  EXPECT_TRUE(evicted());
  EXPECT_EQ(must_digest(), before);
}

TEST_F(SafekeeperEviction, AFormerMemberRemovesItsObject) {
  write_and_idle(20);
  ASSERT_TRUE(evicted());
  std::string key = control().evicted->key;
  ASSERT_TRUE(call("PUT", kPath + "/exclude", configuration(2, {7})).ok());
  world_.run_for(5_s);
  EXPECT_EQ(bucket_.find(key), nullptr);
  EXPECT_FALSE(control().evicted);
  lose_power();
  EXPECT_FALSE(digest().ok());
}

TEST_F(SafekeeperEviction, WhatIsDeletedLeavesNothing) {
  write_and_idle(20);
  ASSERT_TRUE(evicted());
  // While it is on its way back.
  client_.spawn("reader", [](Task& task) -> Status {
    ignore_result(http::fetch_json(task, Address::tcp("sk", 7676), "GET", kPath + "/wal_chain", {}));
    return {};
  });
  world_.run_for(2_ms);
  ASSERT_TRUE(call("DELETE", kPath).ok());
  world_.run_for(10_s);
  EXPECT_EQ(bucket_.size(), 0u);
  EXPECT_EQ(segments(), std::vector<std::string>());
}

}  // namespace
}  // namespace argon::sim
