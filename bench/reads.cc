// What a read of one page costs, by what lies above its last image, below it, and between it and the reader.
//
// usage: bench_reads DIR records N HISTORY
//            N records since the page's image; HISTORY of it, and as many of each neighbour, below that image
//        bench_reads DIR again N
//            N records since the page's image, by a pageserver that keeps the pages that reads make
//        bench_reads DIR branches DEPTH
//            an image and 10 records in the root of so many levels of branches, each of which has WAL of its
//            own, of another page
//        bench_reads DIR layers N
//            an image of the page, in one of so many layers, each of which holds another page
//
// Microseconds of processor time a read, the median of some rounds. DIR must be empty; the layers are there
// in the page cache. Compaction and image layers as class Timeline has them.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/clock.h"
#include "core/pageserver/catalog.h"
#include "core/pageserver/value.h"
#include "core/pg/record_makers.h"
#include "core/pg/redo/settings.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace {

using namespace argon;
using namespace argon::pageserver;

constexpr pg::RelTag kRel{{pg::kDefaultTablespace, pg::kPostgresDb, 16384}, pg::Fork::Main};
constexpr pg::BlockNumber kNeighbours = 64;  // pages that have history
constexpr uint64_t kFlushEvery = 10'000;     // records in a layer
constexpr int kRounds = 9;
constexpr int64_t kRoundNs = 50'000'000;

// A store that takes records, and does in between what a timeline does in the background.
class Engine {
 public:
  // With `pages` reads keep there what they made.
  Engine(Env& env, NodeCache& cache, std::string folder, uint8_t number, const StoreOptions& options = {},
         MaterializedPages* pages = nullptr)
      : store_(env, id_of(number), std::move(folder), options, cache),
        catalog_(store_, nullptr, pages),
        keeps_pages_(pages != nullptr) {
    catalog_.set_redo_settings({});
  }
  Status create(Task& task, Engine* ancestor) {
    TimelineIndex index;
    index.id = store_.id();
    index.disk_consistent = index.start_lsn = kStart;
    if (ancestor != nullptr) {
      index.ancestor = ancestor->store_.id().timeline;
      index.disk_consistent = index.start_lsn = index.ancestor_lsn = ancestor->end();
      store_.set_ancestor(&ancestor->store_);
    }
    return store_.create(task, index);
  }

  Lsn end() { return store_.last_record().value(); }

  Status put(Task& task, pg::BlockNumber block, const pg::RecordBuilder& record, bool init) {
    Bytes bytes = record.build(store_.prev_record());
    Lsn begin = end();
    Lsn lsn = begin + pg::align8(bytes.size());
    store_.put(block_key({kRel, block}), lsn, record_value(bytes, init));
    store_.advance(lsn, begin);
    if (++unflushed_ < kFlushEvery) return {};
    return flush(task);
  }
  // The page as it is now, as an image.
  Status put_image(Task& task, pg::BlockNumber block) {
    TRY_ASSIGN(Bytes page, read(task, block));
    Lsn begin = end();
    store_.put(block_key({kRel, block}), begin + 8, image_value(page));
    store_.advance(begin + 8, begin);
    return {};
  }
  // As ingest says it.
  void put_size(pg::BlockNumber blocks) {
    Bytes size(4);
    store_le<uint32_t>(size.data(), blocks);
    Lsn begin = end();
    store_.put(relation_size_key(kRel), begin + 8, image_value(size));
    store_.advance(begin + 8, begin);
  }
  // So many pages, each in a layer of its own. REQUIRES: StoreOptions::compaction_target is a page or less.
  Status put_layers(Task& task, pg::BlockNumber pages) {
    std::vector<std::pair<Key, Bytes>> entries;
    for (pg::BlockNumber block = 0; block < pages; block++)
      entries.emplace_back(block_key({kRel, block}), Bytes(pg::kBlockSize, 1));
    return store_.write_images(task, end(), entries);
  }
  Status flush(Task& task) {
    unflushed_ = 0;
    store_.freeze();
    TRY(store_.flush_one(task));
    return {};
  }
  // As Timeline::compact().
  Status compact(Task& task) {
    if (store_.wants_compaction()) TRY(store_.compact_l0(task));
    if (auto need = store_.image_need()) {
      std::vector<Key> keys;
      for (pg::BlockNumber block = 0; block < kNeighbours; block++)
        if (need->keys.contains(block_key({kRel, block}))) keys.push_back(block_key({kRel, block}));
      TRY(store_.create_image(task, *need, keys, [&](Task& t, const Key& key, Lsn lsn) {
        return catalog_.materialize(t, key, lsn);
      }));
    }
    return store_.sweep(task);
  }
  Result<Bytes> read(Task& task, pg::BlockNumber block) {
    if (keeps_pages_) return catalog_.page(task, {kRel, block}, end());
    return catalog_.materialize(task, block_key({kRel, block}), end());
  }

 private:
  static constexpr Lsn kStart{0x1000028};
  static TenantTimelineId id_of(uint8_t number) {
    TenantTimelineId id;
    id.tenant.bytes[0] = id.timeline.bytes[0] = 1;
    id.timeline.bytes[1] = number;
    return id;
  }

  LayerStore store_;
  Catalog catalog_;
  bool keeps_pages_;
  uint64_t unflushed_ = 0;
};

pg::RecordBuilder first_row(pg::BlockNumber block) {
  Bytes tuple(pg::kTupleHeader + 77);
  tuple[22] = 24;
  return pg::heap_insert(700, {kRel, block, 1}, tuple, true);
}
pg::RecordBuilder lock_row(pg::BlockNumber block, uint64_t n) {
  return pg::heap_lock(static_cast<pg::Xid>(1000 + n), {kRel, block, 1}, 0);
}

Status add_records(Task& task, Engine& engine, pg::BlockNumber pages, uint64_t each) {
  for (uint64_t n = 0; n < each; n++) {
    for (pg::BlockNumber block = 0; block < pages; block++)
      TRY(engine.put(task, block, lock_row(block, n), false));
    TRY(engine.compact(task));
  }
  return {};
}

Status measure(Task& task, Engine& engine) {
  std::vector<double> rounds;
  TRY(engine.read(task, 0));
  for (int round = 0; round < kRounds; round++) {
    int64_t begin = bench::thread_ns();
    int64_t reads = 0;
    for (; bench::thread_ns() - begin < kRoundNs; reads++) TRY(engine.read(task, 0));
    rounds.push_back(static_cast<double>(bench::thread_ns() - begin) / static_cast<double>(reads) / 1e3);
  }
  std::ranges::nth_element(rounds, rounds.begin() + kRounds / 2);
  std::printf("%.3f\n", rounds[kRounds / 2]);
  return {};
}

Status read_over_records(Task& task, Env& env, const std::string& folder, uint64_t records,
                         uint64_t history) {
  NodeCache cache(8192);
  Engine engine(env, cache, folder, 0);
  TRY(engine.create(task, nullptr));
  for (pg::BlockNumber block = 0; block < kNeighbours; block++)
    TRY(engine.put(task, block, first_row(block), true));
  TRY(add_records(task, engine, kNeighbours, history));
  for (pg::BlockNumber block = 0; block < kNeighbours; block++) TRY(engine.put_image(task, block));
  TRY(engine.flush(task));
  TRY(add_records(task, engine, 1, records));
  TRY(engine.flush(task));
  return measure(task, engine);
}

Status read_again(Task& task, Env& env, const std::string& folder, uint64_t records) {
  NodeCache cache(8192);
  Metrics metrics;
  MaterializedPages pages(8192, 16, metrics);
  Engine engine(env, cache, folder, 0, {}, &pages);
  TRY(engine.create(task, nullptr));
  engine.put_size(1);
  TRY(engine.put(task, 0, first_row(0), true));
  TRY(engine.put_image(task, 0));
  TRY(engine.flush(task));
  TRY(add_records(task, engine, 1, records));
  TRY(engine.flush(task));
  return measure(task, engine);
}

Status read_through_branches(Task& task, Env& env, const std::string& folder, uint8_t depth) {
  NodeCache cache(8192);
  std::vector<std::unique_ptr<Engine>> line;
  for (uint8_t level = 0; level <= depth; level++) {
    line.push_back(std::make_unique<Engine>(env, cache, folder + "/" + std::to_string(level), level));
    Engine& engine = *line.back();
    TRY(engine.create(task, level == 0 ? nullptr : line[level - 1].get()));
    if (level == 0) {
      for (pg::BlockNumber block = 0; block < kNeighbours; block++)
        TRY(engine.put(task, block, first_row(block), true));
      TRY(engine.put_image(task, 0));
      TRY(add_records(task, engine, 1, 10));
    }
    for (uint64_t n = 0; n < 100; n++) TRY(engine.put(task, 1, lock_row(1, n), false));
    TRY(engine.flush(task));
  }
  return measure(task, *line.back());
}

Status read_among_layers(Task& task, Env& env, const std::string& folder, pg::BlockNumber layers) {
  NodeCache cache(8192);
  StoreOptions options;
  options.compaction_target = pg::kBlockSize;
  Engine engine(env, cache, folder, 0, options);
  TRY(engine.create(task, nullptr));
  TRY(engine.put_layers(task, layers));
  return measure(task, engine);
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view what = argc > 3 ? argv[2] : "";
  bool records = what == "records" && argc == 5;
  bool again = what == "again" && argc == 4;
  bool branches = what == "branches" && argc == 4;
  if (!records && !again && !branches && !(what == "layers" && argc == 4)) {
    std::fputs(
        "usage: bench_reads DIR records N HISTORY\n       bench_reads DIR again N\n"
        "       bench_reads DIR branches DEPTH\n"
        "       bench_reads DIR layers N\n",
        stderr);
    return 2;
  }
  uint64_t number = std::strtoull(argv[3], nullptr, 10);
  if (branches && number > 255) {
    std::fputs("bench_reads: at most 255 levels\n", stderr);
    return 2;
  }
  posix::LogFile log("bench", "", LogLevel::Info, posix::read_wall_clock);
  posix::PosixEnv env(log, {});
  Status done = env.run("bench", [&](Task& task) {
    if (records) return read_over_records(task, env, argv[1], number, std::strtoull(argv[4], nullptr, 10));
    if (again) return read_again(task, env, argv[1], number);
    if (branches) return read_through_branches(task, env, argv[1], static_cast<uint8_t>(number));
    return read_among_layers(task, env, argv[1], static_cast<pg::BlockNumber>(number));
  });
  if (done.ok()) return 0;
  std::fprintf(stderr, "bench_reads: %s\n", done.error().to_string().c_str());
  return 1;
}
