// For redo_verify: map pages of which the primary has bits that its WAL does not carry.
//
// CREATE DATABASE … STRATEGY wal_log copies every page of the template and logs it as a page of the standard
// layout (RelationCopyStorageUsingBuffer in bufmgr.c: log_newpage_buffer(dstBuf, true)). A page of the
// visibility map has pd_lower 24 and pd_upper 8192, so that all its bits are the hole, which
// XLogRecordAssemble leaves out: standbys and the primary's own crash recovery have an empty map there, and
// so has native redo. A lost bit only costs a vacuum. The server's consistency check does not see it, since
// heap_mask hides that hole too.
//
// The primary goes on with the template's bits, and they are in the consistency images of later records. So
// which bits are lost is followed here exactly: those of the template's map page at the copy, without those
// that a record cleared or set since. An image must be redo's page plus the lost bits, nothing else. WAL does
// not name the template; every database with that map page is taken for it until an image refutes it, which
// then holds for the whole new database.

#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/pg/redo/nonblock.h"
#include "core/pg/redo/proof/page_store.h"
#include "core/pg/wal_record.h"

namespace argon::pg::redo {

class CopiedMaps {
 public:
  // Fills the page as redo has it; false where it does not exist.
  using Read = std::function<bool(const BlockTag&, PageBytes&)>;

  // Databases that exist at the start are those with a folder in base/.
  CopiedMaps(const std::string& seed, Read read);

  // A block of a record, after redo applied it. Only map pages matter.
  void follow(const DecodedRecord& record, const DecodedBlock& block);
  // An effect of a record, after it was carried out.
  void follow(const DecodedRecord& record, const Effect& effect);

  bool holds(const BlockTag& tag) const { return maps_.contains(tag); }
  // Whether the image is redo's page plus the bits it lost. Both are masked. REQUIRES: holds(tag).
  bool explains(const BlockTag& tag, const PageBytes& ours, const PageBytes& image);
  uint64_t compared() const { return compared_; }
  uint64_t with_lost_bits() const { return with_lost_bits_; }

 private:
  using Database = std::pair<Oid, Oid>;               // tablespace, database
  using PerTemplate = std::map<Database, PageBytes>;  // lost bits, were this the template

  void copied(const BlockTag& tag);
  void forget(const RelTag& rel, BlockNumber from);
  void forget_database(const Database& database);

  Read read_;
  std::set<Database> databases_;
  std::map<Database, Xid> created_;  // by wal_log, with the transaction that did it
  std::map<Database, std::set<Database>> refuted_;
  std::map<BlockTag, PerTemplate> maps_;
  uint64_t compared_ = 0;
  uint64_t with_lost_bits_ = 0;
};

}  // namespace argon::pg::redo
