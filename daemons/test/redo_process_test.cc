// The stock server as redo process, asked by RedoProcess in the real world.

#include "core/redo_process/redo_process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "core/env/io.h"
#include "core/pg/page.h"
#include "core/pg/record_makers.h"
#include "core/pg/redo/redo.h"
#include "core/pg/wal_stream.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace argon {
namespace {

using namespace literals;

constexpr Lsn kLsn{0x2000028};
const pg::BlockTag kBlock{{{1663, 5, 16384}, pg::Fork::Main}, 0};

RedoProcessConfig config() {
  RedoProcessConfig config;
  config.server = "/usr/lib/postgresql/15/bin/postgres";
  config.library = ARGON_WALREDO_LIBRARY;
  return config;
}

void in_the_world(const std::function<Status(Task&, Env&)>& body) {
  posix::LogFile log("redo_process_test", "", LogLevel::Warn, posix::read_wall_clock);
  posix::PosixEnv env(log, posix::PosixOptions());
  Status status = env.run("test", [&](Task& task) { return body(task, env); });
  EXPECT_TRUE(status.ok()) << status.error().to_string();
}

Bytes tuple(uint8_t filling) {
  Bytes bytes(40, filling);
  std::fill(bytes.begin(), bytes.begin() + pg::kTupleHeader, uint8_t{0});
  bytes[18] = 1;   // one attribute
  bytes[22] = 24;  // t_hoff
  return bytes;
}

pg::RecordBuilder insert(uint16_t line) {
  return pg::heap_insert(100, {kBlock.rel, kBlock.block, line}, tuple(static_cast<uint8_t>(line)), line == 1);
}

Bytes native(const Bytes& record, Lsn end, Bytes page) {
  pg::DecodedRecord decoded;
  Status status = pg::decode_record(record, kLsn, end, decoded);
  EXPECT_TRUE(status.ok()) << status.error().to_string();
  status = pg::redo::apply(decoded, decoded.blocks()[0], page, {});
  EXPECT_TRUE(status.ok()) << status.error().to_string();
  return page;
}

template <typename T>
testing::AssertionResult says(const Result<T>& result, Code code, const std::string& words) {
  if (result.ok()) return testing::AssertionFailure() << "it is ok";
  if (result.is(code) && result.error().message().find(words) != std::string::npos)
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << result.error().to_string();
}

TEST(RedoProcess, RebuildsWhatNativeRedoDoes) {
  in_the_world([](Task& task, Env& env) -> Status {
    TRY_ASSIGN(auto process, RedoProcess::start(task, env, config()));
    EXPECT_GE(process->server_version(), pg::kOldestServerVersionNum);
    Bytes first = insert(1).build(Lsn()), second = insert(2).build(kLsn);
    Bytes one = native(first, kLsn + 100, Bytes(pg::kBlockSize));
    Bytes two = native(second, kLsn + 200, one);
    RedoRequests requests;
    requests.begin(kBlock);
    requests.apply(kLsn, kLsn + 100, first);
    requests.page();
    requests.apply(kLsn + 100, kLsn + 200, second);
    requests.page();
    // Another target in between, then the first again, from a page.
    pg::BlockTag other = kBlock;
    other.block = 7;
    requests.begin(other);
    requests.page();
    requests.begin(kBlock);
    requests.base(one);
    requests.apply(kLsn + 100, kLsn + 200, second);
    requests.page();
    TRY_ASSIGN(Bytes pages, process->run(task, requests));
    auto page = [&](size_t i) {
      return to_bytes(ByteView(pages).subspan(i * pg::kBlockSize, pg::kBlockSize));
    };
    EXPECT_EQ(page(0), one);
    EXPECT_EQ(page(1), two);
    EXPECT_EQ(page(2), Bytes(pg::kBlockSize));
    EXPECT_EQ(page(3), two);
    return {};
  });
}

TEST(RedoProcess, ManyRequestsAtOnceDoNotStandStill) {
  in_the_world([](Task& task, Env& env) -> Status {
    TRY_ASSIGN(auto process, RedoProcess::start(task, env, config()));
    RedoRequests requests;
    Bytes page(pg::kBlockSize);
    pg::init_page(page);
    for (int i = 0; i < 2000; i++) {
      requests.begin(kBlock);
      requests.base(page);
      requests.page();
    }
    Deadline deadline(task, 30_s);
    TRY_ASSIGN(Bytes pages, process->run(task, requests));
    EXPECT_EQ(ByteView(pages).last(pg::kBlockSize).size(), pg::kBlockSize);
    EXPECT_TRUE(std::ranges::equal(ByteView(pages).last(pg::kBlockSize), page));
    return {};
  });
}

TEST(RedoProcess, ARecordThatDoesNotFitEndsItWithTheServersWords) {
  in_the_world([](Task& task, Env& env) -> Status {
    TRY_ASSIGN(auto process, RedoProcess::start(task, env, config()));
    RedoRequests requests;
    requests.begin(kBlock);
    requests.apply(kLsn, kLsn + 100, insert(1).build(Lsn()));
    requests.apply(kLsn + 100, kLsn + 200, pg::heap_delete(101, {kBlock.rel, 0, 9}).build(kLsn));
    requests.page();
    auto pages = process->run(task, requests);
    EXPECT_TRUE(says(pages, Code::Corrupt, "PANIC: invalid lp"));
    EXPECT_TRUE(says(pages, Code::Corrupt, "Heap info 10, target 1663/5/16384 fork 0 block 0"));
    EXPECT_TRUE(says(pages, Code::Corrupt, "exit status 1"));
    // The next one knows nothing of it.
    TRY_ASSIGN(process, RedoProcess::start(task, env, config()));
    RedoRequests good;
    good.begin(kBlock);
    good.page();
    TRY(process->run(task, good));
    return {};
  });
}

TEST(RedoProcess, BytesThatAreNoRecordAreRefused) {
  in_the_world([](Task& task, Env& env) -> Status {
    for (const Bytes& record : {Bytes(), Bytes(10), Bytes(100, 0xFF), Bytes(100, 0)}) {
      TRY_ASSIGN(auto process, RedoProcess::start(task, env, config()));
      RedoRequests requests;
      requests.begin(kBlock);
      requests.apply(kLsn, kLsn + 100, record);
      requests.page();
      auto pages = process->run(task, requests);
      EXPECT_TRUE(says(pages, Code::Corrupt, "not a record"));
    }
    return {};
  });
}

TEST(RedoProcess, ADeadlineEndsAWaitForIt) {
  in_the_world([](Task& task, Env& env) -> Status {
    TRY_ASSIGN(auto process, RedoProcess::start(task, env, config()));
    ::kill(process->pid(), SIGSTOP);
    RedoRequests requests;
    requests.begin(kBlock);
    requests.page();
    Deadline deadline(task, 200_ms);
    EXPECT_TRUE(process->run(task, requests).is(Code::TimedOut));
    return {};
  });
}

TEST(RedoProcess, ItIsConfined) {
  in_the_world([](Task& task, Env& env) -> Status {
    TRY_ASSIGN(auto process, RedoProcess::start(task, env, config()));
    std::ifstream status("/proc/" + std::to_string(process->pid()) + "/status");
    std::string text((std::istreambuf_iterator<char>(status)), std::istreambuf_iterator<char>());
    EXPECT_NE(text.find("Seccomp:\t2"), std::string::npos) << text;
    EXPECT_NE(text.find("NoNewPrivs:\t1"), std::string::npos) << text;
    return {};
  });
}

TEST(RedoProcessBadInput, AServerThatIsNotThereAndOneThatIsNone) {
  in_the_world([](Task& task, Env& env) -> Status {
    RedoProcessConfig missing = config();
    missing.server = "/nowhere/postgres";
    EXPECT_TRUE(RedoProcess::start(task, env, missing).is(Code::NotFound));
    RedoProcessConfig another = config();
    another.server = "/bin/echo";
    auto echo = RedoProcess::start(task, env, another);
    EXPECT_FALSE(echo.ok());
    RedoProcessConfig silent = config();
    silent.server = "/bin/false";
    EXPECT_TRUE(says(RedoProcess::start(task, env, silent), Code::Unavailable, "did not start"));
    return {};
  });
}

}  // namespace
}  // namespace argon
