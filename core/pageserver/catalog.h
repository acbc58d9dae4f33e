// Catalog: what exists in a timeline at an LSN: relations and sizes, SLRU segments, databases; and the
// pages themselves. The reading side of the key space, over a LayerStore.
//
// Every LSN given must be reached already (last_record() >= lsn): see Timeline::read_point().

#pragma once

#include <map>
#include <optional>
#include <set>

#include "core/pageserver/extension_redo.h"
#include "core/pageserver/layer_store.h"
#include "core/pageserver/materialized_pages.h"
#include "core/pg/checkpoint_tracker.h"
#include "core/pg/control_file.h"
#include "core/pg/redo/settings.h"

namespace argon::pageserver {

class Catalog {
 public:
  // Without `extensions` their records cannot be redone; without `pages` each page() is made anew. All of
  // them outlive this.
  explicit Catalog(LayerStore& store, ExtensionRedo* extensions = nullptr, MaterializedPages* pages = nullptr)
      : store_(store), extensions_(extensions), pages_(pages), owner_(pages ? pages->new_owner() : 0) {}

  // From ingest. Until it says so (a timeline without WAL of its own may never ingest), the first page read
  // looks the settings up.
  void set_redo_settings(const pg::redo::RedoSettings& settings);
  // Those of the timeline's end.
  Result<pg::redo::RedoSettings> redo_settings(Task& task);

  // Nothing where the fork does not exist.
  Result<std::optional<uint32_t>> relation_size(Task& task, const pg::RelTag& rel, Lsn lsn);
  Result<std::optional<uint32_t>> slru_segment_size(Task& task, pg::redo::Slru slru, uint32_t segment,
                                                    Lsn lsn);
  // A block at or beyond the fork's end, or of a fork that does not exist, reads as zeros.
  Result<Bytes> page(Task& task, const pg::BlockTag& block, Lsn lsn);
  // The page of a block that exists, without the pages that were made before. One whose records cannot be
  // redone is noted below.
  Result<Bytes> materialize(Task& task, const Key& key, Lsn lsn);

  // Pages that could not be made of their records, with the last error, until one is read well again; at most
  // kUnreadableMax are kept. And how often there was such an error.
  static constexpr size_t kUnreadableMax = 100;
  const std::map<Key, std::string>& unreadable() const { return unreadable_; }
  uint64_t redo_errors() const { return redo_errors_; }
  // The content of a key other than a page.
  Result<Bytes> file(Task& task, const Key& key, Lsn lsn);

  using Sizes = std::map<pg::RelTag, uint32_t>;
  Result<Sizes> relations(Task& task, const KeyRange& range, Lsn lsn, LayerStore::KeyFilter wanted = nullptr);
  // Segment number to blocks.
  Result<std::map<uint32_t, uint32_t>> slru_segments(Task& task, pg::redo::Slru slru, Lsn lsn);
  // Prepared transactions: the content of their files, by xid.
  Result<std::map<pg::Xid, Bytes>> two_phase(Task& task, Lsn lsn);
  // (tablespace, database), the shared (1664, 0) among them.
  Result<std::set<std::pair<pg::Oid, pg::Oid>>> databases(Task& task, Lsn lsn);
  // Bytes of all forks of all relations of a database.
  Result<uint64_t> database_bytes(Task& task, pg::Oid db, Lsn lsn);
  Result<pg::ControlFile> control(Task& task, Lsn lsn);
  Result<pg::TrackedState> tracked(Task& task, Lsn lsn);
  // Bytes of all blocks of relations in the ranges (disjoint).
  Result<uint64_t> block_bytes(Task& task, const std::vector<KeyRange>& ranges, Lsn lsn);
  // Every key that exists in the range at lsn, sorted.
  Result<std::vector<Key>> keys(Task& task, const KeyRange& range, Lsn lsn);

  // The newest sizes as ingest made them or somebody looked them up, so that reads at the end of the timeline
  // need no search.
  struct Size {
    std::optional<uint32_t> blocks;
    Lsn since;
  };
  // For ingest alone.
  void know(const pg::RelTag& rel, const Size& size);
  void note_growth(int64_t blocks) { grown_ += blocks; }
  // Blocks of all relations that were ingested in this life, less those that went.
  int64_t grown() const { return grown_; }
  Result<std::optional<uint32_t>> newest_size(Task& task, const pg::RelTag& rel);

 private:
  const Size* known(const pg::RelTag& rel) const;
  void note_unreadable(const Key& key, const Error& error);
  Result<Bytes> kept_or_made(Task& task, const Key& key, Lsn lsn);
  Result<Bytes> made_of(Task& task, const Key& key, const Chain& chain);

  LayerStore& store_;
  ExtensionRedo* extensions_;
  MaterializedPages* pages_;
  uint64_t owner_;  // of pages there
  std::map<Key, std::string> unreadable_;
  uint64_t redo_errors_ = 0;
  std::optional<pg::redo::RedoSettings> settings_;
  std::map<pg::RelTag, Size> sizes_;
  int64_t grown_ = 0;
  uint64_t sizes_cleared_ = 0;
};

pg::redo::RedoSettings redo_settings_of(const pg::TrackedState& state);

// Whole pages of a segment. NotFound where it does not exist.
Result<Bytes> read_slru_segment(Task& task, Catalog& catalog, pg::redo::Slru slru, uint32_t segment, Lsn lsn);

}  // namespace argon::pageserver
