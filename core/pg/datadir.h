// What the files of a data directory are, by their paths, and which folders it has.
//
// For importing a cluster made by initdb or taken by pg_basebackup. Sources: initdb.c, relpath.c,
// catalog/catalog.c, the exclusion lists of basebackup.c.

#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "core/pg/rel.h"
#include "core/pg/slru.h"

namespace argon::pg {

// The folders of a new cluster, parents first; those of databases come besides.
std::span<const std::string_view> data_folders();

// Where base backups lay user tablespaces, inside the data directory.
inline constexpr std::string_view kTablespaceFolder = "argon_tablespaces";

struct DataPath {
  enum class Kind : uint8_t {
    Relation,         // rel, file: the file-th GiB of the fork
    RelMap,           // of the database rel.node (spc, db); db 0 is global
    DatabaseVersion,  // PG_VERSION in a database's folder
    ClusterVersion,   // PG_VERSION at the top
    SlruSegment,      // slru, number
    TwoPhase,         // number: the xid
    WalSegment,       // number, on timeline 1
    Control,
    Config,     // postgresql.conf, pg_hba.conf, …: not part of the cluster's content
    Transient,  // not to be imported: the server makes it anew (pg_internal.init, statistics, …),
                // or it is reached by another path (kTablespaceFolder)
    Unknown,    // nothing a server of this version makes
  };
  Kind kind = Kind::Unknown;
  RelTag rel;
  uint32_t file = 0;
  Slru slru = Slru::Clog;
  uint64_t number = 0;

  friend bool operator==(const DataPath&, const DataPath&) = default;
};

// Of a regular file; `path` is relative to the data directory, with '/' between parts.
DataPath classify_data_path(std::string_view path);

}  // namespace argon::pg
