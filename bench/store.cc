// LayerStore takes a stream of values, to the point where all is durable and compacted as far as it would be.
//
// usage: bench_store DIR random|sequential VALUE_BYTES MEGABYTES
// DIR must be empty. Prints what bench/store_stream.h says.

#include "bench/store_stream.h"
#include "core/fiber/scope.h"
#include "core/pageserver/layer_store.h"
#include "core/pageserver/reconstruct.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace {

using namespace argon;
using namespace argon::pageserver;

// Flushes and compacts beside ingest, as class Timeline.
class Engine {
 public:
  Engine(Env& env, std::string folder, const bench::StreamOptions& stream)
      : stream_(stream), store_(env, id(), std::move(folder), options(), cache_) {}

  Status run(Task& task) {
    TimelineIndex index;
    index.id = id();
    index.disk_consistent = index.start_lsn = Lsn(0x1000028);
    TRY(store_.create(task, index));
    double begin = bench::real_s();
    Scope scope(task);
    for (int i = 0; i < 2; i++) scope.spawn("flush", [this](Task& t) { return flush_all(t); });
    scope.spawn("compact", [this](Task& t) { return compact_all(t); });
    Status taken = take(task);
    ended_ = true;
    store_.freeze();
    store_.changes().notify_all();
    Status worked = scope.join(task);
    TRY(taken);
    TRY(worked);
    bench::print_result(durable_at_ - begin, bench::real_s() - begin);
    return {};
  }

 private:
  static TenantTimelineId id() {
    TenantTimelineId id;
    id.tenant.bytes[0] = id.timeline.bytes[0] = 1;
    return id;
  }
  static StoreOptions options() {
    StoreOptions options;
    options.compress = false;  // as RocksDB beside it
    options.checkpoint_distance = bench::kMemtableBytes;
    options.max_frozen = bench::kMemtables - 1;
    return options;
  }

  Status take(Task& task) {
    bench::ValueStream stream(stream_);
    for (uint64_t n = 1; stream.next(); n++) {
      if (store_.wants_freeze()) {
        store_.freeze();
        TRY(store_.wait_for_room(task));
      }
      Lsn before = store_.last_record().value();
      store_.put(stream.key(), stream.lsn(), stream.value());
      store_.advance(stream.lsn(), before);
      if (n % bench::kBatch == 0) TRY(task.yield());
    }
    return {};
  }
  Status flush_all(Task& task) {
    for (;;) {
      TRY_ASSIGN(bool flushed, store_.flush_one(task));
      if (flushed) continue;
      if (ended_) break;
      TRY(store_.changes().wait(task));
    }
    durable_at_ = bench::real_s();
    flushed_ = !store_.has_unflushed();
    store_.changes().notify_all();
    return {};
  }
  Status compact_all(Task& task) {
    for (;;) {
      if (store_.wants_compaction()) {
        TRY(store_.compact_l0(task));
        if (auto need = store_.image_need()) TRY(make_image(task, *need));
        TRY(store_.sweep(task));
      } else if (flushed_) {
        return store_.sweep(task);
      } else {
        TRY(store_.changes().wait(task));
      }
    }
  }
  Status make_image(Task& task, const LayerStore::ImageNeed& need) {
    std::vector<Key> keys;
    for (uint64_t n = 0; n < stream_.keys(); n++)
      if (Key key = bench::stream_key(n); need.keys.contains(key)) keys.push_back(key);
    int made = 0;
    return store_.create_image(task, need, keys, [&](Task& t, const Key& key, Lsn lsn) -> Result<Bytes> {
      if (++made % bench::kBatch == 0) TRY(t.yield());
      TRY_ASSIGN(Chain chain, store_.collect(t, key, lsn));
      return newest_image(key, chain);
    });
  }

  bench::StreamOptions stream_;
  NodeCache cache_{8192};
  LayerStore store_;
  bool ended_ = false;
  bool flushed_ = false;
  double durable_at_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  bench::StreamOptions options;
  if (!bench::parse(argc, argv, options)) {
    std::fputs("usage: bench_store DIR random|sequential VALUE_BYTES MEGABYTES\n", stderr);
    return 2;
  }
  posix::LogFile log("bench", "", LogLevel::Info, posix::read_wall_clock);
  posix::PosixEnv env(log, {});
  Status done = env.run("bench", [&](Task& task) { return Engine(env, argv[1], options).run(task); });
  if (done.ok()) return 0;
  std::fprintf(stderr, "bench_store: %s\n", done.error().to_string().c_str());
  return 1;
}
