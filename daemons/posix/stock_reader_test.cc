// Stock PostgreSQL tools against a safekeeper of the real world: pg_receivewal takes the WAL off it, and
// pg_waldump reads what it wrote.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "core/compute/proposer_driver.h"
#include "core/env/io.h"
#include "core/pg/wal_builder.h"
#include "core/safekeeper/safekeeper.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace argon::posix {
namespace {

using namespace argon::literals;

constexpr Lsn kStart{0x1000028};
const std::string kBin = "/usr/lib/postgresql/15/bin/";

TenantTimelineId timeline_id() {
  TenantTimelineId id;
  id.tenant.bytes[3] = 0x77;
  id.timeline.bytes[5] = 0x88;
  return id;
}

struct Scratch {
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "argon-reader-XXXXXX").string();
    CHECK(mkdtemp(name.data()) != nullptr, "cannot make a temporary directory");
    path = name;
  }
  ~Scratch() { std::filesystem::remove_all(path); }
  std::string path;
};

Result<uint16_t> free_port(Task& task, Env& env) {
  TRY_ASSIGN(auto listener, env.network().listen(task, Address::tcp("127.0.0.1", 0)));
  return listener->address().port;
}

// Writes records up to somewhere in the third segment, and waits until they are committed.
Result<Bytes> write_wal(Task& task, Env& env, uint16_t port) {
  compute::ProposerDriverConfig config;
  config.proposer.id = timeline_id();
  config.proposer.configuration = {
      consensus::ConfigurationGeneration(1), {{NodeId(1), "127.0.0.1", port}}, {}};
  config.proposer.server = {150013, 4711, pg::kWalSegmentSize};
  config.proposer.bootstrap_start = kStart;
  config.proposer.allow_creation = true;
  Scope scope(task);
  compute::ProposerDriver driver(scope, env, Logger(env.log()), config,
                                 [](Task& t, Term, Lsn) { return t.yield(); });
  driver.start();
  auto write = [&]() -> Result<Bytes> {
    TRY_ASSIGN(auto elected, driver.elect(task));
    pg::WalWriter writer({4711}, elected.start, Lsn());
    Bytes all;
    while (writer.position() < Lsn(0x3200000)) {
      pg::RecordBuilder record(pg::Rmgr::Xlog, 0x20, 3);
      record.main(Bytes(100'000 + all.size() % 7777, static_cast<uint8_t>(all.size())));
      writer.append(record);
      Lsn begin = writer.begin();
      Bytes bytes = writer.take();
      TRY(driver.append(task, begin, bytes));
      append(all, bytes);
    }
    TRY(driver.wait_committed(task, writer.position()));
    TRY(task.sleep(50_ms));  // the safekeeper hears of the last commit
    return all;
  };
  Result<Bytes> written = write();
  TRY(driver.stop(task));
  return written;
}

SpawnOptions tool(std::vector<std::string> argv, const std::string& output) {
  SpawnOptions options;
  options.argv = std::move(argv);
  options.environment = {{"PATH", "/usr/bin:/bin"},
                         {"PGOPTIONS", "-c tenant_id=" + to_string(timeline_id().tenant) +
                                           " -c timeline_id=" + to_string(timeline_id().timeline)}};
  options.out = options.err = ChildStream::file(output);
  return options;
}

// The first segment is the safekeeper's own file; pg_receivewal goes on behind what it finds.
Status read_with_stock_tools(Task& task, Env& env, uint16_t port, const std::string& data_dir,
                             const std::string& folder, const Bytes& wal, bool synchronous) {
  TRY(make_dirs(task, env.disk(), folder));
  std::string own =
      data_dir + "/" + to_string(timeline_id().tenant) + "/" + to_string(timeline_id().timeline);
  TRY_ASSIGN(Bytes first, read_file(task, env.disk(), own + "/000000010000000000000001"));
  TRY(write_file_durably(task, env.disk(), folder + "/000000010000000000000001", first));
  std::string endpos = to_string(kStart + (wal.size() - 8));
  std::vector<std::string> argv = {kBin + "pg_receivewal",
                                   "-D",
                                   folder,
                                   "-h",
                                   "127.0.0.1",
                                   "-p",
                                   std::to_string(port),
                                   "-U",
                                   "anybody",
                                   "--endpos",
                                   endpos,
                                   "--no-loop",
                                   "-v"};
  if (synchronous) argv.push_back("--synchronous");
  TRY_ASSIGN(auto receiver, env.processes()->spawn(task, tool(argv, folder + ".receivewal")));
  TRY_ASSIGN(ExitStatus received, receiver->wait(task));
  TRY_ASSIGN(Bytes said, read_file(task, env.disk(), folder + ".receivewal"));
  if (!received.clean()) return Error(Code::Io, "pg_receivewal: " + std::string(as_text(said)));
  // Whole segments, byte for byte.
  TRY_ASSIGN(Bytes second, read_file(task, env.disk(), folder + "/000000010000000000000002"));
  size_t at = 0x2000000 - kStart.value;
  if (second != Bytes(wal.begin() + static_cast<ptrdiff_t>(at),
                      wal.begin() + static_cast<ptrdiff_t>(at + second.size())))
    return Error(Code::Corrupt, "pg_receivewal wrote other bytes than were committed");
  TRY_ASSIGN(auto dump, env.processes()->spawn(task, tool({kBin + "pg_waldump", "-p", folder, "-s",
                                                           to_string(kStart), "-e", "0/2F00000", "-q"},
                                                          folder + ".waldump")));
  TRY_ASSIGN(ExitStatus dumped, dump->wait(task));
  TRY_ASSIGN(Bytes complaint, read_file(task, env.disk(), folder + ".waldump"));
  if (!dumped.clean()) return Error(Code::Io, "pg_waldump: " + std::string(as_text(complaint)));
  return {};
}

TEST(StockReader, PgReceivewalAndPgWaldumpWork) {
  Scratch scratch;
  LogFile log("test", scratch.path + "/log", LogLevel::Debug, read_wall_clock);
  PosixEnv env(log, {});
  Status done = env.run("main", [&](Task& task) -> Status {
    Deadline deadline(task, 30_s);
    safekeeper::SafekeeperConfig config;
    config.id = NodeId(1);
    config.data_dir = scratch.path + "/sk";
    TRY_ASSIGN(uint16_t wal_port, free_port(task, env));
    TRY_ASSIGN(uint16_t http_port, free_port(task, env));
    config.listen_wal = Address::tcp("127.0.0.1", wal_port);
    config.listen_http = Address::tcp("127.0.0.1", http_port);
    Scope scope(task);
    scope.spawn("safekeeper", [&](Task& t) { return safekeeper::run_safekeeper(t, env, config); });
    auto wal = write_wal(task, env, wal_port);
    Status read = wal.ok() ? Status() : Status(wal.error());
    for (bool synchronous : {false, true})
      if (read.ok())
        read = read_with_stock_tools(task, env, wal_port, config.data_dir,
                                     scratch.path + (synchronous ? "/sync" : "/plain"), *wal, synchronous);
    TRY(scope.stop(task));
    return read;
  });
  EXPECT_TRUE(done.ok()) << done.error().to_string();
}

}  // namespace
}  // namespace argon::posix
