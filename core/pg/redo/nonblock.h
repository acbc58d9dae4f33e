// What a WAL record changes beyond its block references, as a list of small effects.
//
// Ingest calls nonblock_effects() for every record, beside storing the record under each of its
// registered blocks, and carries out the effects in the order given, all at the record's end LSN.
// Block references come first: an effect on a page that the same record also registers (there is
// none in PostgreSQL 15) would apply after it. Pure: no state is kept between records.
//
// What the caller does itself, for every record: nextXid goes beyond record.xid; a block reference
// beyond the end of its relation fork extends it, the gap being zero pages; a reference to a
// relation that was never created creates it.
//
// Records that change nothing here (STANDBY LOCK, LogicalMessage, ReplicationOrigin, NEW_CID,
// HEAP TRUNCATE, invalidations, …) give no effects. Records of extension resource managers
// neither. Source: the *_redo functions of PostgreSQL 15; the facts stand with each effect.

#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/result.h"
#include "core/pg/redo/mutation.h"
#include "core/pg/redo/settings.h"
#include "core/pg/rel.h"
#include "core/pg/wal_record.h"

namespace argon::pg::redo {

// A page of a relation: VM bits cleared, VM or FSM tail truncated. Ignore where the fork or the
// block does not exist (at most the clear of a bit that was never set).
struct BlockMutation {
  BlockTag block;
  Mutation mutation;
};

// A page of an SLRU: file name of segment page / 32 as "%04X". A page beyond the end extends.
struct SlruMutation {
  Slru slru;
  uint32_t page;
  Mutation mutation;
};

// Whole segments of an SLRU go: those for which slru_truncates() says so, of all that exist.
struct SlruTruncate {
  Slru slru;
  uint32_t cutoff_page;    // not for members: segments wholly before this page, with wraparound
  uint32_t first_segment;  // members only: segments from first_segment up to, not including, …
  uint32_t end_segment;    // … end_segment, with wraparound
};
bool slru_truncates(const SlruTruncate& truncate, uint32_t segment);

// SMGR CREATE. The fork exists from here on, with 0 blocks.
struct RelationCreate {
  RelTag rel;
};
// SMGR TRUNCATE. Blocks >= blocks are gone; a fork that is shorter, or absent, stays as it is.
struct RelationTruncate {
  RelTag rel;
  BlockNumber blocks;
};
// By commit or abort: all forks of the relation are gone.
struct RelationDrop {
  RelFileNode rel;
};

// The new content of pg_filenode.map, of database db (0: the shared one in global/).
struct RelationMapUpdate {
  Oid db;
  Oid tablespace;
  ByteView content;  // 512 bytes, CRC included
};

// A prepared transaction: until it is removed, every base backup carries pg_twophase/"%08X" of xid
// with two_phase_file(state) in it.
struct TwoPhaseAdd {
  Xid xid;
  ByteView state;
};
struct TwoPhaseRemove {
  Xid xid;
};
// The bytes of the file: the state and its CRC.
Bytes two_phase_file(ByteView state);

// CREATE DATABASE … STRATEGY file_copy: everything of the source as of this LSN, relation map and
// all forks of all relations, becomes the new database's.
struct DatabaseCopy {
  Oid db;
  Oid tablespace;
  Oid source_db;
  Oid source_tablespace;
};
// STRATEGY wal_log: an empty folder with PG_VERSION; relation map and pages follow as records.
struct DatabaseCreate {
  Oid db;
  Oid tablespace;
};
// All relations and the relation map of the database in that tablespace are gone.
struct DatabaseDrop {
  Oid db;
  Oid tablespace;
};

struct TablespaceCreate {
  Oid tablespace;
  std::string_view path;
};
struct TablespaceDrop {
  Oid tablespace;
};

// STANDBY RUNNING_XACTS: nothing for pages; what a hot standby needs at its start.
struct RunningXacts {
  Xid next_xid;
  Xid oldest_running_xid;
  Xid latest_completed_xid;
  uint32_t xid_count;
  uint32_t subxid_count;
  bool subxid_overflow;
  ByteView xids;  // 4 bytes each, little-endian: xids, then subxids
};

// The cluster's counters are beyond these values.
struct NextXidPast {
  Xid xid;
};
struct NextOid {
  Oid oid;  // from XLOG NEXTOID: the ceiling up to which oids may be handed out
};
struct NextMultiPast {
  MultiXactId next_multi;  // nextMulti and nextMultiOffset are at least these
  uint32_t next_offset;
};
// Truncations carry the new horizons.
struct OldestXid {
  Xid xid;
  Oid db;
};
struct OldestMulti {
  MultiXactId multi;
  Oid db;
};
struct OldestCommitTsXid {
  Xid xid;
};

// XLOG PARAMETER_CHANGE, FPW_CHANGE: fields of pg_control.
struct ParameterChange {
  int32_t max_connections;
  int32_t max_worker_processes;
  int32_t max_wal_senders;
  int32_t max_prepared_xacts;
  int32_t max_locks_per_xact;
  int32_t wal_level;
  bool wal_log_hints;
  bool track_commit_timestamp;
};
struct FullPageWritesChange {
  bool on;
};

using Effect =
    std::variant<BlockMutation, SlruMutation, SlruTruncate, RelationCreate, RelationTruncate, RelationDrop,
                 RelationMapUpdate, TwoPhaseAdd, TwoPhaseRemove, DatabaseCopy, DatabaseCreate, DatabaseDrop,
                 TablespaceCreate, TablespaceDrop, RunningXacts, NextXidPast, NextOid, NextMultiPast,
                 OldestXid, OldestMulti, OldestCommitTsXid, ParameterChange, FullPageWritesChange>;

// Appends the record's effects to `out`; views in them borrow from the record. Code::Corrupt names
// the record where its main data does not have the form its type must have; nothing of it must
// then be stored. Allocates only where there are effects.
Status nonblock_effects(const DecodedRecord& record, const RedoSettings& settings, std::vector<Effect>& out);

// The settings after the record (XLOG PARAMETER_CHANGE), else as before.
RedoSettings settings_after(const DecodedRecord& record, const RedoSettings& before);

// COMMIT, ABORT, COMMIT PREPARED, ABORT PREPARED taken apart (ParseCommitRecord, ParseAbortRecord).
struct TransactionEnd {
  Xid xid;  // of the transaction that ended: of *_PREPARED not record.xid
  bool committed;
  bool prepared;
  int64_t time;      // microseconds since 2000-01-01 UTC
  ByteView subxids;  // 4 bytes each
  ByteView dropped;  // RelFileNode, 12 bytes each
  bool has_origin;
  uint64_t origin_lsn;
  int64_t origin_time;
};
// Code::Invalid if the record is none of these.
Result<TransactionEnd> parse_transaction_end(const DecodedRecord& record);

}  // namespace argon::pg::redo
