#include "core/pg/datadir.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/pg/version.h"
#include "core/pg/wal_page.h"

namespace argon::pg {

namespace {

using Kind = DataPath::Kind;

constexpr std::string_view kFolders[] = {"global",
                                         "pg_wal",
                                         "pg_wal/archive_status",
                                         "pg_commit_ts",
                                         "pg_dynshmem",
                                         "pg_notify",
                                         "pg_serial",
                                         "pg_snapshots",
                                         "pg_subtrans",
                                         "pg_twophase",
                                         "pg_multixact",
                                         "pg_multixact/members",
                                         "pg_multixact/offsets",
                                         "base",
                                         "pg_replslot",
                                         "pg_tblspc",
                                         "pg_stat",
                                         "pg_stat_tmp",
                                         "pg_xact",
                                         "pg_logical",
                                         "pg_logical/snapshots",
                                         "pg_logical/mappings"};

constexpr std::string_view kConfig[] = {"postgresql.conf", "postgresql.auto.conf", "pg_hba.conf",
                                        "pg_ident.conf"};
constexpr std::string_view kTransientFiles[] = {"postmaster.pid",   "postmaster.opts", "backup_manifest",
                                                "current_logfiles", "standby.signal",  "recovery.signal"};
constexpr std::string_view kTransientFolders[] = {"pg_dynshmem", "pg_notify",   "pg_serial",   "pg_snapshots",
                                                  "pg_stat",     "pg_stat_tmp", "pg_subtrans", "pg_replslot",
                                                  "pg_logical",  "log"};

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  for (;;) {
    size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == path.npos || parts.size() > 8) return parts;
    path.remove_prefix(slash + 1);
  }
}

template <typename Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// Decimal without leading zeros, as file and folder names of oids are.
std::optional<Oid> parse_oid(std::string_view text) {
  if (text.empty() || (text[0] == '0' && text.size() > 1)) return {};
  auto n = parse_u64(text);
  if (!n.ok() || *n > UINT32_MAX) return {};
  return static_cast<Oid>(*n);
}

// "16384", "16384_vm", "16384.1", "16384_fsm.2".
std::optional<DataPath> parse_relation(std::string_view name, Oid spc, Oid db) {
  DataPath path;
  path.kind = Kind::Relation;
  path.rel.node.spc = spc;
  path.rel.node.db = db;
  if (size_t dot = name.find('.'); dot != name.npos) {
    auto file = parse_oid(name.substr(dot + 1));
    if (!file || *file == 0) return {};
    path.file = *file;
    name = name.substr(0, dot);
  }
  if (size_t underscore = name.find('_'); underscore != name.npos) {
    std::string_view fork = name.substr(underscore + 1);
    uint8_t f = 1;
    while (f <= kLastFork && fork != fork_name(static_cast<Fork>(f))) f++;
    if (f > kLastFork) return {};
    path.rel.fork = static_cast<Fork>(f);
    name = name.substr(0, underscore);
  }
  auto rel = parse_oid(name);
  if (!rel || *rel == 0) return {};
  path.rel.node.rel = *rel;
  return path;
}

DataPath of_kind(Kind kind) {
  DataPath path;
  path.kind = kind;
  return path;
}

// A file in the folder of a database (or of the shared catalogs).
DataPath classify_in_database(std::string_view name, Oid spc, Oid db) {
  DataPath path;
  path.rel.node.spc = spc;
  path.rel.node.db = db;
  if (name == "pg_filenode.map") {
    path.kind = Kind::RelMap;
    return path;
  }
  if (name == "PG_VERSION" && db != 0) {
    path.kind = Kind::DatabaseVersion;
    return path;
  }
  // Temporary relations are called t<backend>_<oid>.
  if (name.starts_with("pg_internal.init") || name.starts_with('t')) return of_kind(Kind::Transient);
  if (name == "pg_control" && db == 0) return of_kind(Kind::Control);
  return parse_relation(name, spc, db).value_or(DataPath{});
}

DataPath classify_two_phase(std::string_view name) {
  DataPath path;
  if (name.size() != 8) return path;
  for (char c : name) {
    bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'A' && c <= 'F')) return path;
    path.number = path.number << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'A' + 10);
  }
  path.kind = Kind::TwoPhase;
  return path;
}

DataPath classify_wal(std::string_view name) {
  uint32_t tli = 0;
  auto number = parse_segment_file_name(name, &tli);
  if (!number.ok() || tli != kTimelineId) return of_kind(Kind::Transient);
  DataPath path = of_kind(Kind::WalSegment);
  path.number = *number;
  return path;
}

std::optional<DataPath> classify_slru(std::string_view whole) {
  size_t slash = whole.rfind('/');
  if (slash == whole.npos) return {};
  for (Slru slru : kAllSlrus) {
    if (whole.substr(0, slash) != slru_folder(slru)) continue;
    auto segment = parse_slru_segment(whole.substr(slash + 1));
    if (!segment) return DataPath{};
    DataPath path = of_kind(Kind::SlruSegment);
    path.slru = slru;
    path.number = *segment;
    return path;
  }
  return {};
}

}  // namespace

std::span<const std::string_view> data_folders() {
  return kFolders;
}

DataPath classify_data_path(std::string_view whole) {
  std::vector<std::string_view> parts = split(whole);
  if (parts.size() == 1) {
    if (whole == "PG_VERSION") return of_kind(Kind::ClusterVersion);
    if (contains(kConfig, whole)) return of_kind(Kind::Config);
    if (contains(kTransientFiles, whole)) return of_kind(Kind::Transient);
    return {};
  }
  if (auto slru = classify_slru(whole)) return *slru;
  std::string_view top = parts[0], name = parts.back();
  if (contains(kTransientFolders, top)) return of_kind(Kind::Transient);
  if (top == "global" && parts.size() == 2) return classify_in_database(name, kGlobalTablespace, 0);
  if (top == "pg_twophase" && parts.size() == 2) return classify_two_phase(name);
  if (top == "pg_wal") return parts.size() == 2 ? classify_wal(name) : of_kind(Kind::Transient);
  if (top == "base" && parts.size() == 3) {
    if (parts[1] == "pgsql_tmp") return of_kind(Kind::Transient);
    auto db = parse_oid(parts[1]);
    return db && *db != 0 ? classify_in_database(name, kDefaultTablespace, *db) : DataPath{};
  }
  if (top == "pg_tblspc" && parts.size() == 5 && parts[2] == kTablespaceVersionDir) {
    auto spc = parse_oid(parts[1]);
    auto db = parse_oid(parts[3]);
    bool user_space = spc && *spc > kGlobalTablespace;
    if (user_space && db && *db != 0) return classify_in_database(name, *spc, *db);
  }
  return {};
}

}  // namespace argon::pg
