// S3Store against the model server, over a simulated network and a bucket with faults: what it says of what
// became of a request.

#include <gtest/gtest.h>

#include "core/fiber/scope.h"
#include "core/objstore/model/s3_server.h"
#include "core/objstore/s3_store.h"
#include "core/tls/testing/certificate.h"
#include "sim/bucket.h"
#include "sim/machine.h"

namespace argon::sim {
namespace {

using namespace literals;
using faults::Kind;
using objstore::ObjectStore;
using objstore::PutMode;
using objstore::S3Config;
using objstore::S3Server;
using objstore::S3ServerConfig;
using objstore::S3Store;

const objstore::S3Credentials kKeys{"access", "secret", ""};

WorldOptions seed(uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  return options;
}

class S3 : public testing::Test {
 public:
  using Use = std::function<Status(Task&, ObjectStore&)>;

  S3() : world_(seed(7)), server_machine_(world_.add_machine("s3")), client_(world_.add_machine("client")) {
    config_.endpoint = "http://s3:9000";
    config_.bucket = "bucket";
    config_.credentials = kKeys;
    config_.patience = 5_s;
    config_.part_bytes = 100'000;
    client_.boot([](Task& task, Env&) { return task.sleep(Duration::max()); });
  }
  ~S3() override { server_machine_.power_loss(); }

  void serve(S3ServerConfig config = {"bucket", "us-east-1", kKeys}, bool encrypted = false) {
    server_machine_.boot([this, config, encrypted](Task& task, Env& env) mutable -> Status {
      if (encrypted) {
        TRY_ASSIGN(config.tls, tls::Context::server(std::make_shared<tls::Library>(env),
                                                    as_bytes(tls::testing::kCertificate),
                                                    as_bytes(tls::testing::kKey), "http/1.1"));
      }
      BucketStore store(bucket_, 1_ms);
      S3Server server(env, store, config);
      server_ = &server;
      TRY_ASSIGN(auto listener, env.network().listen(task, Address::tcp("0.0.0.0", 9000)));
      return server.serve(task, *listener);
    });
    world_.run_for(10_ms);
  }
  // Whatever the endpoint's name, the machine is the same.
  Status use(const Use& use) {
    return world_.run(client_, [&](Task& task) -> Status {
      auto connect = [](Task& t) { return t.env().network().connect(t, Address::tcp("s3", 9000)); };
      TRY_ASSIGN(auto store, S3Store::open(task.env(), config_, connect));
      return use(task, *store);
    });
  }
  Status put(const std::string& key, const std::string& text, PutMode mode = PutMode::Replace) {
    return use([&](Task& task, ObjectStore& store) { return store.put(task, key, as_bytes(text), mode); });
  }
  std::string held(const std::string& key) const {
    const Blob* found = bucket_.find(key);
    return found == nullptr ? "nothing" : std::string(as_text(found->bytes()));
  }
  static std::string outcome(const Status& status) {
    return status.ok() ? "ok" : std::string(to_string(status.code()));
  }

 protected:
  World world_;
  Bucket bucket_;
  Machine& server_machine_;
  Machine& client_;
  S3Config config_;
  S3Server* server_ = nullptr;  // while the machine is up
};

TEST_F(S3, ALostAnswerMayHaveBeenApplied) {
  serve();
  world_.faults.begin(Kind::StoreLostAnswer, 1);
  EXPECT_EQ(outcome(put("a", "x")), "maybe applied");
  EXPECT_EQ(held("a"), "x");
  EXPECT_EQ(outcome(put("b", "x", PutMode::IfAbsent)), "maybe applied");
  EXPECT_EQ(held("b"), "x");
  EXPECT_EQ(outcome(put("big", std::string(250'000, 'y'))), "maybe applied");
  EXPECT_EQ(held("big"), std::string(250'000, 'y'));
  std::vector<std::string> both{"a", "b"};
  EXPECT_EQ(outcome(use([&](Task& task, ObjectStore& store) { return store.remove(task, both); })),
            "maybe applied");
  EXPECT_EQ(held("a"), "nothing");
}

TEST_F(S3, WhatIsAppliedLateMayHaveBeenApplied) {
  serve();
  world_.faults.begin(Kind::StoreLate, 1);
  EXPECT_EQ(outcome(put("a", "x")), "maybe applied");
  world_.run_for(40_s);
  EXPECT_EQ(held("a"), "x");
}

TEST_F(S3, RefusalsDidNotHappenAndReadsAreUnavailable) {
  serve();
  ASSERT_TRUE(put("there", "x").ok());
  world_.faults.begin(Kind::StoreOutage, 0);
  int definite = 0;
  for (int i = 0; i < 30; i++) {
    Status refused = put("a" + std::to_string(i), "x");
    // 500, and a connection that just ends, say nothing.
    EXPECT_TRUE(refused.is(Code::Unavailable) || refused.is(Code::MaybeApplied)) << outcome(refused);
    definite += refused.is(Code::Unavailable) ? 1 : 0;
    Status read = use([&](Task& task, ObjectStore& store) -> Status {
      TRY(store.get(task, "there"));
      return {};
    });
    EXPECT_EQ(outcome(read), "unavailable");
  }
  EXPECT_GT(definite, 0);
  EXPECT_EQ(bucket_.size(), 1u);
}

TEST_F(S3, AnAnswerThatBreaksOffIsNoObject) {
  serve();
  ASSERT_TRUE(put("a", std::string(1000, 'x')).ok());
  world_.faults.begin(Kind::StoreReadError, 1);
  Status read = use([&](Task& task, ObjectStore& store) -> Status {
    TRY(store.get(task, "a"));
    return {};
  });
  EXPECT_EQ(outcome(read), "unavailable");
}

TEST_F(S3, SilenceIsUnavailableForReadsAndOpenForPuts) {
  serve();
  ASSERT_TRUE(put("a", "x").ok());
  world_.net().begin_block(server_machine_.index(), client_.index());
  Duration before = world_.now();
  EXPECT_EQ(outcome(put("b", "y")), "unavailable");  // no connection was made
  EXPECT_LT(world_.now() - before, 6_s);
  world_.net().end_block(server_machine_.index(), client_.index());
  Status silent = use([&](Task& task, ObjectStore& store) -> Status {
    TRY(store.head(task, "a"));  // there is a connection now
    world_.net().begin_block(server_machine_.index(), client_.index());
    Status put = store.put(task, "c", as_bytes("z"));
    EXPECT_EQ(outcome(put), "maybe applied");
    EXPECT_EQ(held("c"), "z");
    auto got = store.get(task, "a");
    return got.ok() ? Status() : Status(got.error());
  });
  EXPECT_EQ(outcome(silent), "unavailable");
  {
    Status callers = use([&](Task& task, ObjectStore& store) -> Status {
      Deadline deadline(task, 1_s);
      auto got = store.get(task, "a");
      return got.ok() ? Status() : Status(got.error());
    });
    EXPECT_EQ(outcome(callers), "unavailable");  // no connection in time
  }
  world_.net().end_block(server_machine_.index(), client_.index());
}

TEST_F(S3, OneOfManyPutsIfAbsentWinsAndTheStoreIsTriedOnce) {
  serve();
  int won = 0;
  ASSERT_TRUE(use([&](Task& task, ObjectStore& store) -> Status {
                for (int i = 0; i < 5; i++) {
                  Status put = store.put(task, "key", as_bytes(std::to_string(i)), PutMode::IfAbsent);
                  EXPECT_TRUE(put.ok() || put.is(Code::AlreadyExists)) << outcome(put);
                  won += put.ok() ? 1 : 0;
                }
                std::string big(300'000, 'b');
                EXPECT_TRUE(store.put(task, "big", as_bytes(big), PutMode::IfAbsent).ok());
                EXPECT_EQ(outcome(store.put(task, "big", as_bytes(big), PutMode::IfAbsent)),
                          "already exists");
                return {};
              }).ok());
  EXPECT_EQ(won, 1);
  EXPECT_EQ(held("key"), "0");
  EXPECT_EQ(server_->count("PUT"), 2u + 5u);
  EXPECT_EQ(server_->uploads(), 0u);
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(S3, AStoreThatIgnoresIfNoneMatchIsRefusedUnlessToldOtherwise) {
  serve({"bucket", "us-east-1", kKeys, true});
  Status put_it = put("key", "x", PutMode::IfAbsent);
  EXPECT_EQ(outcome(put_it), "unsupported");
  EXPECT_NE(put_it.error().message().find("s3_conditional_put"), std::string::npos);
  EXPECT_EQ(held("key"), "nothing");
  config_.conditional_put = false;
  EXPECT_EQ(outcome(put("key", "x", PutMode::IfAbsent)), "ok");
  EXPECT_EQ(outcome(put("key", "y", PutMode::IfAbsent)), "already exists");
  EXPECT_EQ(held("key"), "x");
}

TEST_F(S3, BigObjectsGoInPartsAndWhatFailedIsAborted) {
  serve();
  std::string big;
  for (int i = 0; big.size() < 250'001; i++) big += std::to_string(i);
  ASSERT_TRUE(put("big", big).ok());
  EXPECT_EQ(held("big"), big);
  EXPECT_EQ(server_->count("PUT part"), 3u);
  EXPECT_EQ(server_->count("PUT"), 0u);
  world_.faults.begin(Kind::StoreOutage, 0);
  EXPECT_FALSE(put("other", big).ok());
  EXPECT_EQ(server_->uploads(), 0u);
  EXPECT_EQ(server_->count("DELETE uploadId"), 1u);
}

TEST_F(S3, WrongConfigurationsAreSaid) {
  serve();
  auto open = [&](const std::function<void(S3Config&)>& change) {
    S3Config config = config_;
    change(config);
    auto opened = S3Store::open(client_.env(), config);
    return opened.ok() ? "ok" : opened.error().to_string();
  };
  EXPECT_EQ(open([](S3Config&) {}), "ok");
  EXPECT_EQ(open([](S3Config& c) { c.endpoint = "http://s3"; }), "ok");
  EXPECT_NE(open([](S3Config& c) { c.endpoint = "https://s3"; }).find("the authorities that may vouch for"),
            std::string::npos);
  for (const char* bad :
       {"", "s3:9000", "http://", "http://s3/path", "http://user@s3", "http://s3:x", "https://"})
    EXPECT_NE(open([bad](S3Config& c) { c.endpoint = bad; }).find("expected http[s]://"), std::string::npos)
        << bad;
  EXPECT_NE(open([](S3Config& c) { c.bucket = "a/b"; }).find("not a bucket's name"), std::string::npos);
  EXPECT_NE(open([](S3Config& c) { c.prefix = "/x"; }).find("the prefix"), std::string::npos);
  EXPECT_NE(open([](S3Config& c) { c.credentials.secret_key = ""; }).find("credentials"), std::string::npos);
}

TEST_F(S3, TlsIsWithTheServerThatWasMeant) {
  serve({"bucket", "us-east-1", kKeys}, true);
  config_.authorities = tls::testing::kAuthority;
  config_.endpoint = "https://localhost:9000";
  EXPECT_EQ(outcome(put("a", std::string(250'000, 'x'))), "ok");
  EXPECT_EQ(held("a").size(), 250'000u);

  auto why = [&] {
    Status failed = put("b", "x");
    EXPECT_EQ(outcome(failed), "unavailable");
    return failed.ok() ? "ok" : failed.error().message();
  };
  config_.endpoint = "https://another.test:9000";
  EXPECT_NE(why().find("hostname mismatch"), std::string::npos) << why();
  config_.endpoint = "https://10.0.0.1:9000";
  EXPECT_NE(why().find("IP address mismatch"), std::string::npos) << why();
  config_.endpoint = "https://localhost:9000";
  config_.authorities = tls::testing::kOtherAuthority;
  EXPECT_NE(why().find("unable to get local issuer certificate"), std::string::npos) << why();
  EXPECT_EQ(held("b"), "nothing");
}

TEST_F(S3, AServerWithoutTlsIsUnavailableByHttps) {
  serve();
  config_.authorities = tls::testing::kAuthority;
  config_.endpoint = "https://localhost:9000";
  EXPECT_EQ(outcome(put("a", "x")), "unavailable");
  EXPECT_EQ(held("a"), "nothing");
}

TEST_F(S3, AWrongKeyOrBucketIsNoAbsentObject) {
  serve();
  for (bool wrong_bucket : {false, true}) {
    if (wrong_bucket)
      config_.bucket = "other";
    else
      config_.credentials.secret_key = "wrong";
    Status read = use([&](Task& task, ObjectStore& store) -> Status {
      TRY(store.get(task, "a"));
      return {};
    });
    EXPECT_EQ(outcome(read), "unavailable");
    EXPECT_NE(read.error().message().find(wrong_bucket ? "NoSuchBucket" : "SignatureDoesNotMatch"),
              std::string::npos)
        << read.error().message();
    config_.credentials = kKeys;
  }
}

}  // namespace
}  // namespace argon::sim
