// What a model compute writes: real WAL records, applied to its own pages by redo, told to the reference,
// handed to the proposer.

#pragma once

#include "core/compute/model/model_pages.h"
#include "core/compute/model/model_start.h"
#include "core/fiber/sync.h"
#include "core/pg/record_makers.h"
#include "core/pg/wal_builder.h"
#include "core/pg/wal_record.h"

namespace argon::compute {

class ModelWriter {
 public:
  // `start` as fetched for the elected position; its WAL is sent by begin().
  ModelWriter(const ModelContext& context, const ModelStart& start, Lsn start_lsn);

  // Sends the fabricated checkpoint, compares the sizes of model relations with the reference, creates those
  // that are missing.
  Status begin(Task& task);
  // One transaction, others may interleave; `commit_end` is 0 if it was aborted.
  struct Outcome {
    pg::Xid xid = 0;
    Lsn commit_end;
  };
  Result<Outcome> run_transaction(Task& task, Random& random);

  // Parts of a transaction, for tables whose content is not drawn. Others may interleave between the calls.
  // Opens such a table; its blocks, nothing where it does not exist. A size that is wrong is a violation.
  Result<std::optional<uint32_t>> open_table(Task& task, const pg::RelTag& rel);
  Status make_table(Task& task, const pg::RelTag& rel);
  Result<Bytes> page(Task& task, const pg::BlockTag& tag);
  Result<pg::Xid> begin_transaction(Task& task);
  // Where the tuple now lies.
  Result<pg::HeapPlace> insert(Task& task, Random& random, const pg::RelTag& rel, pg::Xid xid,
                               ByteView tuple);
  Result<pg::HeapPlace> update(Task& task, Random& random, const pg::HeapPlace& old, pg::Xid xid,
                               ByteView tuple);
  // The end of the record.
  Result<Lsn> end_transaction(Task& task, pg::Xid xid, bool commit);

 private:
  // A relation that never existed.
  pg::RelTag new_relation();
  Status open_relation(Task& task, const pg::RelTag& rel);
  Status create_relation(Task& task, pg::Xid xid, const pg::RelTag& rel);
  Status allocate_xid(Task& task, pg::Xid& xid);
  Status operate(Task& task, Random& random, pg::Xid xid);
  // The three with the mutex held.
  Result<pg::HeapPlace> put(Task& task, Random& random, const pg::RelTag& rel, pg::Xid xid, ByteView tuple);
  Result<pg::HeapPlace> replace(Task& task, Random& random, const pg::HeapPlace& old, pg::Xid xid,
                                ByteView tuple);
  Status end(Task& task, pg::Xid xid, bool commit);
  Status change(Task& task, Random& random, const pg::RelTag& rel, pg::Xid xid);
  // The block where a tuple of that size goes, its page pinned; `fresh` where it is a new block.
  Result<pg::HeapPlace> place_for(Task& task, Random& random, const pg::RelTag& rel, size_t tuple_size,
                                  bool& fresh);
  pg::HeapPlace extend(const pg::RelTag& rel, bool& fresh);
  Bytes make_tuple(Random& random, pg::Xid xid);
  Status finish_transaction(Task& task, Random& random, pg::Xid xid, Outcome& outcome);
  // As a rewriting ALTER TABLE: a new relation, and at the end the old one (or, aborted, the new one) is
  // dropped.
  Status rewrite(Task& task, Random& random, pg::Xid xid, bool abort);
  Status truncate(Task& task, Random& random);
  // As VACUUM: sets bits of the visibility map for some pages. Who is in progress does not count here, as
  // nobody reads by the map.
  Status set_visible(Task& task, Random& random);
  // Its page of the visibility map, made if need be, and pinned.
  Status pin_map(Task& task, const pg::RelTag& rel);
  // `flag` where the page counts as all-visible, so that the record has to clear that; the map is then
  // pinned.
  Result<uint8_t> clear_flag(Task& task, const pg::BlockTag& tag, uint8_t flag);
  Status housekeeping(Task& task, Random& random);
  // Lays the record into the WAL, redoes it on the cached pages (which must be there), tells the reference
  // and the proposer.
  // `effect` says what the record does beside its blocks.
  Status write(Task& task, const pg::RecordBuilder& builder, RecordEffect effect = {});
  Status tell(const pg::DecodedRecord& record, RecordEffect effect);
  Status tell_block(const pg::DecodedRecord& record, const pg::DecodedBlock& block, RecordEffect& effect);
  Status tell_maps(const pg::DecodedRecord& record, RecordEffect& effect);
  uint32_t blocks_of(const pg::RelTag& rel) const;

  const ModelContext& context_;
  ModelStart start_;
  Lsn start_lsn_;
  ModelPages pages_;
  pg::WalWriter wal_;
  Lsn last_end_;
  Mutex mutex_;                        // one record at a time, pages pinned
  std::vector<pg::RelTag> relations_;  // open for changes
  std::map<pg::RelTag, uint32_t> blocks_;
  pg::Oid next_relation_;
  uint64_t next_xid_;
  uint64_t next_row_ = 1;
};

}  // namespace argon::compute
