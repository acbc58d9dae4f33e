// Bite tests of the object store.

#include "sim/bite.h"
#include "sim/bucket.h"

namespace argon::sim::bite {
namespace {

constexpr Duration kLatency = 5_ms;
const std::string kKey = "tenants/t/object";

// Puts one object and says how.
Status put_once(Trial& t, Bucket& bucket, const std::string& content, Duration limit = 100_s) {
  return t.on(
      t.a,
      [&](Task& task) {
        BucketStore store(bucket, kLatency);
        return store.put(task, kKey, as_bytes(content), objstore::PutMode::Replace);
      },
      limit);
}

std::string held(const Bucket& bucket) {
  const Blob* found = bucket.find(kKey);
  return found == nullptr ? std::string() : std::string(as_text(found->bytes()));
}

// "A put that I ask for is done."
bool a_put_is_done(Trial& t) {
  Bucket bucket;
  t.fault();
  ignore_result(put_once(t, bucket, "content"));
  return held(bucket) == "content";
}

TEST(Bite, store_error) {
  bites(everywhere(Kind::StoreError, 1), a_put_is_done);
}

TEST(Bite, store_outage) {
  bites(everywhere(Kind::StoreOutage, 0), a_put_is_done);
}

TEST(Bite, store_unreachable) {
  bites(on_a(Kind::StoreUnreachable), a_put_is_done);
}

TEST(Bite, store_lost_answer) {
  bites(everywhere(Kind::StoreLostAnswer, 1), [](Trial& t) {
    Bucket bucket;
    t.fault();
    Status put = put_once(t, bucket, "content");
    return put.ok() == (held(bucket) == "content");  // "an error means that it was not done"
  });
}

TEST(Bite, store_late) {
  bites(everywhere(Kind::StoreLate, 1, 4_s), [](Trial& t) {
    Bucket bucket;
    t.fault();
    ignore_result(put_once(t, bucket, "old"));
    t.world.run_for(5_s);
    // "after an error I put something else there, and that is what counts"
    EXPECT_TRUE(put_once(t, bucket, "new").ok());
    t.world.run_for(60_s);
    return held(bucket) == "new";
  });
}

Duration time_of_put(Trial& t) {
  Bucket bucket;
  t.fault();
  Duration began = t.world.now();
  ignore_result(put_once(t, bucket, "content"));
  return t.world.now() - began;
}

TEST(Bite, store_slow) {
  bites(everywhere(Kind::StoreSlow, 100), [](Trial& t) { return time_of_put(t) < 150_ms; });
}

TEST(Bite, store_hang) {
  bites(everywhere(Kind::StoreHang, 1), [](Trial& t) { return time_of_put(t) < 400_ms; });
}

TEST(Bite, store_throttle) {
  bites(everywhere(Kind::StoreThrottle, 5), [](Trial& t) {
    Bucket bucket;
    t.fault();
    Status all = t.on(t.a, [&](Task& task) -> Status {
      BucketStore store(bucket, 1_ms);
      for (int i = 0; i < 50; i++)  // "it takes as much as I send"
        TRY(store.put(task, kKey + std::to_string(i), as_bytes("x"), objstore::PutMode::Replace));
      return {};
    });
    return all.ok();
  });
}

TEST(Bite, store_read_error) {
  bites(everywhere(Kind::StoreReadError, 1), [](Trial& t) {
    Bucket bucket;
    EXPECT_TRUE(put_once(t, bucket, "content").ok());
    t.fault();
    return t
        .on(t.a,
            [&](Task& task) -> Status {
              BucketStore store(bucket, kLatency);
              TRY(store.get(task, kKey));
              return {};  // "what is there can be read"
            })
        .ok();
  });
}

}  // namespace
}  // namespace argon::sim::bite
