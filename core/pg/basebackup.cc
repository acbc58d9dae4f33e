#include "core/pg/basebackup.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/pg/datadir.h"
#include "core/pg/page.h"
#include "core/pg/relmap.h"
#include "core/pg/version.h"

namespace argon::pg {

namespace {

constexpr BlockNumber kPagesAtOnce = 128;
constexpr uint32_t kSlotMagic = 0x1051CA1;
constexpr uint32_t kSlotVersion = 2;
constexpr size_t kSlotHeader = 16, kSlotName = 64, kSlotData = 184;

struct ConfigFile {
  const char* name;
  std::string_view text;
};
constexpr ConfigFile kConfigFiles[] = {
    {"postgresql.conf",
     "# Made with the base backup; see postgresql.auto.conf and the command line for more.\n"},
    {"postgresql.auto.conf", ""},
    {"pg_hba.conf",
     "# TYPE DATABASE USER ADDRESS METHOD\n"
     "local all all trust\n"
     "host all all 127.0.0.1/32 trust\n"
     "host all all ::1/128 trust\n"
     "local replication all trust\n"
     "host replication all 127.0.0.1/32 trust\n"
     "host replication all ::1/128 trust\n"},
    {"pg_ident.conf", ""},
};

class Backup {
 public:
  Backup(BasebackupSource& source, const BasebackupOptions& options, const TarSink& sink)
      : source_(source), options_(options), tar_(sink, options.control.time) {}

  Status write() {
    TRY(top());
    TRY(slrus());
    TRY(databases());
    TRY(relations());
    TRY(prepared());
    TRY(slot());
    TRY(wal());
    TRY(tar_.file("global/pg_control", encode_control_file(options_.control)));
    return tar_.finish();
  }

 private:
  // Archives name files by their real folders: unpacking through the links in pg_tblspc is not safe.
  std::string real_path(std::string path) const {
    constexpr std::string_view kLinks = "pg_tblspc/";
    bool moved = !options_.tablespaces_in_place && path.starts_with(kLinks);
    return moved ? std::string(kTablespaceFolder) + path.substr(kLinks.size() - 1) : path;
  }

  std::string database_path(const DatabaseFolder& folder) const {
    if (folder.spc == kGlobalTablespace) return "global";
    std::string path = relation_path({{folder.spc, folder.db, 0}, Fork::Main});
    return real_path(path.substr(0, path.rfind('/')));
  }

  Status top() {
    TRY(tar_.file("PG_VERSION", as_bytes(kVersionFile)));
    for (std::string_view folder : data_folders()) TRY(tar_.directory(std::string(folder)));
    if (options_.configuration)
      for (const ConfigFile& file : kConfigFiles) TRY(tar_.file(file.name, as_bytes(file.text)));
    if (options_.role == BasebackupOptions::Role::Standby) TRY(tar_.file("standby.signal", {}));
    return {};
  }

  Status slrus() {
    for (Slru slru : kAllSlrus) {
      TRY_ASSIGN(auto segments, source_.slru_segments(slru).with(slru_folder(slru)));
      for (uint32_t segment : segments) {
        std::string path = slru_path(slru, segment);
        TRY_ASSIGN(Bytes bytes, source_.slru_segment(slru, segment).with(path));
        TRY(tar_.file(path, bytes));
      }
    }
    return {};
  }

  Status databases() {
    TRY_ASSIGN(auto folders, source_.databases());
    for (const DatabaseFolder& folder : folders) {
      TRY(database_folder(folder));
      if (!folder.has_map) continue;
      std::string path = database_path(folder);
      if (folder.db != 0) TRY(tar_.file(path + "/PG_VERSION", as_bytes(kVersionFile)));
      TRY_ASSIGN(Bytes map, source_.relation_map(folder.spc, folder.db).with(path + "/pg_filenode.map"));
      TRY(decode_relmap(map).with(path));
      TRY(tar_.file(path + "/pg_filenode.map", map));
    }
    return {};
  }

  Status database_folder(const DatabaseFolder& folder) {
    if (folder.spc == kGlobalTablespace) return {};
    if (folder.spc != kDefaultTablespace && tablespaces_.insert(folder.spc).second) {
      std::string oid = "/" + std::to_string(folder.spc), top = "pg_tblspc";
      bool in_place = options_.tablespaces_in_place;
      if (!in_place) top = kTablespaceFolder;
      if (!in_place && tablespaces_.size() == 1) TRY(tar_.directory(top));
      TRY(tar_.directory(top + oid));
      TRY(tar_.directory(top + oid + "/" + std::string(kTablespaceVersionDir)));
      if (!in_place) TRY(tar_.symlink("pg_tblspc" + oid, "../" + top + oid));
    }
    return tar_.directory(database_path(folder));
  }

  Status relations() {
    bool everything = options_.content == BasebackupOptions::Content::Everything;
    TRY_ASSIGN(auto tags, source_.relations(!everything));
    std::set<RelFileNode> unlogged;
    for (const RelTag& tag : tags)
      if (tag.fork == Fork::Init) unlogged.insert(tag.node);
    for (const RelTag& tag : tags) {
      if (!everything && tag.fork != Fork::Init) continue;
      // Of an unlogged relation only the init fork counts, and it stands for the main fork as well.
      if (tag.fork != Fork::Init && unlogged.contains(tag.node)) continue;
      TRY(relation(tag, tag.fork));
      if (tag.fork == Fork::Init) TRY(relation(tag, Fork::Main));
    }
    return {};
  }

  // Writes the pages of `from` under the name of that relation's fork `as`.
  Status relation(const RelTag& from, Fork as) {
    std::string path = real_path(relation_path({from.node, as}));
    TRY_ASSIGN(BlockNumber blocks, source_.relation_size(from).with(path));
    BlockNumber first = 0;
    do {
      BlockNumber count = std::min(blocks - first, kBlocksPerFile);
      std::string name = first == 0 ? path : path + "." + std::to_string(first / kBlocksPerFile);
      TRY(relation_file(from, name, first, count));
      first += count;
    } while (first < blocks);
    return {};
  }

  Status relation_file(const RelTag& from, const std::string& name, BlockNumber first, BlockNumber count) {
    TRY(tar_.begin_file(name, uint64_t{count} * kBlockSize));
    for (BlockNumber done = 0; done < count;) {
      BlockNumber n = std::min(count - done, kPagesAtOnce);
      TRY_ASSIGN(Bytes pages, source_.read_pages(from, first + done, n).with(name));
      if (pages.size() != size_t{n} * kBlockSize)
        return Error(Code::Corrupt, name + ": the source gave " + std::to_string(pages.size()) +
                                        " bytes for " + std::to_string(n) + " pages");
      if (options_.control.data_checksums())
        for (BlockNumber i = 0; i < n; i++)
          set_checksum(ByteSpan(pages).subspan(i * kBlockSize, kBlockSize), first + done + i);
      TRY(tar_.write(pages));
      done += n;
    }
    return tar_.end_file();
  }

  static void set_checksum(ByteSpan page, BlockNumber block) {
    if (!page_is_new(page)) set_page_checksum(page, block);
  }

  Status prepared() {
    TRY_ASSIGN(auto xids, source_.prepared_transactions());
    for (Xid xid : xids) {
      std::string path = two_phase_path(xid);
      TRY_ASSIGN(Bytes state, source_.prepared_state(xid).with(path));
      TRY(tar_.file(path, two_phase_file(state)));
    }
    return {};
  }

  Status slot() {
    if (options_.slot.empty()) return {};
    std::string folder = "pg_replslot/" + options_.slot;
    TRY(tar_.directory(folder));
    return tar_.file(folder + "/state", slot_file(options_.slot, options_.slot_lsn));
  }

  // pg_basebackup, which reads archives of everything, knows no sparse entries.
  Status wal() {
    for (const SegmentFile& file : options_.wal) {
      std::string path = "pg_wal/" + file.name;
      std::vector<Bytes> pieces = runs_of(file, runs_);
      bool sparse = options_.content == BasebackupOptions::Content::Compute && runs_.size() <= kMaxTarRuns;
      TRY(sparse ? tar_.sparse_file(path, kWalSegmentSize, runs_) : tar_.file(path, file.bytes()));
    }
    return {};
  }

  // Neighbouring blocks put together; the runs borrow from what is returned.
  static std::vector<Bytes> runs_of(const SegmentFile& file, std::vector<TarRun>& runs) {
    std::vector<Bytes> pieces;
    std::vector<uint64_t> offsets;
    uint64_t end = 0;
    for (const auto& [number, block] : file.blocks) {
      uint64_t at = uint64_t{number} * SegmentFile::kBlock;
      if (pieces.empty() || at != end) {
        pieces.emplace_back();
        offsets.push_back(at);
      }
      append(pieces.back(), block);
      end = at + block.size();
    }
    runs.clear();
    for (size_t i = 0; i < pieces.size(); i++) runs.push_back({offsets[i], pieces[i]});
    return pieces;
  }

  BasebackupSource& source_;
  const BasebackupOptions& options_;
  TarWriter tar_;
  std::set<Oid> tablespaces_;
  std::vector<TarRun> runs_;  // of the segment being written
};

}  // namespace

Status write_basebackup(BasebackupSource& source, const BasebackupOptions& options, const TarSink& sink) {
  return Backup(source, options, sink).write();
}

Bytes two_phase_file(ByteView state) {
  Bytes out = to_bytes(state);
  uint32_t crc = crc32c(out);
  Writer(out).le(crc);
  return out;
}

Result<Bytes> two_phase_state(ByteView file) {
  if (file.size() < 4 ||
      load_le<uint32_t>(file.data() + file.size() - 4) != crc32c(file.first(file.size() - 4)))
    return Error(Code::Corrupt, "state file of a prepared transaction: its checksum is wrong");
  return to_bytes(file.first(file.size() - 4));
}

std::string two_phase_path(Xid xid) {
  char text[32];
  std::snprintf(text, sizeof text, "pg_twophase/%08X", xid);
  return text;
}

// Magic and CRC, then what the CRC covers: version, length, ReplicationSlotPersistentData.
Bytes slot_file(std::string_view name, Lsn restart_lsn) {
  CHECK(!name.empty() && name.size() < kSlotName);
  Bytes data;
  Writer w(data);
  w.le(kSlotVersion).le(static_cast<uint32_t>(kSlotData));
  w.bytes(as_bytes(name)).zeros(kSlotName - name.size());
  w.zeros(16);  // no database, persistent, no xmin, no catalog_xmin
  w.le(restart_lsn.value);
  w.zeros(8 + kSlotData - (data.size()));
  Bytes file;
  Writer(file).le(kSlotMagic).le(crc32c(data)).bytes(data);
  CHECK(file.size() == kSlotHeader + kSlotData);
  return file;
}

}  // namespace argon::pg
