// Rebuilding pages: native redo, and the stock server as redo process, over the same chains of real WAL.
//
// usage: bench_redo pages SEED WAL RECORDS [--library FILE] [--server PROGRAM]
//        bench_redo stream SEED WAL 0
//
// Chains of RECORDS records behind a page that is there, none of them an image. Both sides are given the page
// and the records' bytes, just read, and end with the finished page. Runs on one core, with the process
// (which is asked through blocking pipes, one page at a time); the two take turns of kTurn chains, since a
// shared machine's speed changes from second to second. Prints microseconds a page, native and process:
// medians.
//
// stream: all of the WAL is decoded, CRCs checked, and redone in LSN order, every page in memory. Prints how
// many records there are.

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "bench/clock.h"
#include "core/base/checksum.h"
#include "core/pg/page.h"
#include "core/pg/redo/canonical.h"
#include "core/pg/redo/proof/page_store.h"
#include "core/pg/redo/proof/wal_files.h"
#include "core/pg/redo/redo.h"
#include "core/redo_process/redo_process.h"

namespace {

using namespace argon;
using namespace argon::pg;
using namespace argon::pg::redo;

constexpr size_t kMostChains = 10'000;
constexpr size_t kMostRecords = 400'000;
constexpr size_t kTurn = 50;

struct Record {
  Lsn lsn, end;
  size_t begin, size;  // in the chain's bytes
};
// The records lie one behind the other, as whoever asks for a page has just read them.
struct Chain {
  BlockTag tag;
  PageBytes base;
  std::vector<Record> records;
  Bytes bytes;

  ByteView raw(const Record& record) const { return ByteView(bytes).subspan(record.begin, record.size); }
};

struct Options {
  std::string what, seed, wal, library;
  std::string server = "/usr/lib/postgresql/15/bin/postgres";
  size_t records = 1;
};

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "bench_redo: %s\n", what.c_str());
  std::exit(1);
}

// All pages, record by record.
class Stream {
 public:
  Stream(const Options& options, RedoSettings settings) : store_(options.seed), settings_(settings) {}

  Status record(const DecodedRecord& r) {
    records_++;
    for (const DecodedBlock& block : r.blocks()) TRY(apply(r, block, store_.page(block.tag()), settings_));
    effects_.clear();
    TRY(nonblock_effects(r, settings_, effects_));
    for (const Effect& effect : effects_) TRY(store_.carry_out(effect));
    settings_ = settings_after(r, settings_);
    return {};
  }
  uint64_t records() const { return records_; }

 private:
  PageStore store_;
  RedoSettings settings_;
  std::vector<Effect> effects_;
  uint64_t records_ = 0;
};

// Replays the WAL and keeps chains of so many records, of all blocks alike.
class Collector {
 public:
  Collector(const Options& options, RedoSettings settings)
      : store_(options.seed), settings_(settings), length_(options.records) {}

  Status record(const DecodedRecord& r) {
    for (const DecodedBlock& block : r.blocks()) {
      PageBytes& page = store_.page(block.tag());
      bool makes = makes_page(r, block);
      if (!makes && !page_is_new(page) && block.fork == Fork::Main) add(r, block, page);
      if (makes) open_.erase(block.tag());
      TRY(apply(r, block, page, settings_));
    }
    effects_.clear();
    TRY(nonblock_effects(r, settings_, effects_));
    for (const Effect& effect : effects_) {
      if (!std::holds_alternative<BlockMutation>(effect) && !std::holds_alternative<SlruMutation>(effect))
        open_.clear();
      TRY(store_.carry_out(effect));
    }
    settings_ = settings_after(r, settings_);
    return {};
  }

  std::vector<Chain> take() { return std::move(chains_); }
  const RedoSettings& settings() const { return settings_; }

 private:
  void add(const DecodedRecord& r, const DecodedBlock& block, const PageBytes& page) {
    if (chains_.size() >= kMostChains || chains_.size() * length_ >= kMostRecords) return;
    auto [at, added] = open_.try_emplace(block.tag());
    Chain& chain = at->second;
    if (added) {
      chain.tag = block.tag();
      chain.base = page;
    }
    chain.records.push_back({r.start_lsn, r.end_lsn, chain.bytes.size(), r.raw.size()});
    chain.bytes.insert(chain.bytes.end(), r.raw.begin(), r.raw.end());
    if (chain.records.size() < length_) return;
    // Every so often only, so that the chains are of the whole WAL.
    if (whole_++ % 7 == 0) chains_.push_back(std::move(chain));
    open_.erase(at);
  }

  PageStore store_;
  RedoSettings settings_;
  size_t length_;
  std::map<BlockTag, Chain> open_;
  std::vector<Chain> chains_;
  std::vector<Effect> effects_;
  uint64_t whole_ = 0;
};

// As a pageserver does it: from the records' bytes to a page that may leave.
void rebuild(const Chain& chain, const RedoSettings& settings, DecodedRecord& decoded, PageBytes& page) {
  copy_page(page, chain.base);
  for (const Record& record : chain.records) {
    CHECK(decode_record(chain.raw(record), record.lsn, record.end, decoded).ok());
    for (const DecodedBlock& block : decoded.blocks())
      if (block.tag() == chain.tag) CHECK(apply(decoded, block, page, settings).ok());
  }
  canonicalize(chain.tag, page, settings, true);
}

// The redo process behind blocking pipes.
class Process {
 public:
  explicit Process(const Options& options, bool hints) {
    int requests[2], pages[2];
    if (pipe(requests) != 0 || pipe(pages) != 0) give_up("no pipes");
    pid_ = fork();
    if (pid_ == 0) {
      dup2(requests[0], 0);
      dup2(pages[1], 1);
      setenv("LD_PRELOAD", options.library.c_str(), 1);
      execl(options.server.c_str(), options.server.c_str(), "--walredo", hints ? "--hints" : nullptr,
            nullptr);
      _exit(127);
    }
    close(requests[0]);
    close(pages[1]);
    in_ = requests[1];
    out_ = pages[0];
    uint8_t hello[12];
    read_all(hello);
  }
  ~Process() {
    close(in_);
    waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;

  void rebuild(const Chain& chain, PageBytes& page) {
    RedoRequests requests;
    requests.begin(chain.tag);
    requests.base(chain.base);
    for (const Record& record : chain.records) requests.apply(record.lsn, record.end, chain.raw(record));
    requests.page();
    ByteView bytes = requests.bytes();
    while (!bytes.empty()) {
      ssize_t n = write(in_, bytes.data(), bytes.size());
      if (n <= 0) give_up("the redo process is gone");
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
    read_all(page);
  }

 private:
  void read_all(ByteSpan into) {
    while (!into.empty()) {
      ssize_t n = read(out_, into.data(), into.size());
      if (n <= 0) give_up("the redo process is gone");
      into = into.subspan(static_cast<size_t>(n));
    }
  }

  pid_t pid_;
  int in_, out_;
};

// Page and records into the processor's caches: whoever asks for a page has just read them.
uint32_t touch(const Chain& chain) {
  return crc32c_extend(crc32c(chain.base), chain.bytes);
}

class Times {
 public:
  template <typename Rebuild>
  void add(std::span<const Chain> chains, Rebuild rebuild) {
    for (const Chain& chain : chains) {
      touched_ ^= touch(chain);
      double begin = bench::real_s();
      rebuild(chain);
      times_.push_back((bench::real_s() - begin) * 1e6);
    }
  }
  double median() {
    auto middle = times_.begin() + static_cast<ptrdiff_t>(times_.size() / 2);
    std::nth_element(times_.begin(), middle, times_.end());
    return *middle;
  }
  uint32_t touched() const { return touched_; }

 private:
  std::vector<double> times_;
  uint32_t touched_ = 0;  // printed, so that the reading is not left out
};

void measure_pages(const Options& options, std::span<const Chain> chains, const RedoSettings& settings) {
  Process process(options, settings.hint_bits_logged());
  PageBytes page;
  DecodedRecord decoded;
  Times native, stock;
  for (size_t at = 0; at < chains.size(); at += kTurn) {
    auto turn = chains.subspan(at, std::min(kTurn, chains.size() - at));
    native.add(turn, [&](const Chain& chain) { rebuild(chain, settings, decoded, page); });
    stock.add(turn, [&](const Chain& chain) { process.rebuild(chain, page); });
  }
  std::fprintf(stderr, "%zu chains, check %08x\n", chains.size(), native.touched() + stock.touched());
  std::printf("%.4f %.4f\n", native.median(), stock.median());
}

template <typename Consumer>
void run_through(const Options& options, const ControlFile& control, Consumer& consumer) {
  int output = dup(1);
  dup2(2, 1);  // where the WAL ends is not the result
  Status replayed = replay(options.wal, control, [&](const DecodedRecord& r) { return consumer.record(r); });
  std::fflush(stdout);
  dup2(output, 1);
  close(output);
  if (!replayed.ok()) give_up(replayed.error().to_string());
}

int measure(const Options& options) {
  auto control = read_control_file(options.seed);
  if (!control.ok()) give_up(control.error().to_string());
  if (options.what == "stream") {
    Stream stream(options, settings_of(*control));
    run_through(options, *control, stream);
    std::printf("%lu\n", stream.records());
    return 0;
  }
  Collector collector(options, settings_of(*control));
  run_through(options, *control, collector);
  std::vector<Chain> chains = collector.take();
  if (chains.size() < 100) give_up("only " + std::to_string(chains.size()) + " chains of that length");
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof one, &one);
  measure_pages(options, chains, collector.settings());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::vector<std::string> words;
  for (int i = 1; i < argc; i++) {
    std::string word = argv[i];
    if (word == "--library" && i + 1 < argc)
      options.library = argv[++i];
    else if (word == "--server" && i + 1 < argc)
      options.server = argv[++i];
    else
      words.push_back(word);
  }
  if (words.size() != 4 || (words[0] != "pages" && words[0] != "stream"))
    give_up("usage: bench_redo pages|stream SEED WAL RECORDS [--library FILE] [--server PROGRAM]");
  options.what = words[0];
  options.seed = words[1];
  options.wal = words[2];
  options.records = std::stoul(words[3]);
  return measure(options);
}
