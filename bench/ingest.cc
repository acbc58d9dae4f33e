// WAL into layers: what a pageserver does with the stream of a timeline, from its bytes to durable L0 layers.
//
// usage: bench_ingest DIR DATA WAL l0|background
// DATA: a data directory that was shut down cleanly, the base; WAL: a folder of segments that go on from
// there. DIR must be empty. `l0`: layers are flushed and nothing more; `background`: compaction, image layers
// and uploads to an object store in DIR go on beside it, as in a pageserver. Prints bytes of WAL, seconds
// until all of it is in durable layers, and the most memory the process had, in MB.

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string_view>

#include "bench/pageserver_world.h"
#include "core/env/io.h"

namespace {

using namespace argon;
using namespace argon::pageserver;

constexpr size_t kReadBytes = 128 * 1024;  // as much as a message of a safekeeper has at most

// Gives `take` the WAL from `from` on, in pieces, until one is refused or there is no more.
Status read_wal(Task& task, Env& env, const std::string& folder, Lsn from,
                const std::function<Result<bool>(ByteView)>& take) {
  Bytes piece(kReadBytes);
  for (;;) {
    std::string path = join_path(folder, pg::segment_file_name(pg::segment_number(from)));
    auto file = env.disk().open(task, path, OpenMode::Read);
    if (file.is(Code::NotFound)) return {};
    TRY(file);
    do {
      TRY_ASSIGN(size_t n, (*file)->read_at(task, pg::segment_offset(from), piece));
      if (n == 0) return Error(Code::Corrupt, path + " is too short");
      from = from + n;
      TRY_ASSIGN(bool more, take(ByteView(piece.data(), n)));
      if (!more) return {};
    } while (pg::segment_offset(from) != 0);
  }
}

Status ingest(Task& task, Env& env, Timeline& timeline, const std::string& wal) {
  TRY_ASSIGN(Ingest * ingest, timeline.ingest(task));
  Lsn from = timeline.last_record();
  pg::WalStreamDecoder decoder(from, {timeline.store().index().system_id});
  TRY(read_wal(task, env, wal, from, [&](ByteView piece) -> Result<bool> {
    decoder.feed(piece);
    pg::WalRecord record;
    for (;;) {
      auto found = decoder.next(record);
      if (found.is(Code::Corrupt)) return false;  // the end of WAL
      TRY(found);
      if (!*found) break;
      TRY(ingest->apply(task, record));
    }
    TRY(task.yield());
    return true;
  }));
  return {};
}

Status run(Task& task, Env& env, objstore::ObjectStore& objects, Scope& scope, const std::string& folder,
           const std::string& data, const std::string& wal, bool background) {
  bench::PageserverWorld world(env, objects, folder, scope, background);
  auto stop = [&](Status ended) -> Status {
    Status stopped = scope.stop(task);
    return ended.ok() ? stopped : ended;
  };
  TRY_ASSIGN(auto timeline, world.tenants().create_root(task, world.id(0), data));
  LayerStore& store = timeline->store();
  for (int i = 0; i < 2 && !background; i++)
    scope.spawn("flush", [&](Task& t) -> Status {
      for (;;) {
        TRY_ASSIGN(bool flushed, store.flush_one(t));
        if (!flushed) TRY(store.changes().wait(t));
      }
    });
  Lsn from = timeline->last_record();
  double begin = bench::real_s();
  if (Status done = ingest(task, env, *timeline, wal); !done.ok()) return stop(done);
  store.freeze();
  while (store.disk_consistent() < timeline->last_record())
    if (Status waited = store.changes().wait(task); !waited.ok()) return stop(waited);
  double seconds = bench::real_s() - begin;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%llu %.3f %ld\n", static_cast<unsigned long long>(timeline->last_record() - from), seconds,
              usage.ru_maxrss / 1024);
  return stop({});
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view mode = argc == 5 ? argv[4] : "";
  if (mode != "l0" && mode != "background") {
    std::fputs("usage: bench_ingest DIR DATA WAL l0|background\n", stderr);
    return 2;
  }
  return bench::run_world(
      "bench_ingest", argv[1], [&](Task& task, Env& env, objstore::ObjectStore& objects, Scope& scope) {
        return run(task, env, objects, scope, argv[1], argv[2], argv[3], mode == "background");
      });
}
