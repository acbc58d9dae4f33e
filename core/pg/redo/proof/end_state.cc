// end_state: two data directories at the end of one WAL: what a pageserver made of it, and what stock
// recovery did.
//
// usage: end_state compare OURS THEIRS
//          OURS is a full backup by a pageserver, THEIRS what a stock server left that recovered and was
//          stopped. Compared: every page of every relation, every SLRU page, relation maps, two-phase files,
//          and what pg_control says of ids, multixacts and settings. Both pages in canonical form
//          (canonical.h).
//        end_state adopt DIR SYSTEM_ID
//          DIR, as initdb left it, becomes one that crashed behind its checkpoint, of that system; its first
//          WAL segment, too.
//
// Left out, each counted: FSM pages, which redo changes without logging it; forks of unlogged relations but
// the init fork, which recovery makes of that (of a sequence, up to 15.18, of its file while the page is in
// memory yet: zeros). And one bit of GiST pages (minor_release.h).
// Last line: "N pages equal, M different, K not there". Exit status 0: all is equal, and there was something.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/pg/control_file.h"
#include "core/pg/datadir.h"
#include "core/pg/page.h"
#include "core/pg/redo/canonical.h"
#include "core/pg/redo/proof/minor_release.h"
#include "core/pg/redo/proof/wal_files.h"
#include "core/pg/wal_page.h"

namespace argon::pg::redo {
namespace {

namespace fs = std::filesystem;

constexpr int kShown = 20;
constexpr uint32_t kPagesInFile = 1u << 17;
constexpr size_t kSystemIdInPageHeader = 24;  // xlp_sysid of XLogLongPageHeaderData

Bytes read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Status write_file(const fs::path& path, ByteView bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out) return {};
  return Error(Code::Io, "cannot write " + path.string());
}

// By their names relative to the directory; tablespaces by the links in pg_tblspc are not followed.
std::map<std::string, DataPath> files_of(const fs::path& root) {
  std::map<std::string, DataPath> files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    std::string name = fs::relative(entry.path(), root).string();
    files.emplace(name, classify_data_path(name));
  }
  return files;
}

class Comparison {
 public:
  Comparison(fs::path ours, fs::path theirs) : ours_(std::move(ours)), theirs_(std::move(theirs)) {}

  Status run() {
    TRY_ASSIGN(ControlFile ours, read_control_file(ours_));
    TRY_ASSIGN(ControlFile theirs, read_control_file(theirs_));
    settings_ = settings_of(theirs);
    compare_control(ours, theirs);
    std::map<std::string, DataPath> files = files_of(ours_);
    for (const auto& [name, what] : files) compare_file(name, what);
    for (const auto& [name, what] : files_of(theirs_))
      if (!files.contains(name)) only_theirs(name, what);
    return {};
  }

  bool report() const {
    std::printf("%lu pages of relations, %lu of SLRUs, %lu other files, %lu fields of pg_control\n",
                relation_pages_, slru_pages_, others_, fields_);
    std::printf("left out: %lu FSM pages (%lu of them equal), %lu forks of unlogged relations\n", fsm_,
                fsm_equal_, unlogged_);
    std::printf("%lu pages equal, %lu different, %lu not there\n", equal_, different_, absent_);
    return different_ == 0 && absent_ == 0 && relation_pages_ > 0 && slru_pages_ > 0 && fields_ > 0;
  }

 private:
  void differ(const std::string& what) {
    if (different_++ < kShown) std::fprintf(stderr, "%s\n", what.c_str());
  }
  void absent(const std::string& what) {
    if (absent_++ < kShown) std::fprintf(stderr, "%s\n", what.c_str());
  }

  template <typename T>
  void field(const char* name, T ours, T theirs) {
    fields_++;
    if (ours != theirs)
      differ(std::string("pg_control: ") + name + " is " + std::to_string(ours) + ", expected " +
             std::to_string(theirs));
  }
  // Of forks but the init fork, which both have or neither.
  bool is_unlogged(const RelTag& rel) const {
    return rel.fork != Fork::Init && fs::exists(theirs_ / relation_path({rel.node, Fork::Init}));
  }

  void compare_control(const ControlFile& ours, const ControlFile& theirs) {
    const Checkpoint &a = ours.checkpoint, &b = theirs.checkpoint;
    field("system identifier", ours.system_id, theirs.system_id);
    field("next xid", a.next_xid, b.next_xid);
    field("next oid", a.next_oid, b.next_oid);
    field("next multixact", a.next_multi, b.next_multi);
    field("next multixact offset", a.next_multi_offset, b.next_multi_offset);
    field("oldest xid", a.oldest_xid, b.oldest_xid);
    field("database of the oldest xid", a.oldest_xid_db, b.oldest_xid_db);
    field("oldest multixact", a.oldest_multi, b.oldest_multi);
    field("database of the oldest multixact", a.oldest_multi_db, b.oldest_multi_db);
    field("oldest commit timestamp", a.oldest_commit_ts_xid, b.oldest_commit_ts_xid);
    field("newest commit timestamp", a.newest_commit_ts_xid, b.newest_commit_ts_xid);
    field("data checksums", ours.data_checksum_version, theirs.data_checksum_version);
    field("wal_log_hints", ours.settings.wal_log_hints, theirs.settings.wal_log_hints);
    field("track_commit_timestamp", ours.settings.track_commit_timestamp,
          theirs.settings.track_commit_timestamp);
  }

  void compare_file(const std::string& name, const DataPath& what) {
    using enum DataPath::Kind;
    bool pages = what.kind == Relation || what.kind == SlruSegment;
    if (!pages && what.kind != RelMap && what.kind != TwoPhase && what.kind != DatabaseVersion) return;
    if (what.kind == Relation && is_unlogged(what.rel)) {
      unlogged_++;
      return;
    }
    if (!fs::exists(theirs_ / name)) {
      if (what.rel.fork != Fork::Fsm && fs::file_size(ours_ / name) > 0)
        absent(name + " is not there after recovery");
      return;
    }
    Bytes ours = read_file(ours_ / name), theirs = read_file(theirs_ / name);
    if (what.kind == Relation)
      compare_relation(name, what, ours, theirs);
    else if (what.kind == SlruSegment)
      compare_slru(name, ours, theirs);
    else if (others_++; ours == theirs)
      equal_++;
    else
      differ(name + " differs");
  }

  void compare_relation(const std::string& name, const DataPath& what, const Bytes& ours,
                        const Bytes& theirs) {
    if (what.rel.fork == Fork::Fsm) {
      fsm_ += ours.size() / kBlockSize;
      for (size_t at = 0; at + kBlockSize <= std::min(ours.size(), theirs.size()); at += kBlockSize)
        fsm_equal_ += std::memcmp(&ours[at], &theirs[at], kBlockSize) == 0 ? 1 : 0;
      return;
    }
    if (ours.size() != theirs.size()) {
      differ(name + " has " + std::to_string(ours.size()) + " bytes, expected " +
             std::to_string(theirs.size()));
      return;
    }
    for (size_t at = 0; at + kBlockSize <= ours.size(); at += kBlockSize) {
      auto block = static_cast<BlockNumber>(what.file * kPagesInFile + at / kBlockSize);
      relation_pages_++;
      compare_page({what.rel, block}, ByteView(ours).subspan(at, kBlockSize),
                   ByteView(theirs).subspan(at, kBlockSize));
    }
  }

  void compare_page(const BlockTag& tag, ByteView ours, ByteView theirs) {
    Bytes a = canonical(tag, ours), b = canonical(tag, theirs);
    if (a == b) {
      equal_++;
      return;
    }
    std::vector<size_t> at;
    for (size_t i = 0; i < kBlockSize; i++)
      if (a[i] != b[i]) at.push_back(i);
    differ("block " + to_string(tag) + " differs in " + std::to_string(at.size()) + " bytes from offset " +
           std::to_string(at.front()) + " to " + std::to_string(at.back()) + "; its LSN is " +
           to_string(page_lsn(a)) + ", expected " + to_string(page_lsn(b)));
  }
  Bytes canonical(const BlockTag& tag, ByteView page) const {
    Bytes bytes = to_bytes(page);
    clear_gist_tuples_deleted(bytes);
    canonicalize(tag, bytes, settings_, tag.rel.fork == Fork::Main);
    return bytes;
  }

  // A segment may end earlier where the rest is zeros.
  void compare_slru(const std::string& name, Bytes ours, Bytes theirs) {
    ours.resize(std::max(ours.size(), theirs.size()));
    theirs.resize(ours.size());
    for (size_t at = 0; at + kBlockSize <= ours.size(); at += kBlockSize) {
      slru_pages_++;
      if (std::memcmp(&ours[at], &theirs[at], kBlockSize) == 0)
        equal_++;
      else
        differ(name + " page " + std::to_string(at / kBlockSize) + " differs");
    }
  }

  void only_theirs(const std::string& name, const DataPath& what) {
    using enum DataPath::Kind;
    if (what.kind != Relation && what.kind != SlruSegment && what.kind != RelMap && what.kind != TwoPhase)
      return;
    if (what.rel.fork == Fork::Fsm || fs::file_size(theirs_ / name) == 0) return;
    if (what.kind == Relation && is_unlogged(what.rel)) {
      unlogged_++;
      return;
    }
    if (what.kind == SlruSegment && all_zeros(read_file(theirs_ / name))) return;
    absent(name + " is there after recovery only");
  }

  fs::path ours_, theirs_;
  RedoSettings settings_;
  uint64_t relation_pages_ = 0, slru_pages_ = 0, others_ = 0, fields_ = 0;
  uint64_t equal_ = 0, different_ = 0, absent_ = 0;
  uint64_t fsm_ = 0, fsm_equal_ = 0, unlogged_ = 0;
};

Status adopt(const fs::path& directory, uint64_t system_id) {
  TRY_ASSIGN(ControlFile control, read_control_file(directory));
  control.system_id = system_id;
  control.state = ClusterState::InProduction;
  TRY(write_file(directory / "global/pg_control", encode_control_file(control)));
  fs::path segment = directory / "pg_wal" / segment_file_name(segment_number(control.checkpoint_lsn));
  Bytes wal = read_file(segment);
  if (wal.size() != kWalSegmentSize) return Error(Code::Corrupt, segment.string() + " is no WAL segment");
  store_le(wal.data() + kSystemIdInPageHeader, system_id);
  return write_file(segment, wal);
}

int usage() {
  std::fprintf(stderr, "usage: end_state compare OURS THEIRS | end_state adopt DIR SYSTEM_ID\n");
  return 2;
}

int main(int argc, char** argv) {
  if (argc != 4) return usage();
  std::string verb = argv[1];
  Status done;
  bool holds = true;
  if (verb == "compare") {
    Comparison comparison(argv[2], argv[3]);
    done = comparison.run();
    if (done.ok()) holds = comparison.report();
  } else if (verb == "adopt") {
    done = adopt(argv[2], std::stoull(argv[3]));
  } else {
    return usage();
  }
  if (!done.ok()) std::fprintf(stderr, "end_state: %s\n", done.error().to_string().c_str());
  return done.ok() && holds ? 0 : 1;
}

}  // namespace
}  // namespace argon::pg::redo

int main(int argc, char** argv) {
  return argon::pg::redo::main(argc, argv);
}
