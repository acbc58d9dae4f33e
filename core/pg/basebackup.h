// A base backup: the data directory of a compute, or a whole cluster, as a tar stream.
//
// The caller reads the cluster at one LSN through BasebackupSource; what is written depends on those
// answers and the options only, not on a clock. Order: folders and versions, configuration, SLRUs,
// databases with their relation maps, relations, prepared transactions, the slot, WAL segments, and
// global/pg_control last of all, so that an archive that was cut off does not start.
//
// For a compute (Content::Compute) relations stay on the pageserver, but for unlogged ones: their init
// fork and, since no recovery will run to reset them, a copy of it as the main fork. For a plain server
// (Content::Everything) all relations are there. Pages get their checksum where the cluster has them.
//
// User tablespaces lie in kTablespaceFolder inside the data directory, and the links in pg_tblspc lead
// there, not to folders of another machine. (Plain folders in pg_tblspc would not do for a replica: a standby
// that finds one panics.) Or they are such folders, as of allow_in_place_tablespaces: pg_basebackup unpacks
// no link that leads to a parent.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/pg/control_file.h"
#include "core/pg/datadir.h"
#include "core/pg/fabricated_checkpoint.h"
#include "core/pg/rel.h"
#include "core/pg/slru.h"
#include "core/pg/tar.h"

namespace argon::pg {

// A database's folder in one tablespace; the shared catalogs are (kGlobalTablespace, 0).
struct DatabaseFolder {
  Oid spc = 0;
  Oid db = 0;
  bool has_map = false;  // PG_VERSION and pg_filenode.map lie here: its default tablespace

  friend constexpr auto operator<=>(const DatabaseFolder&, const DatabaseFolder&) = default;
};

// The cluster as of the backup's LSN. Every call may suspend the caller's fiber. Lists are ascending.
class BasebackupSource {
 public:
  virtual ~BasebackupSource() = default;

  virtual Result<std::vector<DatabaseFolder>> databases() = 0;
  virtual Result<Bytes> relation_map(Oid spc, Oid db) = 0;
  virtual Result<std::vector<uint32_t>> slru_segments(Slru slru) = 0;
  // Whole pages, at most 32.
  virtual Result<Bytes> slru_segment(Slru slru, uint32_t segment) = 0;
  virtual Result<std::vector<Xid>> prepared_transactions() = 0;
  // The state as its PREPARE record has it, without the CRC.
  virtual Result<Bytes> prepared_state(Xid xid) = 0;
  // Relation forks: all of them, or the init forks only.
  virtual Result<std::vector<RelTag>> relations(bool only_init_forks) = 0;
  virtual Result<BlockNumber> relation_size(const RelTag& rel) = 0;
  // Exactly `count` pages.
  virtual Result<Bytes> read_pages(const RelTag& rel, BlockNumber first, BlockNumber count) = 0;
};

struct BasebackupOptions {
  enum class Content : uint8_t { Compute, Everything };
  enum class Role : uint8_t { Primary, Standby };  // a standby gets standby.signal

  Content content = Content::Compute;
  Role role = Role::Primary;
  ControlFile control;           // as it shall be in the backup (control_at)
  std::vector<SegmentFile> wal;  // FabricatedCheckpoint::segments; empty where WAL is streamed
  // A physical replication slot that pins WAL from slot_lsn on; none where empty.
  std::string slot;
  Lsn slot_lsn;
  bool tablespaces_in_place = false;
  bool configuration = true;  // minimal configuration files, so that a plain server starts
};

// Writes the whole archive. Errors of source and sink name the file they happened at.
Status write_basebackup(BasebackupSource& source, const BasebackupOptions& options, const TarSink& sink);

// The state file of a prepared transaction: its PREPARE record's main data and a CRC.
Bytes two_phase_file(ByteView state);
// The inverse: the state without its CRC. Code::Corrupt for a wrong one.
Result<Bytes> two_phase_state(ByteView file);
std::string two_phase_path(Xid xid);  // "pg_twophase/000002D5"

// pg_replslot/NAME/state of a persistent physical slot.
Bytes slot_file(std::string_view name, Lsn restart_lsn);

}  // namespace argon::pg
