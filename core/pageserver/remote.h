// Remote: a timeline in the object store.
//
// Objects below tenants/TENANT/timelines/TIMELINE/: each layer under its file name, and indexes
// "index-GENERATION-SEQUENCE" (8 and 16 hex digits) of which the greatest is the truth. An object is
// written once and never changed. An index that is put late, by a former life of this pageserver, can be
// the greatest until the present life has put one of its own generation: before that nothing is told to
// anybody, after it what comes late is garbage. Layers come before the index that names them, the index
// before anything is told to anybody, and what it no longer names is removed only after it is durable.
//
// A tenant's configuration is "tenants/TENANT/config-GENERATION-SEQUENCE" (8 and 16 hex digits), by the same
// rule.
//
// What was deleted is marked (deletion.h).
//
// Generations are claimed by making "tenants/TENANT/generation-GENERATION" where none is (location.h has its
// content): each start of a pageserver that has the tenant attached has one of its own, and lists the
// tenant's objects after it has claimed it. What an upload tells, and what the deletion queue removes, counts
// only where no higher generation is claimed by then.

#pragma once

#include <optional>
#include <set>

#include "core/objstore/keys.h"
#include "core/pageserver/deletion_queue.h"
#include "core/pageserver/layer_store.h"
#include "core/pageserver/location.h"
#include "core/pageserver/tenant_config.h"

namespace argon::pageserver {

// What the object store knows of a tenant.
struct RemoteTenant {
  Generation newest;                               // the highest one claimed
  Generation changed;                              // that of the last life that has put anything but a claim
  std::map<TimelineId, std::string> newest_index;  // key of each timeline's truth
  std::string newest_config;                       // key of its configuration; empty: there is none
  std::optional<Generation> mark;                  // of its deletion, the newest
  std::map<TimelineId, Generation> timeline_marks;

  // As deletion.h says what a mark is worth.
  bool is_deleted() const { return mark && *mark >= changed; }
  bool is_deleted(const TimelineId& timeline) const;
};

// All tenants, without their timelines, each as if its newest claim were of a life that has changed it.
// Suspends.
Result<std::map<TenantId, RemoteTenant>> list_tenants(Task& task, objstore::ObjectStore& store);
// One tenant with its timelines, to be asked for after a generation was claimed. Suspends.
Result<RemoteTenant> list_tenant(Task& task, objstore::ObjectStore& store, const TenantId& id);
// A generation higher than every other one claimed.
Result<Generation> claim_generation(Task& task, objstore::ObjectStore& store, const TenantId& tenant,
                                    Generation above, const Claim& claim);
// This generation. Ok as well where this life of the pageserver has claimed it before. Errors: AlreadyExists
// says who has it; MaybeApplied: ask again.
Status claim_exactly(Task& task, objstore::ObjectStore& store, const TenantId& tenant, Generation generation,
                     const Claim& claim);
// The newest generation that was claimed, and what its claim says; nothing where there is none. Suspends.
struct NewestClaim {
  Generation generation;
  Claim claim;
};
Result<std::optional<NewestClaim>> newest_claim(Task& task, objstore::ObjectStore& store,
                                                const TenantId& tenant);
Result<Claim> read_claim(Task& task, objstore::ObjectStore& store, const TenantId& tenant,
                         Generation generation);
Result<TimelineIndex> get_index(Task& task, objstore::ObjectStore& store, const std::string& key,
                                const TenantTimelineId& id);
// Returns its key. Suspends.
Result<std::string> put_index(Task& task, objstore::ObjectStore& store, const TimelineIndex& index);

// The configuration's place, and what is there. Suspends.
std::string config_key(const TenantId& tenant, Generation generation, uint64_t sequence);
Result<TenantConfig> get_config(Task& task, objstore::ObjectStore& store, const std::string& key);

// Brings a layer to `path`, checked, durably. Errors: NotFound: it is not in the object store; Corrupt.
Status download_layer(Task& task, objstore::ObjectStore& store, const TenantTimelineId& id,
                      const LayerName& name, uint64_t size, const std::string& path);

class Remote {
 public:
  // `uploads` bounds how many layers are in memory for upload at once, over all timelines; `downloads` counts
  // layers.
  Remote(objstore::ObjectStore& store, const TenantTimelineId& id, Semaphore& uploads,
         DeletionQueue& deletions, Counter& downloads)
      : store_(store), id_(id), uploads_(uploads), deletions_(deletions), downloads_(downloads) {}

  // What the object store has already, by an earlier life.
  void set_present(const TimelineIndex& index, const std::string& key);
  const std::set<LayerName>& present() const { return present_; }
  // Uploads layers and index of `store` as they are now, then gives what the last upload named and this one
  // does not to the deletion queue. Returns the index uploaded; everything in it is durable, and no life of a
  // higher generation began before it was. Errors: Stale (one did); Corrupt (a layer that is not in the
  // object store yet is damaged here, or gone).
  Result<TimelineIndex> upload(Task& task, LayerStore& layers);
  // Uploads `copies`, which the store does not have yet, and an index that names them beside all that `index`
  // names, which is durable. Returns its key, which is index_key() from then on; there is to be no upload
  // after it. REQUIRES: no upload is going on. Errors as of upload().
  Result<std::string> put_detached(Task& task, TimelineIndex& index,
                                   const std::vector<LayerStore::LayerPtr>& copies);
  // Puts an index that differs from `index`, the newest uploaded, in that the timeline is archived. Returns
  // its key. After an error it may be there, or come: until an upload() it is unsettled(). REQUIRES: no
  // upload is going on. Errors as of upload().
  Result<std::string> put_archived(Task& task, const TimelineIndex& index);
  bool unsettled() const { return unsettled_; }
  // The newest index that is known to be in the object store; all it names is there. Corrupt: none, as of a
  // timeline whose creation did not end.
  Result<TimelineIndex> uploaded_index(Task& task);
  bool has_index() const { return !index_key_.empty(); }
  const std::string& index_key() const { return index_key_; }
  // Downloads one layer to its place on disk, checked.
  LayerFile::Fetch fetch();
  // Stale where a higher generation was claimed meanwhile.
  Status confirm(Task& task) { return check_generation(task, store_, id_.tenant, uploaded_.generation); }
  // Once in a life that has an index of its own: gives layers and indexes that earlier lives left over to the
  // deletion queue. REQUIRES: no upload is going on.
  Status find_orphans(Task& task, const LayerStore& layers);
  // Something in the layers is not in the object store, or no index of this life is.
  bool behind(const LayerStore& layers) const;

 private:
  Status upload_layer(Task& task, LayerFile& layer);
  std::string key_of(const LayerName& name) const;

  objstore::ObjectStore& store_;
  TenantTimelineId id_;
  Semaphore& uploads_;
  DeletionQueue& deletions_;
  Counter& downloads_;
  std::set<LayerName> present_;
  std::string index_key_;
  TimelineIndex uploaded_;    // as index_key_ says, without its layers
  bool unconfirmed_ = false;  // it is not known whether our generation was the newest after the last upload
  bool unsettled_ = false;    // an index that says otherwise may be there
  bool orphans_found_ = false;
};

}  // namespace argon::pageserver
