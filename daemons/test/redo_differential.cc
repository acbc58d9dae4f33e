// redo_differential: native redo and an unmodified server rebuild the same pages from the same chains of
// records.
//
// usage: redo_differential SEED WAL [--server PROGRAM] [--library FILE] [--seed N] [--flip-bit]
//
// SEED and WAL as for redo_verify. All WAL is replayed natively; meanwhile, for each block, its records since
// a page it had are collected, 1 to 1000 of them (a length is drawn for each chain), images among them. The
// chain is given to a stock server as redo process, with that page as its base, and after each record of it
// both must have the same page, byte for byte, nothing masked (but for what minor_release.h says). Then once
// more from a page of the chain's middle, to which the records before it are old. A pair is a page and a
// chain compared. --flip-bit is the negative control: a bit of every 500th base is another one for the
// server. Last line: "N pairs compared, M differences". Exit status 0: at least one pair, no difference, no
// error.

#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <unordered_map>

#include "core/base/checksum.h"
#include "core/base/random.h"
#include "core/pg/redo/proof/minor_release.h"
#include "core/pg/redo/proof/page_store.h"
#include "core/pg/redo/proof/wal_files.h"
#include "core/pg/redo/redo.h"
#include "core/redo_process/redo_process.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace argon {
namespace {

using namespace pg;
using namespace pg::redo;

constexpr uint64_t kLongestChain = 1000;
constexpr size_t kBatch = 4 << 20;  // bytes of requests and answers
constexpr int kComplaints = 20;

struct Options {
  std::string seed;
  std::string wal;
  RedoProcessConfig process;
  uint64_t random_seed = 1;
  bool flip_bit = false;
};

// A record in a chain, and what the native page is after it.
struct Step {
  Lsn lsn, end;
  std::shared_ptr<const Bytes> record;
  Hash128 after;
};

struct Chain {
  PageBytes base;
  size_t length = 0;  // at most
  std::vector<Step> steps;
  // A page of the middle, and behind which step.
  PageBytes middle;
  size_t middle_after = 0;
};

// A page that the server is to answer with.
struct Expected {
  BlockTag tag;
  Lsn lsn;
  uint8_t rmgr, info;
  size_t steps;
  Hash128 page;
};

class Differential {
 public:
  Differential(const Options& options, const ControlFile& control, Task& task, RedoProcess& process)
      : options_(options),
        store_(options.seed),
        settings_(settings_of(control)),
        task_(task),
        process_(process),
        random_(options.random_seed) {}

  Status record(const DecodedRecord& r) {
    record_bytes_.reset();
    for (const DecodedBlock& block : r.blocks()) TRY(block_of(r, block));
    effects_.clear();
    TRY(nonblock_effects(r, settings_, effects_));
    // One record may change a map page twice, for two heap pages.
    std::set<BlockTag> changed;
    for (const Effect& effect : effects_) TRY(effect_of(r, effect, changed));
    for (const BlockTag& tag : changed) TRY(step(r, tag, chain_of(tag)));
    settings_ = settings_after(r, settings_);
    return {};
  }

  // What is still open.
  Status finish() {
    for (auto& [rel, chains] : chains_) TRY(end_chains(rel, chains));
    return send();
  }

  bool report() const {
    std::printf(
        "%lu records; %lu chains, the longest of %zu records; %lu of the pairs begin in a chain's middle\n",
        records_, ended_, longest_, from_middle_);
    if (of_minor_release_ > 0)
      std::printf("%lu pages but for a bit that depends on the minor release\n", of_minor_release_);
    std::printf("%lu pairs compared, %lu differences\n", compared_, differences_);
    return compared_ > 0 && differences_ == 0;
  }

 private:
  using Chains = std::unordered_map<BlockNumber, Chain>;

  Chain& chain_of(const BlockTag& tag) {
    auto [at, added] = chains_[tag.rel].try_emplace(tag.block);
    Chain& chain = at->second;
    if (added) {
      chain.base = store_.page(tag);
      chain.length = random_.log_uniform(1, kLongestChain);
      chain.middle_after = random_.between(size_t{1}, chain.length);
    }
    return chain;
  }

  // The page was changed natively by the record.
  Status step(const DecodedRecord& r, const BlockTag& tag, Chain& chain) {
    if (record_bytes_ == nullptr) record_bytes_ = std::make_shared<const Bytes>(to_bytes(r.raw));
    const PageBytes& page = store_.page(tag);
    chain.steps.push_back({r.start_lsn, r.end_lsn, record_bytes_, hash128(page)});
    records_++;
    if (chain.steps.size() == chain.middle_after) chain.middle = page;
    if (chain.steps.size() < chain.length) return {};
    TRY(end_chain(tag, chain));
    chains_[tag.rel].erase(tag.block);
    return {};
  }

  Status block_of(const DecodedRecord& r, const DecodedBlock& block) {
    Chain& chain = chain_of(block.tag());
    TRY(apply(r, block, store_.page(block.tag()), settings_));
    return step(r, block.tag(), chain);
  }

  Status effect_of(const DecodedRecord& r, const Effect& effect, std::set<BlockTag>& changed) {
    if (const auto* m = std::get_if<BlockMutation>(&effect)) {
      // Truncating a map is more than one page's redo: the chain begins behind it.
      if (r.is(Rmgr::Smgr)) {
        TRY(end_relation(m->block.rel));
        return store_.carry_out(effect);
      }
      chain_of(m->block);
      changed.insert(m->block);
      return store_.carry_out(effect);
    }
    if (const auto* t = std::get_if<RelationTruncate>(&effect)) TRY(end_relation(t->rel));
    if (const auto* d = std::get_if<RelationDrop>(&effect))
      for (uint8_t fork = 0; fork <= kLastFork; fork++) TRY(end_relation({d->rel, static_cast<Fork>(fork)}));
    if (std::holds_alternative<DatabaseDrop>(effect) || std::holds_alternative<DatabaseCopy>(effect))
      TRY(end_all());
    return store_.carry_out(effect);
  }

  Status end_all() {
    for (auto& [rel, chains] : chains_) TRY(end_chains(rel, chains));
    return {};
  }
  Status end_relation(const RelTag& rel) {
    auto found = chains_.find(rel);
    return found == chains_.end() ? Status() : end_chains(rel, found->second);
  }
  Status end_chains(const RelTag& rel, Chains& chains) {
    for (auto& [block, chain] : chains) TRY(end_chain({rel, block}, chain));
    chains.clear();
    return {};
  }

  Status end_chain(const BlockTag& tag, const Chain& chain) {
    if (chain.steps.empty()) return {};
    ended_++;
    longest_ = std::max(longest_, chain.steps.size());
    requests_.begin(tag);
    PageBytes base = chain.base;
    if (options_.flip_bit && ended_ % 500 == 0) base[8100] ^= 1;
    requests_.base(base);
    for (size_t i = 0; i < chain.steps.size(); i++) {
      add(chain.steps[i]);
      TRY(expect(tag, chain, i));
    }
    // Clearing bits of a map does not look at its LSN.
    if (chain.steps.size() > chain.middle_after && tag.rel.fork != Fork::Vm) {
      from_middle_++;
      requests_.begin(tag);
      requests_.base(chain.middle);
      for (const Step& step : chain.steps) add(step);
      TRY(expect(tag, chain, chain.steps.size() - 1));
    }
    return {};
  }

  void add(const Step& step) { requests_.apply(step.lsn, step.end, *step.record); }

  Status expect(const BlockTag& tag, const Chain& chain, size_t i) {
    const Step& step = chain.steps[i];
    requests_.page();
    expected_.push_back({tag, step.lsn, (*step.record)[17], (*step.record)[16], i + 1, step.after});
    if (requests_.bytes().size() + expected_.size() * kBlockSize < kBatch || i + 1 < chain.steps.size())
      return {};
    return send();
  }

  Status send() {
    Deadline deadline(task_, Duration::seconds(60));
    TRY_ASSIGN(Bytes pages, process_.run(task_, requests_));
    for (size_t i = 0; i < expected_.size(); i++) {
      const Expected& wanted = expected_[i];
      compared_++;
      ByteSpan page = ByteSpan(pages).subspan(i * kBlockSize, kBlockSize);
      if (hash128(page) == wanted.page) continue;
      if (clear_gist_tuples_deleted(page) && hash128(page) == wanted.page) {
        of_minor_release_++;
        continue;
      }
      if (differences_++ < kComplaints)
        std::fprintf(stderr, "%s: another page after %zu records, the last at %s, %s %02x\n",
                     to_string(wanted.tag).c_str(), wanted.steps, to_string(wanted.lsn).c_str(),
                     std::string(rmgr_name(wanted.rmgr)).c_str(), wanted.info);
    }
    requests_.clear();
    expected_.clear();
    return {};
  }

  const Options& options_;
  PageStore store_;
  RedoSettings settings_;
  Task& task_;
  RedoProcess& process_;
  Random random_;
  std::map<RelTag, Chains> chains_;
  std::shared_ptr<const Bytes> record_bytes_;  // of the record at hand, once somebody needs it
  std::vector<Effect> effects_;
  RedoRequests requests_;
  std::vector<Expected> expected_;
  uint64_t records_ = 0;
  uint64_t ended_ = 0;
  size_t longest_ = 0;
  uint64_t from_middle_ = 0;
  uint64_t compared_ = 0;
  uint64_t of_minor_release_ = 0;
  uint64_t differences_ = 0;
};

Result<bool> compare(Task& task, Env& env, Options options) {
  TRY_ASSIGN(ControlFile control, read_control_file(options.seed));
  options.process.hint_bits_logged = settings_of(control).hint_bits_logged();
  TRY_ASSIGN(auto process, RedoProcess::start(task, env, options.process));
  std::printf("redo process: PostgreSQL %u\n", process->server_version());
  Differential differential(options, control, task, *process);
  TRY(replay(options.wal, control, [&](const DecodedRecord& r) { return differential.record(r); }));
  TRY(differential.finish());
  return differential.report();
}

}  // namespace
}  // namespace argon

int main(int argc, char** argv) {
  using namespace argon;
  Options options;
  options.process.server = "/usr/lib/postgresql/15/bin/postgres";
  std::vector<std::string> places;
  for (int i = 1; i < argc; i++) {
    std::string argument = argv[i];
    if (argument == "--server" && i + 1 < argc)
      options.process.server = argv[++i];
    else if (argument == "--library" && i + 1 < argc)
      options.process.library = argv[++i];
    else if (argument == "--seed" && i + 1 < argc)
      options.random_seed = std::stoull(argv[++i]);
    else if (argument == "--flip-bit")
      options.flip_bit = true;
    else
      places.push_back(argument);
  }
  if (places.size() != 2 || options.process.library.empty()) {
    std::fprintf(
        stderr,
        "usage: redo_differential SEED WAL --library FILE [--server PROGRAM] [--seed N] [--flip-bit]\n");
    return 2;
  }
  options.seed = places[0];
  options.wal = places[1];
  posix::LogFile log("redo_differential", "", LogLevel::Warn, posix::read_wall_clock);
  posix::PosixEnv env(log, posix::PosixOptions());
  bool holds = false;
  Status status = env.run("redo_differential", [&](Task& task) -> Status {
    TRY_ASSIGN(holds, compare(task, env, options));
    return {};
  });
  if (!status.ok()) std::fprintf(stderr, "redo_differential: %s\n", status.error().to_string().c_str());
  return status.ok() && holds ? 0 : 1;
}
