#include "core/pageserver/timeline.h"

#include "core/env/points.h"

#include <algorithm>

namespace argon::pageserver {

namespace {

constexpr int kPagesPerTurn = 32;

}  // namespace

Status wait_at_most(Task& task, WaitList& list, Duration time) {
  Deadline deadline(task, time);
  Status woken = list.wait(task);
  if (woken.is(Code::TimedOut)) return {};
  return woken;
}

std::string remote_claim_key(const TenantTimelineId& id) {
  return "pageserver " + to_string(id) + " remote_consistent";
}

Timeline::Timeline(Services& services, const TimelineOptions& options, TenantTimelineId id,
                   std::string folder, std::shared_ptr<Timeline> ancestor,
                   std::shared_ptr<ExtensionRedo> extensions, std::shared_ptr<TenantGc> tenant_gc)
    : env_(services.env),
      options_(options),
      ancestor_(std::move(ancestor)),
      extensions_(std::move(extensions)),
      tenant_gc_(std::move(tenant_gc)),
      log_(Logger(services.env.log())
               .with("tenant", to_string(id.tenant))
               .with("timeline", to_string(id.timeline))),
      store_(services.env, id, std::move(folder), options.store, services.nodes),
      catalog_(store_, extensions_.get(), services.pages),
      remote_(services.objects, id, services.uploads, services.deletions,
              services.metrics.counter("pageserver_layers_downloaded_total",
                                       "Layers that reads fetched from the object store")),
      flushes_(services.metrics.counter("pageserver_flushes_total", "Layers flushed from memory")),
      compactions_(services.metrics.counter("pageserver_compactions_total", "Compactions of L0 layers")),
      images_(services.metrics.counter("pageserver_image_layers_total", "Rounds of image layer creation")),
      gc_rounds_(services.metrics.counter("pageserver_gc_rounds_total", "Rounds of garbage collection")),
      gc_layers_(services.metrics.counter("pageserver_gc_layers_removed_total", "Layers removed by it")),
      gc_bytes_(services.metrics.counter("pageserver_gc_bytes_removed_total", "Bytes of these layers")) {
  if (ancestor_) store_.set_ancestor(&ancestor_->store_);
}

void Timeline::set_remote(const TimelineIndex& index, const std::string& key) {
  remote_.set_present(index, key);
  store_.set_uploaded(remote_.present(), remote_.fetch());
}

Status Timeline::live(Task& task, const Begin& begin) {
  if (retired_) return {};
  Scope life(task);
  life_ = &life;
  begin(life);
  Status ended = life.join(task);
  life_ = nullptr;
  return retired_ ? Status() : ended;
}

void Timeline::retire() {
  retired_ = true;
  // What is waited for will not come: nobody receives, flushes or uploads from here on.
  Error gone(Code::Unavailable, "timeline " + to_string(id()) + " was deleted, or is loaded anew: ask again");
  store_.last_record().close(gone);
  flushed_.close(gone);
  remote_consistent_.close(gone);
  if (life_ != nullptr) life_->cancel();
  for (const auto& [number, stream] : guests_) stream->close();
}

Timeline::Guest::Guest(Timeline& timeline, Stream& stream)
    : timeline_(timeline), number_(timeline.next_guest_++) {
  timeline.guests_[number_] = &stream;
}

Result<Ingest*> Timeline::ingest(Task& task) {
  if (ingest_) return ingest_.get();
  TRY_ASSIGN(IngestState state, ingest_state(task, store_, catalog_, last_record()));
  if (!ingest_) ingest_ = std::make_unique<Ingest>(store_, catalog_, state);
  return ingest_.get();
}

Timeline& Timeline::holder_of(Lsn lsn) {
  Timeline* timeline = this;
  while (timeline->ancestor_ && lsn <= timeline->store_.ancestor_lsn()) timeline = timeline->ancestor_.get();
  return *timeline;
}

Status Timeline::check_readable(Lsn lsn) {
  LayerStore& store = holder_of(lsn).store_;
  auto cannot = [&](const std::string& why) {
    return Error(Code::Invalid,
                 "timeline " + to_string(id()) + " cannot be read at " + to_string(lsn) + ": " + why);
  };
  if (lsn < store.start_lsn()) return cannot("its history begins at " + to_string(store.start_lsn()));
  if (store.keeps(lsn)) return {};
  std::string whose = &store == &store_ ? "its" : "its ancestor " + to_string(store.id().timeline) + "'s";
  return cannot("that is below " + whose + " GC cutoff " + to_string(store.gc_cutoff()) +
                ", and neither a branch point nor under a lease");
}

Result<uint64_t> Timeline::current_size(Task& task) {
  if (!blocks_before_) {
    Lsn at = last_record();
    int64_t grown = catalog_.grown();
    TRY_ASSIGN(LsnHolds::Hold held, hold(at));
    TRY_ASSIGN(Catalog::Sizes sizes, catalog_.relations(task, relation_sizes(), at));
    int64_t blocks = 0;
    for (const auto& [rel, size] : sizes) blocks += size;
    blocks_before_ = blocks - grown;
  }
  return static_cast<uint64_t>(*blocks_before_ + catalog_.grown()) * pg::kBlockSize;
}

Result<LsnHolds::Hold> Timeline::hold(Lsn lsn) {
  TRY(check_readable(lsn));
  return holder_of(lsn).holds_.hold(lsn);
}

Lsn Timeline::min_readable() const {
  Lsn own = std::max(store_.start_lsn(), store_.gc_cutoff());
  if (!ancestor_ || own > store_.ancestor_lsn()) return own;
  return std::min(own, ancestor_->min_readable());
}

Result<ReadPoint> Timeline::read_point(Task& task, Lsn request_lsn, Lsn not_modified_since) {
  Lsn lsn = std::min(last_record(), request_lsn);
  if (not_modified_since > last_record()) {
    task.env().probe("pageserver.read-waited"_probe);
    Deadline deadline(task, options_.wait_lsn_timeout);
    Status waited = store_.last_record().wait_for(task, not_modified_since);
    if (waited.is(Code::TimedOut)) {
      task.env().probe("pageserver.read-timed-out"_probe);
      return Error(Code::TimedOut, "timeline " + to_string(id()) + ": WAL up to " +
                                       to_string(not_modified_since) + " has not come, it is at " +
                                       to_string(last_record()));
    }
    TRY(waited);
    lsn = not_modified_since;
  }
  TRY_ASSIGN(LsnHolds::Hold held, hold(lsn));
  return ReadPoint{lsn, std::move(held)};
}

Status Timeline::check_uploads() const {
  if (may_upload(tenant_gc_->mode)) return {};
  return Error(Code::Stale, "timeline " + to_string(store_.id()) +
                                ": this location is AttachedStale, nothing is uploaded; the tenant moves to "
                                "another pageserver");
}

Status Timeline::uploads_ended(Task& task) {
  Lock lock;
  return lock.acquire(task, uploading_);
}

Status Timeline::checkpoint(Task& task) {
  TRY(check_uploads());
  Lsn target = last_record();
  store_.freeze();
  TRY(flushed_.wait_for(task, target));
  TRY(remote_consistent_.wait_for(task, target));
  return {};
}

Status Timeline::save(Task& task) {
  store_.freeze();
  for (;;) {
    TRY_ASSIGN(bool flushed, store_.flush_one(task));
    if (!flushed) break;
  }
  return behind() ? upload(task) : Status();
}

Status Timeline::upload(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, uploading_));
  if (retired_)
    return Error(Code::NotFound, "timeline " + to_string(id()) + " was deleted, or is loaded anew");
  TRY(check_uploads());
  Result<TimelineIndex> index = remote_.upload(task, store_);
  if (index.is(Code::Corrupt) && remote_.has_index()) {
    wants_rebuild_ = true;
    rebuild_wanted_.notify_all();
  }
  TRY(index);
  remote_consistent_.advance(index->disk_consistent);
  return {};
}

Result<Timeline::Switched> Timeline::archive(Task& task, WallTime at) {
  Lock lock;
  TRY(lock.acquire(task, uploading_));
  TRY(check_uploads());
  TRY_ASSIGN(TimelineIndex index, remote_.upload(task, store_));
  index.sequence = store_.next_index().sequence;
  index.archived_at = at;
  TRY_ASSIGN(std::string key, remote_.put_archived(task, index));
  return Switched{std::move(index), std::move(key)};
}

Status Timeline::rebuild(Task& task, const ReadWal& read_wal) {
  Lock compacting;
  TRY(compacting.acquire(task, compacting_));
  Lock uploading;
  TRY(uploading.acquire(task, uploading_));
  TRY_ASSIGN(TimelineIndex uploaded, remote_.uploaded_index(task));
  std::unique_ptr<LayerStore> anew = store_.as_uploaded(uploaded, remote_.fetch());
  Status made = rebuild_from(task, *anew, read_wal);
  if (!made.ok()) {
    store_.drop(*anew);
    return made;
  }
  Lsn end = anew->disk_consistent();
  wants_rebuild_ = false;
  TRY(store_.adopt(task, *anew));
  log_.warn("a layer was damaged before it was uploaded: made anew from {} to {}",
            to_string(uploaded.disk_consistent), to_string(end));
  return {};
}

Status Timeline::rebuild_from(Task& task, LayerStore& anew, const ReadWal& read_wal) {
  Lsn from = anew.disk_consistent();
  Lsn to = store_.disk_consistent();
  if (from == to) return {};
  Catalog catalog(anew, extensions_.get());
  TRY_ASSIGN(IngestState state, ingest_state(task, anew, catalog, from));
  Ingest ingest(anew, catalog, state);
  TRY(read_wal(task, from, to, [&](Task& t, const pg::WalRecord& record) -> Status {
    TRY(ingest.apply(t, record));
    return anew.flush_unnamed(t);
  }));
  anew.freeze();
  TRY(anew.flush_unnamed(task));
  if (anew.disk_consistent() == to) return {};
  return Error(Code::Corrupt, "WAL from " + to_string(from) + " has a record that ends at " +
                                  to_string(anew.disk_consistent()) + ", but none at " + to_string(to));
}

Status Timeline::make_images(Task& task) {
  std::optional<LayerStore::ImageNeed> need = store_.image_need();
  if (!need || need->lsn == images_failed_at_) return {};
  Status done = make_image(task, *need);
  // What cannot be redone keeps its records; it is tried again when more of them are there.
  if (!done.ok() && !done.is(Code::Cancelled)) images_failed_at_ = need->lsn;
  if (done.ok()) task.env().probe("pageserver.images-made"_probe);
  return done;
}

// A compute's start reads these whole, and a page of pg_xact has a version for each of 32,768 transactions.
Status Timeline::make_slru_images(Task& task) {
  for (auto slru :
       {pg::redo::Slru::Clog, pg::redo::Slru::MultixactOffsets, pg::redo::Slru::MultixactMembers}) {
    TRY_ASSIGN(auto need, store_.changed_by_compaction(task, slru_blocks_of(slru)));
    if (!need) continue;
    TRY(make_image(task, *need));
    task.env().probe("pageserver.slru-images-made"_probe);
  }
  return {};
}

Status Timeline::make_image(Task& task, const LayerStore::ImageNeed& need) {
  TRY_ASSIGN(std::vector<Key> keys, catalog_.keys(task, need.keys, need.lsn));
  int made = 0;
  TRY(store_.create_image(task, need, keys, [&](Task& t, const Key& key, Lsn lsn) -> Result<Bytes> {
    if (++made % kPagesPerTurn == 0) TRY(t.yield());
    return catalog_.materialize(t, key, lsn);
  }));
  images_.add();
  return {};
}

Status Timeline::compact(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, compacting_));
  TRY(check_uploads());
  Result<bool> compacted = store_.compact_l0(task);
  store_.set_compacting(compacted.ok());
  TRY(compacted);
  if (*compacted) compactions_.add();
  // Where one of these pages cannot be made, all else goes on.
  Status slru_images = *compacted ? make_slru_images(task) : Status();
  TRY(make_images(task));
  if (!task.env().buggify("pageserver.sweeps-late"_rare)) TRY(store_.sweep(task));
  return slru_images;
}

}  // namespace argon::pageserver
