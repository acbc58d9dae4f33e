#include "core/pageserver/import.h"

#include <algorithm>
#include <array>
#include <map>

#include "core/env/io.h"
#include "core/pg/checkpoint_tracker.h"
#include "core/pg/datadir.h"
#include "core/pg/wal_page.h"

namespace argon::pageserver {

namespace {

constexpr uint32_t kCheckpointRecordBytes = 24 + 2 + pg::kCheckpointSize;
constexpr int kDepthMax = 8;

class Importer {
 public:
  Importer(Task& task, Disk& disk, std::string folder, uint64_t system_id)
      : task_(task), disk_(disk), folder_(std::move(folder)), system_id_(system_id) {}

  Result<Import> run() {
    TRY(walk("", 0));
    if (!have_control_)
      return Error(Code::Invalid, folder_ + " is no data directory: it has no global/pg_control");
    const pg::ControlFile& control = import_.control;
    if (control.state != pg::ClusterState::ShutDown || control.checkpoint.redo != control.checkpoint_lsn)
      return Error(Code::Invalid, folder_ + " was not shut down cleanly: stop its server first");
    import_.prev = control.checkpoint_lsn;
    import_.end = pg::record_end(control.checkpoint_lsn, kCheckpointRecordBytes);
    put(checkpoint_key(), pg::encode_tracked_state(pg::CheckpointTracker(control).published()));
    for (const auto& [rel, blocks] : sizes_) put_size(relation_size_key(rel), blocks);
    for (auto& [key, content] : entries_) import_.entries.emplace_back(key, std::move(content));
    return std::move(import_);
  }

 private:
  Status walk(const std::string& relative, int depth) {
    std::string path = relative.empty() ? folder_ : join_path(folder_, relative);
    if (depth > kDepthMax) return Error(Code::Invalid, path + ": folders are nested too deeply");
    TRY_ASSIGN(std::vector<DirEntry> found, disk_.list(task_, path));
    for (const DirEntry& entry : found) {
      std::string name = relative.empty() ? entry.name : relative + "/" + entry.name;
      Status done = entry.is_directory ? folder(name, depth) : file(name);
      if (!done.ok()) return done.error().with("import " + folder_);
    }
    return {};
  }

  Status folder(const std::string& name, int depth) {
    if (name.starts_with("pg_tblspc/"))
      return Error(Code::Unsupported, name + ": clusters with user tablespaces cannot be imported");
    if (name == "pg_wal") return {};
    return walk(name, depth + 1);
  }

  Status file(const std::string& name) {
    pg::DataPath what = pg::classify_data_path(name);
    using Kind = pg::DataPath::Kind;
    switch (what.kind) {
      case Kind::Relation:
      case Kind::RelMap:
      case Kind::DatabaseVersion:
      case Kind::SlruSegment:
      case Kind::TwoPhase:
      case Kind::Control:
        break;
      case Kind::Unknown:
        return Error(Code::Unsupported, name + ": not a file that PostgreSQL 15 makes");
      default:
        return {};
    }
    TRY_ASSIGN(Bytes content, read_file(task_, disk_, join_path(folder_, name)));
    pg::Oid spc = what.rel.node.spc;
    pg::Oid db = what.rel.node.db;
    if (what.kind == Kind::Relation) return relation(name, what, content);
    if (what.kind == Kind::SlruSegment) return slru(name, what, content);
    if (what.kind == Kind::RelMap) {
      put(relation_map_key(spc, db), std::move(content));
      put(database_key(spc, db), Bytes{1});
    } else if (what.kind == Kind::DatabaseVersion) {
      put(database_key(spc, db), Bytes{1});
    } else if (what.kind == Kind::TwoPhase) {
      put(two_phase_key(static_cast<pg::Xid>(what.number)), std::move(content));
    } else {
      TRY_ASSIGN(import_.control, pg::decode_control_file(content));
      have_control_ = true;
      if (system_id_ != 0) import_.control.system_id = system_id_;
      put(control_key(), pg::encode_control_file(import_.control));
    }
    return {};
  }

  Status relation(const std::string& name, const pg::DataPath& what, const Bytes& content) {
    if (content.size() % pg::kBlockSize != 0)
      return Error(Code::Corrupt, name + ": not a whole number of blocks");
    auto blocks = static_cast<uint32_t>(content.size() / pg::kBlockSize);
    uint32_t first = what.file * pg::kBlocksPerFile;
    for (uint32_t block = 0; block < blocks; block++)
      put(block_key({what.rel, first + block}), page_of(content, block));
    uint32_t& size = sizes_[what.rel];
    size = std::max(size, first + blocks);
    return {};
  }

  Status slru(const std::string& name, const pg::DataPath& what, const Bytes& content) {
    if (content.size() % pg::kBlockSize != 0)
      return Error(Code::Corrupt, name + ": not a whole number of blocks");
    auto blocks = static_cast<uint32_t>(content.size() / pg::kBlockSize);
    auto segment = static_cast<uint32_t>(what.number);
    pg::redo::Slru slru = stored_slru(what.slru);
    for (uint32_t block = 0; block < blocks; block++)
      put(slru_block_key(slru, segment, block), page_of(content, block));
    put_size(slru_size_key(slru, segment), blocks);
    return {};
  }

  static Bytes page_of(const Bytes& content, uint32_t block) {
    return to_bytes(ByteView(content).subspan(size_t{block} * pg::kBlockSize, pg::kBlockSize));
  }
  void put(const Key& key, Bytes content) { entries_[key] = std::move(content); }
  void put_size(const Key& key, uint32_t blocks) {
    Bytes raw(4);
    store_le(raw.data(), blocks);
    put(key, std::move(raw));
  }

  Task& task_;
  Disk& disk_;
  std::string folder_;
  Import import_;
  uint64_t system_id_;
  bool have_control_ = false;
  std::map<Key, Bytes> entries_;
  std::map<pg::RelTag, uint32_t> sizes_;
};

}  // namespace

Result<Import> import_data_directory(Task& task, Disk& disk, const std::string& folder, uint64_t system_id) {
  return Importer(task, disk, folder, system_id).run();
}

}  // namespace argon::pageserver
