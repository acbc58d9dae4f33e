// What a safekeeper says to damaged files and wrong requests; and that other timelines are not harmed.

#include "core/env/io.h"
#include "core/wire/pg_wire.h"
#include "sim/one_safekeeper.h"

namespace argon::sim {
namespace {

using namespace argon::literals;
using nlohmann::json;

const std::string kTenant(32, 'a');
const std::string kGood(32, '1');
const std::string kBad(32, '2');

class SafekeeperBadInput : public OneSafekeeper {
 protected:
  Result<json> create(const std::string& timeline, uint32_t generation = 1) {
    return OneSafekeeper::create(kTenant, timeline, configuration(generation, {1}));
  }
  Result<json> status(const std::string& timeline) {
    return call("GET", "/v1/tenant/" + kTenant + "/timeline/" + timeline);
  }

  // Flips one bit of a file while the safekeeper is off.
  void damage(const std::string& path, uint64_t offset) {
    sk_.power_loss();
    sk_.boot([&](Task& task, Env& env) -> Status {
      TRY_ASSIGN(auto file, env.disk().open(task, path, OpenMode::ReadWrite));
      Bytes byte(1);
      TRY(read_exact_at(task, *file, offset, byte));
      byte[0] ^= 0x10;
      TRY(write_all_at(task, *file, offset, byte));
      return file->fdatasync(task);
    });
    world_.run_for(1_s);
    ASSERT_TRUE(sk_.exit_status() && sk_.exit_status()->ok());
    boot();
  }
};

TEST_F(SafekeeperBadInput, ADamagedControlFileStopsThatTimelineOnly) {
  ASSERT_TRUE(create(kGood).ok());
  ASSERT_TRUE(create(kBad).ok());
  damage("/data/" + kTenant + "/" + kBad + "/safekeeper.control", 60);
  EXPECT_TRUE(status(kGood).ok());
  auto bad = status(kBad);
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.error().message().find("safekeeper.control: wrong checksum"), std::string::npos)
      << bad.error().message();
  // It is not made anew in silence: that would forget votes.
  EXPECT_FALSE(create(kBad).ok());
}

TEST_F(SafekeeperBadInput, RequestsThatMakeNoSenseAreToldSo) {
  auto message = [](const Result<json>& result) {
    return result.ok() ? std::string("ok") : result.error().message();
  };
  EXPECT_NE(message(status("xyz")).find("is not a timeline id"), std::string::npos);
  EXPECT_NE(message(status(kGood)).find("is not on this safekeeper"), std::string::npos);
  EXPECT_NE(message(create(kGood, 0)).find("generation 0"), std::string::npos);
  EXPECT_TRUE(create(kGood).ok());
  EXPECT_TRUE(create(kGood).is(Code::AlreadyExists));
  std::string timeline = "/v1/tenant/" + kTenant + "/timeline/" + kGood;
  EXPECT_NE(message(call("GET", timeline + "/digest?from_lsn=0/zz&until_lsn=0/1")).find("0/zz"),
            std::string::npos);
  EXPECT_NE(message(call("PUT", timeline + "/membership", {{"mconf", 7}})).find("mconf"), std::string::npos);
  EXPECT_TRUE(status(kGood).ok());
}

TEST_F(SafekeeperBadInput, StrangersOnTheWalPortAreRefused) {
  ASSERT_TRUE(create(kGood).ok());
  std::string said;
  Status ran = world_.run(client_, [&](Task& task) -> Status {
    Deadline deadline(task, 30_s);
    auto unknown = wire::PgClient::connect(task, Address::tcp("sk", 5454), {{"user", "x"}},
                                           {{"tenant_id", kTenant}, {"timeline_id", kBad}});
    said = unknown.ok() ? "ok" : unknown.error().message();
    // Bytes that are no protocol at all.
    TRY_ASSIGN(auto stream, task.env().network().connect(task, Address::tcp("sk", 5454)));
    TRY(write_all(task, *stream, as_bytes("GET / HTTP/1.1\r\nHost: sk\r\n\r\n")));
    Bytes into(4096);
    for (;;) {
      auto n = stream->read(task, into);
      if (!n.ok() || *n == 0) return {};
    }
  });
  EXPECT_TRUE(ran.ok()) << ran.error().to_string();
  EXPECT_NE(said.find("is not on this safekeeper"), std::string::npos) << said;
  EXPECT_TRUE(status(kGood).ok());
}

}  // namespace
}  // namespace argon::sim
