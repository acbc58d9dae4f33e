// Decoding WAL from memory.
//
// usage: bench_wal make DIR      segments of records such as pgbench's
//        bench_wal decode DIR    bytes a second, every record taken apart

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

#include "bench/clock.h"
#include "core/base/random.h"
#include "core/pg/record_makers.h"
#include "core/pg/wal_stream.h"

namespace {

using namespace argon;
using namespace argon::pg;

constexpr Lsn kStart(kWalSegmentSize);
constexpr uint64_t kSegments = 8;
constexpr WalIdentity kIdentity{77, 1};

std::filesystem::path segment_path(const std::filesystem::path& folder, uint64_t n) {
  return folder / segment_file_name(segment_number(kStart) + n);
}

// Hot updates, an insert and a commit a transaction; a page image now and then.
void append_transaction(WalWriter& writer, Random& random, Xid xid) {
  RelTag rel{{kDefaultTablespace, kPostgresDb, 16384}, Fork::Main};
  Bytes tuple(kTupleHeader + 77);
  tuple[22] = 24;
  for (int i = 0; i < 3; i++) {
    auto block = static_cast<BlockNumber>(random.below(10'000));
    writer.append(heap_update(xid, {rel, block, 5}, {rel, block, 9}, tuple, true, false));
  }
  writer.append(heap_insert(xid, {rel, 10'000, 1}, tuple, false));
  writer.append(xact_commit(xid, xid));
  if (!random.chance({1, 50})) return;
  Bytes page(kBlockSize, 1);
  ByteView pages[] = {page};
  writer.append(full_page_images(rel, 7, pages, false));
}

void make(const std::filesystem::path& folder) {
  Random random(1);
  WalWriter writer(kIdentity, kStart, Lsn(8));
  for (Xid xid = 1000; writer.position() < kStart + kSegments * kWalSegmentSize; xid++)
    append_transaction(writer, random, xid);
  Bytes all = writer.take();
  for (uint64_t n = 0; n < kSegments; n++) {
    std::ofstream out(segment_path(folder, n), std::ios::binary);
    out.write(reinterpret_cast<const char*>(all.data() + n * kWalSegmentSize), kWalSegmentSize);
    CHECK(out.good(), folder.string());
  }
}

double decode(const std::filesystem::path& folder) {
  Bytes all;
  for (uint64_t n = 0; n < kSegments; n++) {
    std::ifstream in(segment_path(folder, n), std::ios::binary);
    all.insert(all.end(), std::istreambuf_iterator<char>(in), {});
  }
  CHECK(all.size() == kSegments * kWalSegmentSize, "run make first");
  int64_t begin = bench::thread_ns();
  WalStreamDecoder decoder(kStart, kIdentity);
  decoder.feed(all);
  DecodedRecord record;
  uint64_t blocks = 0;
  for (;;) {
    auto found = decoder.next(record);
    CHECK(found.ok(), found.error().to_string());
    if (!*found) break;
    blocks += record.block_count;
  }
  CHECK(blocks > 0);
  return static_cast<double>(all.size()) * 1e9 / static_cast<double>(bench::thread_ns() - begin);
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view verb = argc == 3 ? argv[1] : "";
  if (verb == "make") {
    make(argv[2]);
  } else if (verb == "decode") {
    std::printf("%.0f\n", decode(argv[2]));
  } else {
    std::fprintf(stderr, "usage: bench_wal make|decode DIR\n");
    return 2;
  }
}
