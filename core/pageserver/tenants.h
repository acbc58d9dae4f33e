// Tenants: all timelines of a pageserver, and their life: attach at start, create, branch, detach
// (tenants_detach.cc), archive and back (tenants_archive.cc), delete (deletion.h; tenants_deletion.cc). And
// which tenants are here at all, and how (location.h; tenants_location.cc).
//
// The object store says what exists; the local disk is a cache of it that may be empty, or older. A
// timeline exists once its first index is in the object store, and create() and branch() return only
// after that.

#pragma once

#include <functional>
#include <map>
#include <memory>

#include "core/pageserver/deletion.h"
#include "core/pageserver/import.h"
#include "core/pageserver/secondary.h"
#include "core/pageserver/timeline.h"

namespace argon::pageserver {

class Tenants {
 public:
  // Creations whose end is not known, at most. Where there are as many, one is finished before another
  // begins.
  static constexpr size_t kUndecidedMax = 64;
  // Called for each timeline that comes to life, in the task that made it; starts its fibers.
  using Started = std::function<void(std::shared_ptr<Timeline>)>;

  Tenants(Services& services, const TimelineOptions& options, std::string folder, Started started)
      : services_(services),
        options_(options),
        folder_(std::move(folder)),
        started_(std::move(started)),
        life_(services.env.random("pageserver.life").next()),
        secondaries_(services, folder_),
        deletions_(services, folder_) {}

  // Loads every tenant that is attached to this pageserver. A timeline that is damaged is logged and not
  // served, and none is made in its place; one that cannot be loaded now, and branches of it, wait for
  // attach_pending(). Errors: of listing and claiming.
  Status attach_all(Task& task);
  // Tries those again. Error: Cancelled.
  Status attach_pending(Task& task);
  bool pending() const;

  // What a location is to become.
  struct LocationWish {
    LocationMode mode = LocationMode::AttachedSingle;
    std::optional<Generation> generation;    // to attach with; none: the newest, or one higher
    Duration flush = Duration::seconds(10);  // so long, before AttachedStale, all is uploaded
  };
  // Idempotent. What is asked for is in force, and comes back at the next start, when it returns: nobody is
  // served who must not be, nothing uploaded or removed that must not be; files may still be on their way
  // out, and timelines on their way in (pending()). A tenant that nobody knows is made by attaching it.
  // Errors: NotFound (no such tenant); AlreadyExists: the generation is older than the newest, or was claimed
  // by somebody else, or the mode is none that the present one can become, or the tenant was deleted;
  // MaybeApplied and others: ask again, after a start it may be so or as before.
  Result<Location> set_location(Task& task, const TenantId& tenant, const LocationWish& wish);
  // As it is now. Detached: nothing is here.
  Location location(const TenantId& tenant) const;
  // All but those that are Detached.
  std::map<TenantId, Location> locations() const;

  Secondaries& secondaries() { return secondaries_; }
  const Secondaries& secondaries() const { return secondaries_; }

  // Idempotent. Errors: AlreadyExists (it was deleted, or another pageserver has it); those of the object
  // store.
  Status create_tenant(Task& task, const TenantId& tenant);
  // Durable when it returns, and in force. Errors: NotFound; those of the object store: where the put was not
  // answered, the next start may find either one.
  Status configure(Task& task, const TenantId& tenant, const TenantConfig& config);
  // A root timeline from a data directory on this node. AlreadyExists unless it is the same again, or where
  // it was deleted.
  Result<std::shared_ptr<Timeline>> create_root(Task& task, const TenantTimelineId& id,
                                                const std::string& data, uint64_t system_id = 0);
  // A branch; no LSN: at the ancestor's end. Metadata only. The LSN is moved down to where a record
  // can start. Idempotent for the same arguments. Errors: NotFound, Invalid (the LSN is not there
  // yet, before the history, or below the GC cutoff), AlreadyExists (with another history, or it was
  // deleted), Unavailable (its ancestor's deletion may have begun).
  Result<std::shared_ptr<Timeline>> branch(Task& task, const TenantTimelineId& id, const TimelineId& ancestor,
                                           std::optional<Lsn> lsn);

  // Makes a branch a root: what it reads from ancestors is its own from then on, and nothing holds them on
  // its behalf. It and its branches are loaded anew: connections end. Ok at once for a root. Errors:
  // NotFound; Unavailable says what to wait for; MaybeApplied: the next start may find it done.
  Result<std::shared_ptr<Timeline>> detach_ancestor(Task& task, const TenantTimelineId& id);

  // Offloads a timeline: it stays in the object store, costs nothing here, is not served (Stale says so), and
  // takes part in no GC. Its connections end, and leases. Its branches must have been archived before.
  // Durable when it returns. Idempotent. Errors: NotFound; Stale names branches that are in the way;
  // Unavailable; MaybeApplied: the next start may find it done.
  Status archive(Task& task, const TenantTimelineId& id);
  // The way back: loaded when it returns. Stale: its ancestor is archived. Other errors as of archive(): it
  // stays as it was, or is there later.
  Result<std::shared_ptr<Timeline>> unarchive(Task& task, const TenantTimelineId& id);
  struct Archived {
    TimelineIndex index;  // without its layers
    uint64_t bytes = 0;   // of all of them
    size_t layers = 0;
    std::string key;        // of its index
    uint64_t sequence = 0;  // of the last index that was put, or may have been
    bool settled = false;   // no index that comes late can say otherwise
    LsnHolds::Hold hold;    // in the first ancestor that is not archived, if it reads from there
    bool files_left = true;
    // It is going to be loaded.
    bool returning = false;
  };
  const std::map<TenantTimelineId, Archived>& archived() const { return archived_; }

  // Ok: it is deleted for good, and nobody is served any more, while files and objects go (run_deletions()).
  // Errors: NotFound (there is none, or it was deleted and nothing is left of it); Stale, with their ids: a
  // timeline with branches, or with one that may be; Unavailable: nothing was done. After other errors it may
  // have begun: then it is gone on with, and no branch is made meanwhile.
  Status remove(Task& task, const DeletionTarget& target);
  bool was_deleted(const DeletionTarget& target) const { return deletions_.marked(target); }
  // Goes on with deletions until the task is cancelled.
  Status run_deletions(Task& task);

  // NotFound names the tenant or timeline; Unavailable: it exists, but is not loaded; Stale: it is archived;
  // Corrupt, Unsupported: it exists, but cannot be loaded.
  Result<std::shared_ptr<Timeline>> find(const TenantTimelineId& id) const;
  struct Tenant {
    Generation generation;
    Generation asked;         // Location::asked
    bool claimed_now = true;  // `generation`, by this life
    bool was_secondary = false;
    Result<TenantConfig> config = TenantConfig();  // Unavailable: not read yet; Corrupt: cannot be
    std::shared_ptr<ExtensionRedo> extensions;
    std::shared_ptr<TenantGc> gc = std::make_shared<TenantGc>();
    std::string config_key;        // of `config` in the object store; empty: it has the default
    uint64_t config_sequence = 0;  // of the last put in this life
    std::map<TimelineId, std::shared_ptr<Timeline>> timelines;
  };
  const std::map<TenantId, Tenant>& all() const { return tenants_; }
  // NotFound names the tenant.
  Result<const Tenant*> find(const TenantId& id) const;

 private:
  void add(const TenantId& id, const Location& location);
  Claim claim(LocationMode mode, Generation asked) const { return {services_.node, life_, mode, asked}; }
  std::string location_file(const TenantId& id) const;
  std::string tenant_folder(const TenantId& id) const { return folder_ + "/tenants/" + to_string(id); }
  // Detached: there is no file.
  Status write_location(Task& task, const TenantId& id, const Location& location);
  Result<Location> read_location(Task& task, const TenantId& id);
  Result<Location> location_at_start(Task& task, const TenantId& id, Generation newest);
  // Claims for what `location` says, and what is then listed of the tenant.
  Status attach_anew(Task& task, const TenantId& id, Location location, Generation newest);
  Status attach_listed(Task& task, const TenantId& id, const Location& location, const RemoteTenant& listed);
  Result<Location> attach_here(Task& task, const TenantId& id, const LocationWish& wish);
  Result<Location> make_stale(Task& task, const TenantId& id, const LocationWish& wish);
  Result<Location> stop_serving(Task& task, const TenantId& id, LocationMode mode);
  Status give_up_claim(Task& task, const TenantId& id, Location& location);
  Status change_mode(Task& task, const TenantId& id, LocationMode mode);
  void apply_mode(const TenantId& id, LocationMode mode);
  // Its timelines, as they are, go out of use. Does not suspend.
  void let_go(const TenantId& id);
  bool any_in_use(const TenantId& id) const;
  // Files of tenants that are not served any more. REQUIRES: changing_ is held.
  Status clear_departed(Task& task);
  // Ok where changes of a tenant may be made here. Stale says how it is.
  Status check_changeable(const TenantId& id) const;
  Status load_pending(Task& task);
  static void set_config(Tenant& tenant, const Result<TenantConfig>& config, const std::string& key);
  Status read_configs(Task& task);
  // Tells GC of each tenant whether all its branches are known.
  void note_loaded();
  std::string folder_of(const TenantTimelineId& id) const;
  Status attach_tenant(Task& task, const TenantId& tenant, const RemoteTenant& remote);
  Status delete_claimed(Task& task, const TenantId& tenant, Generation generation);
  using Indexes = std::map<TenantTimelineId, TimelineIndex>;  // that were read already
  Result<bool> try_attach(Task& task, const TenantTimelineId& id, Indexes& indexes);
  Status attach_timeline(Task& task, const TenantTimelineId& id, const std::string& key, Indexes& indexes);
  Status load(Task& task, const TenantTimelineId& id, const TimelineIndex& remote, const std::string& key,
              Generation generation);
  bool was_never_made(Timeline& ancestor, const TimelineIndex& branch);
  Result<TimelineIndex> choose_index(Task& task, const std::string& folder, const TimelineIndex& remote);
  std::shared_ptr<Timeline> make(const TenantTimelineId& id, std::shared_ptr<Timeline> ancestor);
  Status begin(Task& task, std::shared_ptr<Timeline> timeline);
  Status finish_creation(Task& task, const TenantTimelineId& id);
  // Unavailable while there is no room for another creation, and none of those begun can be finished.
  Status make_room(Task& task);
  // AlreadyExists where the id was deleted.
  Status check_not_marked(const DeletionTarget& target) const;
  Status may_remove(Task& task, const DeletionTarget& target);
  Result<std::vector<TimelineId>> branches_of(Task& task, const TenantTimelineId& id);
  Result<bool> is_branch_of(Task& task, const TenantTimelineId& pending, const TimelineId& ancestor);
  std::vector<std::shared_ptr<Timeline>> take_out(const DeletionTarget& target);
  Status may_load_anew(Task& task, const std::shared_ptr<Timeline>& timeline);
  Result<std::shared_ptr<Timeline>> load_now(Task& task, const TenantTimelineId& id);
  bool is_archived(const TenantTimelineId& id) const;
  void note_archived(const TimelineIndex& index, const std::string& key, bool settled);
  Status put_archived_at(Task& task, Archived& archived, std::optional<WallTime> at);
  // Holds for archived timelines what they read of others, as these are now. Does not suspend.
  void hold_for_archived();
  LsnHolds::Hold hold_for(const TimelineIndex& index);
  Status clear_archived(Task& task);
  std::vector<TimelineId> archived_branches_of(const TenantTimelineId& id) const;
  static std::string names_of(const std::vector<TimelineId>& timelines);  // "ID, ID"
  void load_anew(const std::shared_ptr<Timeline>& timeline);
  void release_outgoing();
  // To be loaded anew, and somebody uses it as it was.
  bool still_in_use(const TenantTimelineId& id) const;
  Result<std::shared_ptr<Timeline>> import(Task& task, const TenantTimelineId& id, const std::string& data,
                                           uint64_t system_id);

  Services& services_;
  TimelineOptions options_;
  std::string folder_;
  Started started_;
  uint64_t life_;
  std::map<TenantId, Tenant> tenants_;
  std::map<TenantId, Location> secondary_;
  Secondaries secondaries_;                          // of these, once nobody uses what was attached before
  std::map<TenantId, LocationMode> departed_;        // were attached; what their files are to be
  std::map<TenantTimelineId, std::string> pending_;  // to be loaded yet; keys of their indexes
  std::map<TenantId, std::string> pending_configs_;  // to be read yet; their keys
  std::map<TenantTimelineId, Error> damaged_;        // exist, and cannot be loaded
  std::map<TenantTimelineId, Archived> archived_;
  // To be loaded anew once nobody uses what was loaded before.
  struct Outgoing {
    std::shared_ptr<Timeline> timeline;  // null: nobody does
    uint64_t sequence = 0;               // of the last index it made
    bool from_its_index = false;  // the one that is loaded in its place: where its last upload left off
  };
  std::map<TenantTimelineId, Outgoing> outgoing_;
  // Whose first upload has failed: the object store may have them, or may get them late, so that an id is
  // theirs. At most kUndecidedMax.
  std::map<TenantTimelineId, std::shared_ptr<Timeline>> undecided_;
  Deletions deletions_;
  std::set<DeletionTarget> unmarked_;  // whose mark was put without an answer: to be put again
  Mutex changing_;
};

}  // namespace argon::pageserver
