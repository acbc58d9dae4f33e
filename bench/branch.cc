// How long a pageserver takes to make a branch, by how much data the timeline has.
//
// usage: bench_branch DIR DATA MEGABYTES ...
// DATA: a data directory that was shut down cleanly. For each size, ascending, pages are put on top of it
// until the timeline's layers, flushed and uploaded to an object store in DIR, have so much; then branches
// are made, each from Tenants::branch() to its return: durable here and there. Prints the median in
// milliseconds, a line a size. DIR must be empty.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bench/pageserver_world.h"
#include "core/pageserver/value.h"

namespace {

using namespace argon;
using namespace argon::pageserver;

constexpr int kBranches = 15;

// Pages under one relation, each once.
Status fill(Task& task, Timeline& timeline, uint64_t bytes, pg::BlockNumber& next) {
  constexpr pg::RelTag kRel{{pg::kDefaultTablespace, pg::kPostgresDb, 4'000'000'000}, pg::Fork::Main};
  LayerStore& store = timeline.store();
  Bytes page = image_value(Bytes(pg::kBlockSize, 1));
  while (store.layer_bytes() + store.memory_bytes() < bytes) {
    Lsn begin = timeline.last_record();
    store.put(block_key({kRel, next++}), begin + 8, page);
    store.advance(begin + 8, begin);
    if (!store.wants_freeze()) continue;
    store.freeze();
    TRY(store.flush_one(task));
  }
  return timeline.save(task);
}

Status run(Task& task, Env& env, objstore::ObjectStore& objects, Scope& scope, const std::string& folder,
           const std::string& data, const std::vector<uint64_t>& megabytes) {
  bench::PageserverWorld world(env, objects, folder, scope, false);
  TRY_ASSIGN(auto timeline, world.tenants().create_root(task, world.id(0), data));
  pg::BlockNumber next_block = 0;
  uint8_t next_branch = 1;
  for (uint64_t size : megabytes) {
    TRY(fill(task, *timeline, size << 20, next_block));
    std::vector<double> times;
    for (int i = 0; i < kBranches; i++) {
      // A turn of the loop, whose clock stands still meanwhile.
      TRY(task.yield());
      double begin = bench::real_s();
      TRY(world.tenants().branch(task, world.id(next_branch++), timeline->id().timeline, {}));
      times.push_back((bench::real_s() - begin) * 1e3);
    }
    std::ranges::nth_element(times, times.begin() + kBranches / 2);
    std::printf("%.3f\n", times[kBranches / 2]);
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<uint64_t> megabytes;
  for (int i = 3; i < argc; i++) megabytes.push_back(std::strtoull(argv[i], nullptr, 10));
  if (megabytes.empty() || megabytes.size() * kBranches > 200) {
    std::fputs("usage: bench_branch DIR DATA MEGABYTES ... (at most 13 sizes)\n", stderr);
    return 2;
  }
  return bench::run_world("bench_branch", argv[1],
                          [&](Task& task, Env& env, objstore::ObjectStore& objects, Scope& scope) {
                            return run(task, env, objects, scope, argv[1], argv[2], megabytes);
                          });
}
