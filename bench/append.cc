// WAL as fast as a quorum of safekeepers takes it, and the same bytes into files of one writer.
//
// usage: bench_append quorum MB HOST:PORT HOST:PORT HOST:PORT
//        bench_append files MB DIR BYTES
// `quorum`: the proposer of timeline kTimeline, which the safekeepers 1 to 3 must have, empty; `files`:
// segment files in DIR, synced after each BYTES. Prints the seconds until all of it is committed, or synced.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "bench/clock.h"
#include "core/compute/proposer_driver.h"
#include "core/pg/wal_builder.h"
#include "core/pg/wal_page.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace {

using namespace argon;

constexpr std::string_view kTimeline = "000102030405060708090a0b0c0d0e0f";  // and its tenant
constexpr uint64_t kSystemId = 4711;
constexpr Lsn kStart(0x1000028);
constexpr size_t kAppend = 128 * 1024;  // what a server's WAL worker sends at once

Bytes make_wal(size_t size) {
  pg::WalWriter writer({kSystemId}, kStart, Lsn());
  pg::RecordBuilder record(pg::Rmgr::Xlog, 0x20, 3);
  record.main(Bytes(8000, 7));
  while (writer.bytes().size() < size) writer.append(record);
  return writer.take();
}

Result<compute::ProposerDriverConfig> proposer(char** addresses, int count) {
  compute::ProposerDriverConfig config;
  TRY_ASSIGN(config.proposer.id.tenant, parse_tenant_id(kTimeline));
  TRY_ASSIGN(config.proposer.id.timeline, parse_timeline_id(kTimeline));
  config.proposer.configuration.generation = consensus::ConfigurationGeneration(1);
  for (int i = 0; i < count; i++) {
    TRY_ASSIGN(Address address, parse_address(addresses[i]));
    config.proposer.configuration.members.push_back(
        {NodeId(static_cast<uint64_t>(i) + 1), address.host, address.port});
  }
  config.proposer.server = {150'013, kSystemId, pg::kWalSegmentSize};
  return config;
}

Status append_all(Task& task, compute::ProposerDriver& driver, const Bytes& wal) {
  TRY(driver.elect(task));
  double begin = bench::real_s();
  for (size_t at = 0; at < wal.size(); at += kAppend)
    TRY(driver.append(task, kStart + at, ByteView(wal).subspan(at, std::min(kAppend, wal.size() - at))));
  TRY(driver.wait_committed(task, driver.end()));
  std::printf("%.3f\n", bench::real_s() - begin);
  return {};
}

Status to_quorum(Task& task, Env& env, const compute::ProposerDriverConfig& config, size_t size) {
  Bytes wal = make_wal(size);
  Scope scope(task);
  compute::ProposerDriver driver(scope, env, Logger(env.log()), config,
                                 [](Task&, Term, Lsn) { return Status(); });
  driver.start();
  Status done = append_all(task, driver, wal);
  Status stopped = driver.stop(task);
  return done.ok() ? stopped : done;
}

Status to_files(const std::string& folder, size_t size, size_t bytes_a_sync) {
  Bytes wal = make_wal(size);
  double begin = bench::real_s();
  for (size_t at = 0; at < wal.size(); at += pg::kWalSegmentSize) {
    std::string path = folder + "/" + pg::segment_file_name(at / pg::kWalSegmentSize);
    int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t end = std::min<size_t>(wal.size(), at + pg::kWalSegmentSize);
    for (size_t done = at; done < end; done += bytes_a_sync) {
      size_t n = std::min(bytes_a_sync, end - done);
      if (write(file, wal.data() + done, n) != static_cast<ssize_t>(n) || fdatasync(file) != 0)
        return Error(Code::Io, "write " + path);
    }
    close(file);
  }
  std::printf("%.3f\n", bench::real_s() - begin);
  return {};
}

Status run(int argc, char** argv) {
  std::string_view what = argc > 2 ? argv[1] : "";
  size_t size = argc > 2 ? std::strtoull(argv[2], nullptr, 10) << 20 : 0;
  if (what == "files" && argc == 5)
    return to_files(argv[3], size, std::max<size_t>(std::strtoull(argv[4], nullptr, 10), 1));
  if (what != "quorum" || argc != 6)
    return Error(Code::Invalid, "usage: bench_append quorum MB ADDRESS ADDRESS ADDRESS | files MB DIR BYTES");
  TRY_ASSIGN(compute::ProposerDriverConfig config, proposer(argv + 3, argc - 3));
  posix::LogFile log("bench", "", LogLevel::Warn, posix::read_wall_clock);
  posix::PosixEnv env(log, {});
  return env.run("append", [&](Task& task) { return to_quorum(task, env, config, size); });
}

}  // namespace

int main(int argc, char** argv) {
  Status done = run(argc, argv);
  if (done.ok()) return 0;
  std::fprintf(stderr, "bench_append: %s\n", done.error().to_string().c_str());
  return 1;
}
