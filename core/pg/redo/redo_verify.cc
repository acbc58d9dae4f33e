// redo_verify: replays a stock server's WAL natively and compares every page with what the server says.
//
// usage: redo_verify SEED WAL [--data DIR] [--min N] [--types T] [--flip-bit | --without-vm-clears | --speed]
//
// SEED is the data directory as it was where WAL (a folder of segments) begins: at the redo point of
// SEED's pg_control. After each record, each block that carries a consistency image (the server ran
// with wal_consistency_checking = all) is compared with it, masked; pages of the visibility map
// unmasked but for LSN and checksum (redo_verify_maps.h says which bits WAL does not carry). With --data, the
// pages left over are compared byte for byte with a data directory that the stock server's own recovery made
// from the same WAL. --flip-bit and
// --without-vm-clears are negative controls: the comparison must then fail.
// --speed compares nothing and prints how many records a second of processor time were decoded and applied.
// Exit status 0: at least N (default 1) comparisons, at least T record types with blocks (default 1), no
// difference, no error, nothing unsupported.

#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/bytes.h"
#include "core/pg/control_file.h"
#include "core/pg/page.h"
#include "core/pg/redo/consistency_mask.h"
#include "core/pg/redo/nonblock.h"
#include "core/pg/redo/page_ids.h"
#include "core/pg/redo/redo.h"
#include "core/pg/redo/redo_verify_maps.h"
#include "core/pg/wal_page.h"
#include "core/pg/wal_stream.h"

namespace argon::pg::redo {
namespace {

// Reads the whole file into `out`, whose memory is used again.
Status read_file(const std::string& path, Bytes& out) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return Error(Code::NotFound, "open " + path);
  out.resize(static_cast<size_t>(in.tellg()));
  in.seekg(0);
  in.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
  return {};
}

std::string segment_path(const RelTag& rel, BlockNumber block) {
  std::string path = relation_path(rel);
  if (block >= kBlocksPerFile) path += "." + std::to_string(block / kBlocksPerFile);
  return path;
}

// Reads single pages of a data directory, keeping the last file open.
class DataDirectory {
 public:
  explicit DataDirectory(std::string root) : root_(std::move(root)) {}

  bool read(const RelTag& rel, BlockNumber block, PageBytes& page) {
    std::string path = root_ + "/" + segment_path(rel, block);
    if (path != open_path_) {
      file_ = std::ifstream(path, std::ios::binary);
      open_path_ = path;
    }
    file_.clear();
    file_.seekg(static_cast<std::streamoff>(block % kBlocksPerFile * kBlockSize));
    file_.read(reinterpret_cast<char*>(page.data()), kBlockSize);
    return file_.gcount() == static_cast<std::streamsize>(kBlockSize);
  }

 private:
  std::string root_;
  std::string open_path_;
  std::ifstream file_;
};

struct RelHash {
  size_t operator()(const RelTag& t) const {
    uint64_t h = t.node.rel * 0x9E3779B97F4A7C15ull;
    h ^= (uint64_t{t.node.db} << 32 | t.node.spc) + (h >> 29);
    return static_cast<size_t>(h * 0xBF58476D1CE4E5B9ull + static_cast<uint64_t>(t.fork));
  }
};

// All pages touched so far; others are read from the seed.
class PageStore {
 public:
  struct Relation {
    std::vector<std::unique_ptr<PageBytes>> pages;
    BlockNumber seed_blocks = kInvalidBlock;  // blocks from here on are not the seed's
  };

  explicit PageStore(std::string seed) : seed_(std::move(seed)) {}

  PageBytes& page(const BlockTag& tag) {
    Relation& rel = relations_[tag.rel];
    if (rel.pages.size() <= tag.block) rel.pages.resize(tag.block + 1u);
    std::unique_ptr<PageBytes>& page = rel.pages[tag.block];
    if (page == nullptr) {
      page = std::make_unique<PageBytes>();
      if (tag.block >= rel.seed_blocks || !seed_.read(seed_name(tag.rel), tag.block, *page)) page->fill(0);
    }
    return *page;
  }
  // Fills the page, which is not made where it does not exist: false.
  bool peek(const BlockTag& tag, PageBytes& out) {
    auto rel = relations_.find(tag.rel);
    if (rel != relations_.end()) {
      const auto& pages = rel->second.pages;
      if (tag.block < pages.size() && pages[tag.block] != nullptr) {
        out = *pages[tag.block];
        return true;
      }
      if (tag.block >= rel->second.seed_blocks) return false;
    }
    return seed_.read(seed_name(tag.rel), tag.block, out);
  }
  void truncate(const RelTag& tag, BlockNumber blocks) {
    Relation& rel = relations_[tag];
    if (rel.pages.size() > blocks) rel.pages.resize(blocks);
    rel.seed_blocks = std::min(rel.seed_blocks, blocks);
  }
  void drop(const RelFileNode& node) {
    for (uint8_t fork = 0; fork <= kLastFork; fork++) truncate({node, static_cast<Fork>(fork)}, 0);
  }
  void copy_database(const DatabaseCopy& copy) {
    std::vector<RelTag> found;
    for (const auto& [tag, rel] : relations_)
      if (tag.node.db == copy.source_db && tag.node.spc == copy.source_tablespace) found.push_back(tag);
    for (const RelTag& from : found) {
      RelTag to{{copy.tablespace, copy.db, from.node.rel}, from.fork};
      Relation& target = relations_[to];
      const Relation& source = relations_[from];
      target = Relation{{}, source.seed_blocks};
      for (const auto& page : source.pages)
        target.pages.push_back(page == nullptr ? nullptr : std::make_unique<PageBytes>(*page));
    }
    copied_[{copy.tablespace, copy.db}] = {copy.source_tablespace, copy.source_db};
  }
  void drop_database(const DatabaseDrop& drop) {
    for (auto& [tag, rel] : relations_)
      if (tag.node.db == drop.db && tag.node.spc == drop.tablespace) rel = Relation{{}, 0};
  }
  const std::unordered_map<RelTag, Relation, RelHash>& relations() const { return relations_; }

 private:
  RelTag seed_name(RelTag tag) const {
    for (auto at = copied_.find({tag.node.spc, tag.node.db}); at != copied_.end();
         at = copied_.find({tag.node.spc, tag.node.db}))
      tag.node = {at->second.first, at->second.second, tag.node.rel};
    return tag;
  }

  DataDirectory seed_;
  std::unordered_map<RelTag, Relation, RelHash> relations_;
  std::map<std::pair<Oid, Oid>, std::pair<Oid, Oid>> copied_;
};

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
  bool speed = false;
};

class Verifier {
 public:
  Verifier(const Options& options, const ControlFile& control)
      : options_(options),
        store_(options.seed),
        slru_seed_(options.seed),
        copied_maps_(options.seed,
                     [this](const BlockTag& tag, PageBytes& page) { return store_.peek(tag, page); }) {
    settings_.data_checksums = control.data_checksums();
    settings_.wal_log_hints = control.settings.wal_log_hints;
    settings_.track_commit_timestamp = control.settings.track_commit_timestamp;
  }

  Status record(const DecodedRecord& r) {
    records_++;
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

  uint64_t records() const { return records_; }

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
  // depends on the server's minor release and is read by none (F_TUPLES_DELETED, see gist.cc).
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
    constexpr size_t kFlags = 8188, kPageId = 8190, kChecksum = 8;
    if (load_le<uint16_t>(theirs.data() + kPageId) != kGistPageId) return false;
    theirs[kFlags] &= static_cast<uint8_t>(~4u);
    if (page_checksum(theirs) != 0) std::memcpy(theirs.data() + kChecksum, ours.data() + kChecksum, 2);
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
    if (has_consistency_image(block) && !options_.speed) compare(r, block, page, c);
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
    if (const auto* m = std::get_if<BlockMutation>(&effect)) {
      if (!options_.vm_clears) return {};
      return apply_mutation(m->mutation, store_.page(m->block));
    }
    if (const auto* m = std::get_if<SlruMutation>(&effect)) return apply_mutation(m->mutation, slru_page(*m));
    if (const auto* t = std::get_if<SlruTruncate>(&effect)) truncate_slru(*t);
    if (const auto* t = std::get_if<RelationTruncate>(&effect)) store_.truncate(t->rel, t->blocks);
    if (const auto* d = std::get_if<RelationDrop>(&effect)) store_.drop(d->rel);
    if (const auto* d = std::get_if<DatabaseDrop>(&effect)) store_.drop_database(*d);
    if (const auto* d = std::get_if<DatabaseCopy>(&effect)) store_.copy_database(*d);
    return {};
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
  RedoSettings settings_;
  PageStore store_;
  std::string slru_seed_;
  std::map<std::pair<uint8_t, uint32_t>, PageBytes> slru_pages_;
  std::map<std::pair<uint8_t, uint8_t>, Counts> counts_;
  std::set<std::pair<uint8_t, uint8_t>> seen_;
  CopiedMaps copied_maps_;
  std::vector<Effect> effects_;
  uint64_t records_ = 0;
  uint64_t effects_done_ = 0;
  uint64_t vm_compared_ = 0;
  uint64_t complaints_ = 0;
  uint64_t flips_ = 0;
};

// Feeds whole segments until the WAL ends; the end is no error.
Status replay(const Options& options, Lsn start, uint64_t system_id, Verifier& verifier) {
  WalStreamDecoder decoder(start, WalIdentity{system_id, kTimelineId});
  DecodedRecord record;
  Bytes bytes;
  for (uint64_t segment = segment_number(start);; segment++) {
    if (!read_file(options.wal + "/" + segment_file_name(segment), bytes).ok()) break;
    size_t skip = segment == segment_number(start) ? segment_offset(start) : 0;
    decoder.feed(ByteView(bytes).subspan(skip));
    for (;;) {
      auto found = decoder.next(record);
      if (!found.ok()) {
        std::printf("end of WAL at %s: %s\n", to_string(decoder.last_end()).c_str(),
                    found.error().message().c_str());
        return {};
      }
      if (!*found) break;
      TRY(verifier.record(record));
    }
  }
  std::printf("end of WAL at %s\n", to_string(decoder.last_end()).c_str());
  return {};
}

Result<bool> run(const Options& options) {
  Bytes file;
  TRY(read_file(options.seed + "/global/pg_control", file));
  TRY_ASSIGN(ControlFile control, decode_control_file(file));
  Verifier verifier(options, control);
  std::clock_t begin = std::clock();
  TRY(replay(options, control.checkpoint.redo, control.system_id, verifier));
  double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  if (options.speed) {
    std::printf("%lu records in %.2f s of processor time: %.2f million records/s\n", verifier.records(),
                seconds, static_cast<double>(verifier.records()) / seconds / 1e6);
    return true;
  }
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
    else if (argument == "--speed")
      options.speed = true;
    else if (argument == "--without-vm-clears")
      options.vm_clears = false;
    else
      places.push_back(argument);
  }
  if (places.size() != 2) {
    std::fprintf(stderr,
                 "usage: redo_verify SEED WAL [--data DIR] [--min N] [--types T] [--flip-bit | "
                 "--without-vm-clears]\n");
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
