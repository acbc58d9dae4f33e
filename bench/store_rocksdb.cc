// RocksDB takes the stream of values that bench_store takes, under (key, LSN), and compacts as far as it
// would.
//
// usage: bench_store_rocksdb DIR random|sequential VALUE_BYTES MEGABYTES
// DIR must be empty. Prints what bench/store_stream.h says. Its write-ahead log is on; no compression, as
// bench_store has none; memtables of as many bytes as memory layers, a block cache as large as the cache of
// index nodes.

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/table.h>
#include <unistd.h>

#include "bench/store_stream.h"

namespace {

using namespace argon;

void check(const rocksdb::Status& status) {
  CHECK(status.ok(), status.ToString());
}

bool settled(rocksdb::DB& db) {
  for (const std::string* property :
       {&rocksdb::DB::Properties::kMemTableFlushPending, &rocksdb::DB::Properties::kNumRunningFlushes,
        &rocksdb::DB::Properties::kCompactionPending, &rocksdb::DB::Properties::kNumRunningCompactions}) {
    uint64_t value = 0;
    CHECK(db.GetIntProperty(*property, &value));
    if (value != 0) return false;
  }
  return true;
}

void run(const char* folder, const bench::StreamOptions& stream_options) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  options.write_buffer_size = bench::kMemtableBytes;
  options.max_write_buffer_number = bench::kMemtables;
  options.IncreaseParallelism(static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(64u << 20);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  rocksdb::DB* opened = nullptr;
  check(rocksdb::DB::Open(options, folder, &opened));
  std::unique_ptr<rocksdb::DB> db(opened);

  double begin = bench::real_s();
  bench::ValueStream stream(stream_options);
  rocksdb::WriteBatch batch;
  uint8_t key[pageserver::kKeyBytes + sizeof(uint64_t)];
  while (stream.next()) {
    pageserver::store_key(stream.key(), ByteSpan(key, pageserver::kKeyBytes));
    store_le(key + pageserver::kKeyBytes, byte_swap(stream.lsn().value));
    check(batch.Put(
        rocksdb::Slice(reinterpret_cast<const char*>(key), sizeof key),
        rocksdb::Slice(reinterpret_cast<const char*>(stream.value().data()), stream.value().size())));
    if (batch.Count() < bench::kBatch) continue;
    check(db->Write({}, &batch));
    batch.Clear();
  }
  check(db->Write({}, &batch));
  check(db->Flush({}));
  double durable = bench::real_s();
  while (!settled(*db)) usleep(1000);  // 7.8 has no call that waits for compaction
  bench::print_result(durable - begin, bench::real_s() - begin);
  check(db->Close());
}

}  // namespace

int main(int argc, char** argv) {
  bench::StreamOptions options;
  if (!bench::parse(argc, argv, options)) {
    std::fputs("usage: bench_store_rocksdb DIR random|sequential VALUE_BYTES MEGABYTES\n", stderr);
    return 2;
  }
  run(argv[1], options);
}
