// redo_verify: replays a stock server's WAL natively and compares every page with what the server says.
//
// usage: redo_verify SEED WAL [--data DIR] [--min N] [--types T] [--flip-bit | --without-vm-clears |
// --skip-records]
//
// SEED is the data directory as it was where WAL (a folder of segments) begins: at the redo point of
// SEED's pg_control. After each record, each block that carries a consistency image (the server ran
// with wal_consistency_checking = all) is compared with it, masked; pages of the visibility map
// unmasked but for LSN and checksum (redo_verify_maps.h says which bits WAL does not carry). With --data, the
// pages left over are compared byte for byte with a data directory that the stock server's own recovery made
// from the same WAL. The other three are negative controls, in which the comparison must find something: a
// bit of every 500th page is flipped, flags of the visibility map are left as they are, every 500th record
// that changes a page is skipped. Exit status 0: at least N (default 1) comparisons, at least T record types
// with blocks (default 1), no difference, no error, nothing unsupported.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/pg/page.h"
#include "core/pg/redo/consistency_mask.h"
#include "core/pg/redo/proof/minor_release.h"
#include "core/pg/redo/proof/page_store.h"
#include "core/pg/redo/proof/redo_verify_maps.h"
#include "core/pg/redo/proof/wal_files.h"
#include "core/pg/redo/redo.h"

namespace argon::pg::redo {
namespace {

struct Counts {
  uint64_t applied = 0;
  uint64_t compared = 0;
  uint64_t images = 0;
  uint64_t mismatches = 0;
  uint64_t errors = 0;
  uint64_t unsupported = 0;
};

struct Options {
  std::string seed;
  std::string wal;
  std::string data;
  uint64_t least = 1;
  uint64_t types = 1;
  bool flip_bit = false;
  bool vm_clears = true;
  bool skip_records = false;
};

class Verifier {
 public:
  Verifier(const Options& options, const ControlFile& control)
      : options_(options),
        store_(options.seed),
        slru_seed_(options.seed),
        copied_maps_(options.seed,
                     [this](const BlockTag& tag, PageBytes& page) { return store_.peek(tag, page); }),
        settings_(settings_of(control)) {}

  Status record(const DecodedRecord& r) {
    records_++;
    if (skips(r)) return {};
    uint8_t type = r.is(Rmgr::Xact) ? r.type() & 0x70 : r.type();  // its high bit only says what follows
    seen_.insert({r.rmid, type});
    for (const DecodedBlock& block : r.blocks()) apply_block(r, block);
    effects_.clear();
    TRY(nonblock_effects(r, settings_, effects_));
    for (const Effect& effect : effects_) {
      TRY(carry_out(effect));
      copied_maps_.follow(r, effect);
    }
    settings_ = settings_after(r, settings_);
    return {};
  }

  bool report() const {
    Counts sum;
    std::printf("%-10s %4s %12s %12s %10s %10s %8s %8s\n", "manager", "type", "applied", "compared", "images",
                "mismatch", "errors", "unsupp");
    for (const auto& [key, c] : counts_) {
      std::printf("%-10s %4x %12lu %12lu %10lu %10lu %8lu %8lu\n", std::string(rmgr_name(key.first)).c_str(),
                  key.second, c.applied, c.compared, c.images, c.mismatches, c.errors, c.unsupported);
      sum.applied += c.applied;
      sum.compared += c.compared;
      sum.images += c.images;
      sum.mismatches += c.mismatches;
      sum.errors += c.errors;
      sum.unsupported += c.unsupported;
    }
    std::printf("%lu records, %lu effects beyond blocks, %lu visibility map images compared unmasked\n",
                records_, effects_done_, vm_compared_);
    std::printf("%lu of them of databases copied by WAL, %lu with bits of the template that WAL left out\n",
                copied_maps_.compared(), copied_maps_.with_lost_bits());
    std::printf("record types:");
    for (const auto& [rmid, type] : seen_) std::printf(" %u/%02x", rmid, type);
    std::printf("\n");
    std::printf(
        "%lu images compared, %lu mismatches, %lu errors, %lu unsupported, %zu record types with blocks\n",
        sum.compared, sum.mismatches, sum.errors, sum.unsupported, counts_.size());
    return sum.compared >= options_.least && counts_.size() >= options_.types && sum.mismatches == 0 &&
           sum.errors == 0 && sum.unsupported == 0;
  }

  // Byte for byte against a data directory that stock recovery made. FSM pages are not logged. One bit
  // depends on the server's minor release (minor_release.h).
  bool compare_data() const {
    DataDirectory data(options_.data);
    uint64_t equal = 0, absent = 0, different = 0;
    for (const auto& [tag, rel] : store_.relations()) {
      if (tag.fork == Fork::Fsm) continue;
      for (BlockNumber block = 0; block < rel.pages.size(); block++) {
        if (rel.pages[block] == nullptr) continue;
        PageBytes theirs;
        PageBytes ours = *rel.pages[block];
        if (settings_.data_checksums && !page_is_new(ours)) set_page_checksum(ours, block);
        if (!data.read(tag, block, theirs)) {
          absent++;
        } else if (theirs == ours || equal_but_for_gist_flag(ours, theirs)) {
          equal++;
        } else {
          if (different++ < 20) show_difference({tag, block}, ours, theirs);
        }
      }
    }
    uint64_t slru_equal = 0, slru_different = 0;
    compare_slrus(slru_equal, slru_different);
    std::printf(
        "data files: %lu pages equal, %lu different, %lu not there; "
        "SLRU pages: %lu equal, %lu different\n",
        equal, different, absent, slru_equal, slru_different);
    return equal > 0 && different == 0 && slru_equal > 0 && slru_different == 0;
  }

 private:
  static bool equal_but_for_gist_flag(const PageBytes& ours, PageBytes theirs) {
    if (!clear_gist_tuples_deleted(theirs)) return false;
    if (page_checksum(theirs) != 0)
      std::memcpy(theirs.data() + page::kChecksum, ours.data() + page::kChecksum, 2);
    return theirs == ours;
  }

  void apply_block(const DecodedRecord& r, const DecodedBlock& block) {
    Counts& c = counts_[{r.rmid, r.type()}];
    PageBytes& page = store_.page(block.tag());
    flip_a_bit(block, page);
    c.applied++;
    Status status = apply(r, block, page, settings_);
    if (!status.ok()) {
      (status.error().code() == Code::Unsupported ? c.unsupported : c.errors)++;
      if (status.error().code() != Code::Unsupported && complaints_++ < 20)
        std::fprintf(stderr, "%s\n", status.error().to_string().c_str());
      take_image(r, block, page);
      return;
    }
    if (block.apply_image) c.images++;
    copied_maps_.follow(r, block);
    if (has_consistency_image(block)) compare(r, block, page, c);
  }

  bool skips(const DecodedRecord& r) {
    if (!options_.skip_records) return false;
    bool changes = std::ranges::any_of(r.blocks(), [&](const DecodedBlock& block) {
      return block.fork == Fork::Main && !makes_page(r, block);
    });
    return changes && ++skippable_ % 500 == 0;
  }

  void flip_a_bit(const DecodedBlock& block, PageBytes& page) {
    if (!options_.flip_bit || block.fork != Fork::Main || makes_page({}, block) || ++flips_ % 500 != 0)
      return;
    page[8100] ^= 1;
  }

  void take_image(const DecodedRecord& r, const DecodedBlock& block, PageBytes& page) {
    if (!block.has_image || !restore_image(block, page).ok()) return;
    store_le(page.data(), static_cast<uint32_t>(r.end_lsn.value >> 32));
    store_le(page.data() + 4, static_cast<uint32_t>(r.end_lsn.value));
  }

  void compare(const DecodedRecord& r, const DecodedBlock& block, const PageBytes& page, Counts& c) {
    PageBytes ours = page;
    PageBytes theirs;
    if (!restore_image(block, theirs).ok()) {
      c.errors++;
      return;
    }
    c.compared++;
    if (block.fork == Fork::Vm) vm_compared_++;
    Status masked = mask_for_consistency(r.rmid, block.tag(), ours);
    Status masked_theirs = mask_for_consistency(r.rmid, block.tag(), theirs);
    if (masked.ok() && masked_theirs.ok()) {
      bool copied = copied_maps_.holds(block.tag());
      if (copied ? copied_maps_.explains(block.tag(), ours, theirs) : ours == theirs) return;
    }
    c.mismatches++;
    if (complaints_++ < 20) {
      std::fprintf(stderr, "%s, reference %u: ", to_string(r).c_str(), block.id);
      show_difference(block.tag(), ours, theirs);
    }
    take_image(r, block, store_.page(block.tag()));
  }

  static void show_difference(const BlockTag& tag, const PageBytes& ours, const PageBytes& theirs) {
    size_t at = 0;
    while (at + 1 < kBlockSize && ours[at] == theirs[at]) at++;
    size_t bytes = 0;
    for (size_t i = 0; i < kBlockSize; i++) bytes += ours[i] != theirs[i] ? 1 : 0;
    std::fprintf(stderr, "block %s differs in %zu bytes, first at %zu: %02x, expected %02x\n",
                 to_string(tag).c_str(), bytes, at, ours[at], theirs[at]);
  }

  Status carry_out(const Effect& effect) {
    effects_done_++;
    if (std::holds_alternative<BlockMutation>(effect) && !options_.vm_clears) return {};
    if (const auto* m = std::get_if<SlruMutation>(&effect)) return apply_mutation(m->mutation, slru_page(*m));
    if (const auto* t = std::get_if<SlruTruncate>(&effect)) truncate_slru(*t);
    return store_.carry_out(effect);
  }

  static const char* slru_folder(Slru slru) {
    static constexpr std::array<const char*, 4> kFolders = {"pg_xact", "pg_multixact/offsets",
                                                            "pg_multixact/members", "pg_commit_ts"};
    return kFolders[static_cast<size_t>(slru)];
  }
  static bool read_slru(const std::string& root, Slru slru, uint32_t page, PageBytes& out) {
    char name[16];
    std::snprintf(name, sizeof name, "/%04X", page / kSlruPagesPerSegment);
    std::ifstream in(root + "/" + slru_folder(slru) + name, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(page % kSlruPagesPerSegment * kBlockSize));
    in.read(reinterpret_cast<char*>(out.data()), kBlockSize);
    return in.gcount() == static_cast<std::streamsize>(kBlockSize);
  }
  PageBytes& slru_page(const SlruMutation& m) {
    auto [at, added] = slru_pages_.try_emplace({static_cast<uint8_t>(m.slru), m.page});
    if (added && !read_slru(slru_seed_, m.slru, m.page, at->second)) at->second.fill(0);
    return at->second;
  }
  void truncate_slru(const SlruTruncate& t) {
    std::erase_if(slru_pages_, [&](const auto& entry) {
      return entry.first.first == static_cast<uint8_t>(t.slru) &&
             slru_truncates(t, entry.first.second / kSlruPagesPerSegment);
    });
  }
  void compare_slrus(uint64_t& equal, uint64_t& different) const {
    for (const auto& [key, ours] : slru_pages_) {
      PageBytes theirs;
      auto slru = static_cast<Slru>(key.first);
      if (read_slru(options_.data, slru, key.second, theirs) && theirs == ours) {
        equal++;
        continue;
      }
      different++;
      std::fprintf(stderr, "%s page %u differs\n", slru_folder(slru), key.second);
    }
  }

  const Options& options_;
  PageStore store_;
  std::string slru_seed_;
  std::map<std::pair<uint8_t, uint32_t>, PageBytes> slru_pages_;
  std::map<std::pair<uint8_t, uint8_t>, Counts> counts_;
  std::set<std::pair<uint8_t, uint8_t>> seen_;
  CopiedMaps copied_maps_;
  RedoSettings settings_;
  std::vector<Effect> effects_;
  uint64_t records_ = 0;
  uint64_t effects_done_ = 0;
  uint64_t vm_compared_ = 0;
  uint64_t complaints_ = 0;
  uint64_t flips_ = 0;
  uint64_t skippable_ = 0;
};

Result<bool> run(const Options& options) {
  TRY_ASSIGN(ControlFile control, read_control_file(options.seed));
  Verifier verifier(options, control);
  TRY(replay(options.wal, control, [&](const DecodedRecord& r) { return verifier.record(r); }));
  bool holds = verifier.report();
  if (!options.data.empty() && !verifier.compare_data()) holds = false;
  return holds;
}

}  // namespace
}  // namespace argon::pg::redo

int main(int argc, char** argv) {
  argon::pg::redo::Options options;
  std::vector<std::string> places;
  for (int i = 1; i < argc; i++) {
    std::string argument = argv[i];
    if (argument == "--data" && i + 1 < argc)
      options.data = argv[++i];
    else if (argument == "--min" && i + 1 < argc)
      options.least = std::stoull(argv[++i]);
    else if (argument == "--types" && i + 1 < argc)
      options.types = std::stoull(argv[++i]);
    else if (argument == "--flip-bit")
      options.flip_bit = true;
    else if (argument == "--without-vm-clears")
      options.vm_clears = false;
    else if (argument == "--skip-records")
      options.skip_records = true;
    else
      places.push_back(argument);
  }
  if (places.size() != 2) {
    std::fprintf(stderr,
                 "usage: redo_verify SEED WAL [--data DIR] [--min N] [--types T] [--flip-bit | "
                 "--without-vm-clears | --skip-records]\n");
    return 2;
  }
  options.seed = places[0];
  options.wal = places[1];
  auto holds = argon::pg::redo::run(options);
  if (!holds.ok()) {
    std::fprintf(stderr, "redo_verify: %s\n", holds.error().to_string().c_str());
    return 1;
  }
  return *holds ? 0 : 1;
}
