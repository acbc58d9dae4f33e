// Idle timelines for a safekeeper's folder, each with a little WAL that is committed and in the object store.
//
// usage: bench_timelines DIR COUNT closed|crashed
// DIR/TENANT/TIMELINE/ as a safekeeper keeps them; `closed`: as it leaves idle ones, `crashed`: as if power
// was lost while it had all of them open.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "core/base/random.h"
#include "core/pg/wal_builder.h"
#include "core/safekeeper/control_file.h"

namespace {

using namespace argon;

constexpr Lsn kStart(0x1000028);
constexpr uint64_t kSystemId = 4711;
constexpr int kRecords = 8;

void write_file(const std::filesystem::path& path, ByteView bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void make(const std::filesystem::path& folder, const TenantTimelineId& id, bool closed) {
  pg::WalWriter writer({kSystemId}, kStart, Lsn());
  for (int i = 0; i < kRecords; i++) {
    pg::RecordBuilder record(pg::Rmgr::Xlog, 0x20, 3);
    record.main(Bytes(1000));
    writer.append(record);
  }
  std::filesystem::create_directories(folder);
  std::filesystem::path segment = folder / pg::segment_file_name(pg::segment_number(kStart));
  Bytes file;
  pg::append_page_header(file, {.address = pg::segment_start(kStart)}, kSystemId);
  file.resize(pg::segment_offset(kStart));
  append(file, writer.bytes());
  write_file(segment, file);
  std::filesystem::resize_file(segment, pg::kWalSegmentSize);

  safekeeper::TimelineControl control;
  control.id = id;
  consensus::AcceptorState& state = control.acceptor;
  state.term = Term(1);
  state.history = consensus::TermHistory({{Term(0), kStart}, {Term(1), kStart}});
  state.configuration.generation = consensus::ConfigurationGeneration(1);
  state.configuration.members = {
      {NodeId(1), "127.0.0.1", 5454}, {NodeId(2), "127.0.0.1", 5455}, {NodeId(3), "127.0.0.1", 5456}};
  state.server = {150013, kSystemId, pg::kWalSegmentSize};
  state.timeline_start = state.local_start = kStart;
  state.commit = control.remote_consistent = writer.position();
  control.partial = {"wal/made", state.commit, state.term};
  control.chain = {safekeeper::first_link(id, kStart)};
  if (closed) control.closed_at = state.commit;
  write_file(folder / safekeeper::kControlFileName, safekeeper::encode_control(control));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 || (std::string_view(argv[3]) != "closed" && std::string_view(argv[3]) != "crashed")) {
    std::fputs("usage: bench_timelines DIR COUNT closed|crashed\n", stderr);
    return 2;
  }
  Random random(1);
  TenantTimelineId id;
  id.tenant = random_tenant_id(random);
  for (long i = std::strtol(argv[2], nullptr, 10); i > 0; i--) {
    id.timeline = random_timeline_id(random);
    make(std::filesystem::path(argv[1]) / to_string(id.tenant) / to_string(id.timeline), id,
         std::string_view(argv[3]) == "closed");
  }
  return 0;
}
