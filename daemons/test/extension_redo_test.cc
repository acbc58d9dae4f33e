// Records of an extension's resource manager (pgext/test/test_rmgr.c), redone by a stock server that has it
// loaded.

#include "core/pageserver/extension_redo.h"

#include <gtest/gtest.h>

#include "core/base/codec.h"
#include "core/pageserver/value.h"
#include "core/pg/page.h"
#include "core/pg/record_makers.h"
#include "core/pg/wal_builder.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace argon::pageserver {
namespace {

using namespace literals;

constexpr Lsn kLsn{0x2000028};
constexpr uint16_t kOffset = 1000;
const pg::BlockTag kBlock{{{1663, 5, 16384}, pg::Fork::Main}, 3};

using Libraries = std::vector<std::string>;

void in_the_world(const std::function<Status(Task&, Env&)>& body) {
  posix::LogFile log("extension_redo_test", "", LogLevel::Warn, posix::read_wall_clock);
  posix::PosixEnv env(log, posix::PosixOptions());
  Status status = env.run("test", [&](Task& task) { return body(task, env); });
  EXPECT_TRUE(status.ok()) << status.error().to_string();
}

RedoProcessConfig process() {
  RedoProcessConfig config;
  config.server = "/usr/lib/postgresql/15/bin/postgres";
  config.library = ARGON_WALREDO_LIBRARY;
  config.request_timeout = 1_s;
  return config;
}

// As argon_test_stamp() logs it, so many bytes further for each one.
Bytes stamp(std::string_view text, uint16_t offset = kOffset) {
  Bytes data;
  Writer(data).le(offset).bytes(as_bytes(text));
  return pg::RecordBuilder(static_cast<pg::Rmgr>(128), 0)
      .block(0, kBlock.rel, kBlock.block)
      .data(data)
      .build(Lsn());
}

Bytes empty_page() {
  Bytes page(pg::kBlockSize);
  pg::init_page(page);
  return page;
}

std::string stamped(ByteView page, size_t size, uint16_t offset = kOffset) {
  return std::string(as_text(page.subspan(offset, size)));
}

testing::AssertionResult says(const Status& result, Code code, const std::string& words) {
  if (result.ok()) return testing::AssertionFailure() << "it is ok";
  if (result.is(code) && result.error().message().find(words) != std::string::npos)
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << result.error().to_string();
}

class OnTask final : public RedoOfExtensions {
 public:
  OnTask(Task& task, ExtensionRedo& redo) : task_(task), redo_(redo) {}
  Status apply(const pg::BlockTag& block, std::span<const StoredRecord> records, ByteSpan page) override {
    calls++;
    return redo_.apply(task_, block, records, {}, page);
  }
  int calls = 0;

 private:
  Task& task_;
  ExtensionRedo& redo_;
};

TEST(ExtensionRedo, RecordsBesideNativeOnesMakeThePage) {
  in_the_world([](Task& task, Env& env) -> Status {
    Metrics metrics;
    ExtensionRedo redo(env, process(), metrics);
    redo.configure(Libraries{ARGON_TEST_RMGR_LIBRARY});
    OnTask extensions(task, redo);
    Bytes tuple(40);
    tuple[18] = 1;   // one attribute
    tuple[22] = 24;  // t_hoff
    Bytes insert = pg::heap_insert(100, {kBlock.rel, kBlock.block, 1}, tuple, false).build(Lsn());
    Chain chain;  // newest first
    chain.versions.push_back({kLsn + 500, record_value(insert, false)});
    chain.versions.push_back({kLsn + 300, record_value(stamp("two", kOffset + 10), false)});
    chain.versions.push_back({kLsn + 200, record_value(stamp("one"), false)});
    chain.versions.push_back({kLsn, image_value(empty_page())});
    TRY_ASSIGN(Bytes page, reconstruct_page(block_key(kBlock), chain, {}, &extensions));
    EXPECT_EQ(stamped(page, 3), "one");
    EXPECT_EQ(stamped(page, 3, kOffset + 10), "two");
    EXPECT_EQ(pg::page_lsn(page), kLsn + 500);
    EXPECT_EQ(extensions.calls, 1);  // both at once
    chain.versions.erase(chain.versions.begin());
    TRY_ASSIGN(page, reconstruct_page(block_key(kBlock), chain, {}, &extensions));
    EXPECT_EQ(pg::page_lsn(page), kLsn + 300);
    auto without = reconstruct_page(block_key(kBlock), chain, {});
    EXPECT_TRUE(without.is(Code::Unsupported));
    EXPECT_NE(without.error().message().find("resource manager 128"), std::string::npos);
    return {};
  });
}

TEST(ExtensionRedo, WithoutALibraryNothingIsStarted) {
  in_the_world([](Task& task, Env& env) -> Status {
    Metrics metrics;
    ExtensionRedo redo(env, process(), metrics);
    Bytes record = stamp("one"), page = empty_page();
    std::vector<StoredRecord> records{{kLsn, kLsn + 100, record, 128}};
    EXPECT_TRUE(says(redo.apply(task, kBlock, records, {}, page), Code::Unsupported, "names no library"));
    EXPECT_NE(metrics.to_text().find("pageserver_redo_process_starts_total 0"), std::string::npos);
    return {};
  });
}

TEST(ExtensionRedo, OneThatEndsOnARecordIsFollowedByAnother) {
  in_the_world([](Task& task, Env& env) -> Status {
    Metrics metrics;
    ExtensionRedo redo(env, process(), metrics);
    redo.configure(Libraries{ARGON_TEST_RMGR_LIBRARY});
    auto apply = [&](std::string_view text, Bytes& page) {
      Bytes record = stamp(text);
      std::vector<StoredRecord> records{{kLsn, kLsn + 100, record, 128}};
      return redo.apply(task, kBlock, records, {}, page);
    };
    Bytes page = empty_page();
    EXPECT_TRUE(says(apply("bad record", page), Code::Corrupt, "PANIC: this stamp cannot be redone"));
    TRY(apply("good", page));
    EXPECT_EQ(stamped(page, 4), "good");
    page = empty_page();
    EXPECT_TRUE(says(apply("for ever", page), Code::TimedOut, "did not answer in time"));
    TRY(apply("good", page));
    EXPECT_NE(metrics.to_text().find("pageserver_redo_process_starts_total 3"), std::string::npos);
    return {};
  });
}

TEST(ExtensionRedo, AnotherConfigurationIsAnotherProcess) {
  in_the_world([](Task& task, Env& env) -> Status {
    Metrics metrics;
    ExtensionRedo redo(env, process(), metrics);
    Bytes record = stamp("one"), page = empty_page();
    std::vector<StoredRecord> records{{kLsn, kLsn + 100, record, 128}};
    redo.configure(Libraries{"pg_stat_statements"});
    EXPECT_TRUE(says(redo.apply(task, kBlock, records, {}, page), Code::Corrupt,
                     "no library that was loaded has resource manager 128"));
    redo.configure(Libraries{"no_such_library"});
    EXPECT_TRUE(says(redo.apply(task, kBlock, records, {}, page), Code::Unavailable, "no_such_library"));
    redo.configure(Libraries{ARGON_TEST_RMGR_LIBRARY});
    TRY(redo.apply(task, kBlock, records, {}, page));
    return {};
  });
}

}  // namespace
}  // namespace argon::pageserver
