// The stream of (key, LSN, value) that bench_store and bench_store_rocksdb take, and what they print.

#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "bench/clock.h"
#include "core/base/random.h"
#include "core/pageserver/key.h"
#include "core/pageserver/value.h"

namespace argon::bench {

// What both may hold in memory, apart from indexes: memtables or memory layers.
inline constexpr uint64_t kMemtableBytes = 64u << 20;
inline constexpr int kMemtables = 3;
inline constexpr int kBatch = 32;  // values that come at once

struct StreamOptions {
  bool random = false;
  size_t value_bytes = 0;
  uint64_t count = 0;

  // Random keys have four versions each on average, sequential ones one.
  uint64_t keys() const { return random ? count / 4 + 1 : count; }
};

// argv: PROGRAM DIR random|sequential VALUE_BYTES MEGABYTES
inline bool parse(int argc, char** argv, StreamOptions& options) {
  if (argc != 5) return false;
  std::string_view order = argv[2];
  options.random = order == "random";
  options.value_bytes = std::strtoull(argv[3], nullptr, 10);
  if ((!options.random && order != "sequential") || options.value_bytes < 16) return false;
  options.count = (std::strtoull(argv[4], nullptr, 10) << 20) / options.value_bytes;
  return options.count > 0;
}

inline pageserver::Key stream_key(uint64_t n) {
  constexpr pg::RelTag kRel{{pg::kDefaultTablespace, pg::kPostgresDb, 16384}, pg::Fork::Main};
  return pageserver::block_key({kRel, static_cast<pg::BlockNumber>(n)});
}

class ValueStream {
 public:
  explicit ValueStream(const StreamOptions& options)
      : options_(options), random_(1), value_(pageserver::image_value(Bytes(options.value_bytes, 7))) {}

  bool next() {
    if (done_ == options_.count) return false;
    key_ = stream_key(options_.random ? random_.below(options_.keys()) : done_);
    lsn_ = Lsn(0x1000028 + 8 * ++done_);
    store_le(&value_[1], random_.next());
    return true;
  }
  const pageserver::Key& key() const { return key_; }
  Lsn lsn() const { return lsn_; }
  ByteView value() const { return value_; }

 private:
  StreamOptions options_;
  Random random_;
  Bytes value_;
  uint64_t done_ = 0;
  pageserver::Key key_;
  Lsn lsn_;
};

// Bytes that this process has given to the disk; what was removed before it got there does not count.
inline uint64_t written_bytes() {
  std::FILE* file = std::fopen("/proc/self/io", "r");
  CHECK(file != nullptr);
  unsigned long long written = 0;
  unsigned long long cancelled = 0;
  char line[128];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    std::sscanf(line, "write_bytes: %llu", &written);
    std::sscanf(line, "cancelled_write_bytes: %llu", &cancelled);
  }
  std::fclose(file);
  return written - cancelled;
}

// Seconds until all is durable, and until all is compacted too; bytes written.
inline void print_result(double durable, double settled) {
  std::printf("%.3f %.3f %llu\n", durable, settled, static_cast<unsigned long long>(written_bytes()));
}

}  // namespace argon::bench
