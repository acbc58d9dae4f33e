// Ingest: WAL records into changes of keys, by the rules of PostgreSQL's own recovery.
//
// One per timeline, driven by one task. Every change of a record is filed under the record's end LSN.
// A record is applied as a whole: all that has to be read is read first, then everything is put and
// the timeline advances in one step, so that a reader never sees half of a record, and a failure
// leaves nothing of it.
//
// Which value goes to which block of a record is said by core/pg/interpret, here or on a safekeeper; here a
// fork is made, or extended (blocks between become zero pages). Everything beyond blocks comes from
// core/pg/redo/nonblock.h. Of several shards each stores its own blocks, and all else.

#pragma once

#include <vector>

#include "core/pageserver/catalog.h"
#include "core/pg/checkpoint_tracker.h"
#include "core/pg/interpret/interpreted_record.h"
#include "core/pg/interpret/shard.h"
#include "core/pg/redo/nonblock.h"
#include "core/pg/wal_stream.h"

namespace argon::pageserver {

// What ingest goes on from at the end of a timeline.
struct IngestState {
  pg::TrackedState tracked;
  std::optional<int64_t> commit_time;  // the latest (commit_time.h), if there is one
};
Result<IngestState> ingest_state(Task& task, LayerStore& store, Catalog& catalog, Lsn lsn);

class Ingest {
 public:
  // Borrows both. `state` is that of the end of the timeline.
  Ingest(LayerStore& store, Catalog& catalog, const IngestState& state, const pg::ShardIdentity& shard = {});

  // Records at or below the timeline's end are passed over. Suspends for back-pressure and for reads.
  // Errors: Corrupt names the record; those of the disk.
  Status apply(Task& task, const pg::WalRecord& record);
  Status apply(Task& task, const pg::InterpretedRecord& record);
  // There is nothing to store up to `end`, where the record that begins at `last_record` ends.
  void advance(Lsn end, Lsn last_record);

 private:
  using Slru = pg::redo::Slru;
  // Runs `apply_new` where the record is new.
  template <typename ApplyNew>
  Status when_new(Task& task, Lsn start, Lsn end, const ApplyNew& apply_new);
  // REQUIRES: decoded_ is the record, where it has effects.
  Status apply_new(Task& task, const pg::InterpretedRecord& record);
  Status item(Task& task, const pg::InterpretedRecord& record, const pg::InterpretedItem& item);
  Status effects(Task& task);
  Status extend(Task& task, const pg::BlockTag& block, bool makes_page);
  Status effect(Task& task, const pg::redo::BlockMutation& e);
  Status effect(Task& task, const pg::redo::SlruMutation& e);
  Status effect(Task& task, const pg::redo::SlruTruncate& e);
  Status effect(Task& task, const pg::redo::RelationCreate& e);
  Status effect(Task& task, const pg::redo::RelationTruncate& e);
  Status effect(Task& task, const pg::redo::RelationDrop& e);
  Status effect(Task& task, const pg::redo::RelationMapUpdate& e);
  Status effect(Task& task, const pg::redo::TwoPhaseAdd& e);
  Status effect(Task& task, const pg::redo::TwoPhaseRemove& e);
  Status effect(Task& task, const pg::redo::DatabaseCopy& e);
  Status effect(Task& task, const pg::redo::DatabaseCreate& e);
  Status effect(Task& task, const pg::redo::DatabaseDrop& e);
  Status effect(Task& task, const pg::redo::TablespaceCreate& e);
  Status effect(Task& task, const pg::redo::TablespaceDrop& e);
  // The rest concerns counters and settings, which the checkpoint tracker keeps.
  template <typename Other>
  Status effect(Task&, const Other&) {
    return {};
  }

  // The size with what this record changed already.
  Result<std::optional<uint32_t>> size_of(Task& task, const pg::RelTag& rel);
  void set_size(const pg::RelTag& rel, std::optional<uint32_t> blocks, uint32_t was);
  void create(const pg::RelTag& rel, uint32_t blocks);
  Result<std::optional<uint32_t>> slru_size_of(Task& task, Slru slru, uint32_t segment);
  void stage(const Key& key, Bytes value);
  void stage(const pg::BlockTag& block, Bytes value);  // where it is this shard's
  void stage_image(const Key& key, ByteView content) { stage(key, image_value_of(content)); }
  static Bytes image_value_of(ByteView content);
  void note_commit(const pg::redo::Mutation& mutation);
  void commit(const pg::InterpretedRecord& record);
  void publish();

  LayerStore& store_;
  Catalog& catalog_;
  pg::ShardIdentity shard_;
  pg::CheckpointTracker tracker_;
  std::optional<int64_t> commit_time_;
  pg::Interpreter interpreter_;
  pg::InterpretedRecord interpreted_;
  pg::DecodedRecord decoded_;
  std::vector<pg::redo::Effect> effects_;
  // Of the record being applied, in the order of its changes.
  std::map<Key, Bytes> staged_;
  std::map<pg::RelTag, std::optional<uint32_t>> staged_sizes_;
  int64_t staged_growth_ = 0;  // blocks
  std::optional<int64_t> staged_commit_time_;
  std::map<std::pair<Slru, uint32_t>, uint32_t> slru_sizes_;  // known newest sizes, across records
};

}  // namespace argon::pageserver
