#include "core/pageserver/backup.h"

#include <algorithm>

namespace argon::pageserver {

namespace {

constexpr std::string_view kSlotName = "argon";

class TimelineSource final : public pg::BasebackupSource {
 public:
  TimelineSource(Task& task, Catalog& catalog, Lsn lsn) : task_(task), catalog_(catalog), lsn_(lsn) {}

  Result<std::vector<pg::DatabaseFolder>> databases() override {
    TRY_ASSIGN(auto found, catalog_.databases(task_, lsn_));
    std::vector<pg::DatabaseFolder> out;
    for (const auto& [spc, db] : found) {
      auto map = catalog_.file(task_, relation_map_key(spc, db), lsn_);
      if (!map.ok() && !map.is(Code::NotFound)) return map.error();
      out.push_back({spc, db, map.ok()});
    }
    return out;
  }
  Result<Bytes> relation_map(pg::Oid spc, pg::Oid db) override {
    return catalog_.file(task_, relation_map_key(spc, db), lsn_);
  }
  Result<std::vector<uint32_t>> slru_segments(pg::Slru slru) override {
    TRY_ASSIGN(auto found, catalog_.slru_segments(task_, stored_slru(slru), lsn_));
    std::vector<uint32_t> out;
    for (const auto& [segment, blocks] : found) out.push_back(segment);
    return out;
  }
  Result<Bytes> slru_segment(pg::Slru slru, uint32_t segment) override {
    return read_slru_segment(task_, catalog_, stored_slru(slru), segment, lsn_);
  }
  Result<std::vector<pg::Xid>> prepared_transactions() override {
    TRY_ASSIGN(two_phase_, catalog_.two_phase(task_, lsn_));
    std::vector<pg::Xid> out;
    for (const auto& [xid, file] : two_phase_) out.push_back(xid);
    return out;
  }
  Result<Bytes> prepared_state(pg::Xid xid) override { return pg::two_phase_state(two_phase_[xid]); }
  Result<std::vector<pg::RelTag>> relations(bool only_init_forks) override {
    LayerStore::KeyFilter wanted = nullptr;
    if (only_init_forks) wanted = [](const Key& key) { return block_of(key).rel.fork == pg::Fork::Init; };
    TRY_ASSIGN(auto sizes, catalog_.relations(task_, relation_sizes(), lsn_, wanted));
    std::vector<pg::RelTag> out;
    for (const auto& [rel, blocks] : sizes) out.push_back(rel);
    return out;
  }
  Result<pg::BlockNumber> relation_size(const pg::RelTag& rel) override {
    TRY_ASSIGN(auto size, catalog_.relation_size(task_, rel, lsn_));
    if (!size) return Error(Code::NotFound, "relation " + pg::to_string(rel) + " does not exist");
    return *size;
  }
  Result<Bytes> read_pages(const pg::RelTag& rel, pg::BlockNumber first, pg::BlockNumber count) override {
    Bytes out;
    for (pg::BlockNumber i = 0; i < count; i++) {
      TRY_ASSIGN(Bytes page, catalog_.page(task_, {rel, first + i}, lsn_));
      append(out, page);
    }
    return out;
  }

 private:
  Task& task_;
  Catalog& catalog_;
  Lsn lsn_;
  std::map<pg::Xid, Bytes> two_phase_;
};

// What a standby must not have less of, through all of the WAL that is known: it pauses for good where a
// record says that the primary has more.
pg::ControlSettings enough(pg::ControlSettings then, const pg::ControlSettings& newest) {
  then.max_connections = std::max(then.max_connections, newest.max_connections);
  then.max_worker_processes = std::max(then.max_worker_processes, newest.max_worker_processes);
  then.max_wal_senders = std::max(then.max_wal_senders, newest.max_wal_senders);
  then.max_prepared_xacts = std::max(then.max_prepared_xacts, newest.max_prepared_xacts);
  then.max_locks_per_xact = std::max(then.max_locks_per_xact, newest.max_locks_per_xact);
  return then;
}

// Where a follower begins.
Status begin_at_checkpoint(Task& task, Timeline& timeline, Lsn until, Lsn& lsn,
                           pg::BasebackupOptions& archive) {
  Catalog& catalog = timeline.catalog();
  TRY_ASSIGN(pg::TrackedState newest, catalog.tracked(task, until));
  if (newest.checkpoint_redo < timeline.store().index().wal_begin() || !newest.checkpoint_redo.valid())
    return Error(Code::Unavailable,
                 "timeline " + to_string(timeline.id()) +
                     " has no checkpoint of its own yet, from which a replica could begin: "
                     "start a primary endpoint of it once, or run CHECKPOINT there");
  lsn = newest.checkpoint_redo;
  TRY_ASSIGN(pg::ControlFile control, catalog.control(task, lsn));
  TRY_ASSIGN(pg::TrackedState then, catalog.tracked(task, lsn));
  archive.role = pg::BasebackupOptions::Role::Standby;
  archive.control = pg::control_of_standby(control, then.checkpoint, newest.checkpoint_lsn, lsn,
                                           enough(then.settings, newest.settings));
  return {};
}

Status begin_anew(Task& task, Timeline& timeline, const BackupOptions& options,
                  pg::BasebackupOptions& archive) {
  Catalog& catalog = timeline.catalog();
  TRY_ASSIGN(pg::ControlFile control, catalog.control(task, options.lsn));
  TRY_ASSIGN(pg::TrackedState state, catalog.tracked(task, options.lsn));
  Lsn previous = timeline.last_record() == options.lsn ? timeline.store().prev_record() : Lsn();
  pg::WalIdentity identity{control.system_id};
  auto start = pg::fabricate_checkpoint(identity, state.checkpoint, options.lsn, previous);
  if (!start.ok()) return start.error().with("base backup at " + to_string(options.lsn));
  archive.control = pg::control_at(control, *start, state.settings);
  archive.wal = start->segments(identity, options.everything);
  if (options.begun) TRY(options.begun(start->record, start->end));
  if (!options.everything) {
    archive.slot = kSlotName;
    archive.slot_lsn = start->record;
  }
  return {};
}

}  // namespace

Status write_backup(Task& task, Timeline& timeline, const BackupOptions& options, const pg::TarSink& sink) {
  pg::BasebackupOptions archive;
  archive.content = options.everything ? pg::BasebackupOptions::Content::Everything
                                       : pg::BasebackupOptions::Content::Compute;
  archive.tablespaces_in_place = options.tablespaces_in_place;
  Lsn lsn = options.lsn;
  TRY(options.follower ? begin_at_checkpoint(task, timeline, options.lsn, lsn, archive)
                       : begin_anew(task, timeline, options, archive));
  TimelineSource source(task, timeline.catalog(), lsn);
  return pg::write_basebackup(source, archive, sink);
}

}  // namespace argon::pageserver
