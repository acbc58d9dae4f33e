// Cluster: three safekeepers, a broker, a pageserver, an object store and model computes, set up in a
// world, and what an operator does with them.
//
// Knobs (layer sizes, timeouts, intervals) are drawn from the run's seed, often at their extremes.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/compute/model/model_compute.h"
#include "core/consensus/proposer.h"
#include "core/objstore/object_store.h"
#include "core/pageserver/config.h"
#include "core/pg/made_datadir.h"
#include "core/safekeeper/config.h"
#include "core/safekeeper/delete_everywhere.h"
#include "core/safekeeper/migration.h"
#include "scenarios/oracle_pages.h"
#include "scenarios/scenario.h"
#include "sim/bucket.h"

namespace argon::scenarios {

// One line of history, what it must be, and who writes to it.
struct Line {
  TenantTimelineId id;
  std::string name;
  Lsn branch_point;  // where it begins
  std::unique_ptr<compute::ReferenceModel> reference;
  // As it was at the branch point; null for the root, and where the branch point may go.
  std::unique_ptr<compute::ReferenceModel> at_branch;
  std::unique_ptr<PageOracle> events;
  std::vector<std::string> computes;  // who writes to it
  // Of real servers: when, of the world's time, the first compute in a term was seen to be elected.
  std::map<Term, Duration> elected;
  const Line* parent = nullptr;
  compute::RowWorkload* rows = nullptr;  // what its computes' clients do with rows, if anything
};

// What a scenario wants otherwise than drawn.
struct ClusterKnobs {
  bool small_layers = false;              // flushes and compactions all the time
  std::optional<Duration> store_latency;  // mean of each half of an object store's call
  std::optional<Duration> pause;          // mean, of each task of a compute between what it does
  uint64_t spare_safekeepers = 0;         // that are no members at first
  bool gc = false;                        // garbage collection with a short history; often all the time
  bool rival_pageserver = false;          // another one over the same object store, which is off at first
  bool second_pageserver = false;  // another one over the same object store, which nobody uses at first
  bool postgres = false;           // begins with a real server's data directory, for real servers
  // A real server's history has images of 8 MB. On several lines a run's memory holds a few: they are made
  // more seldom, and go sooner.
  bool few_images = false;
  uint64_t layer_bytes_max = 0;  // of a pageserver's disk, where less was not drawn; 0: any
  bool s3 = false;               // daemons reach the object store by S3's protocol, over the network
};

// What the tenant's configuration says of history.
struct GcKnobs {
  Duration pitr_interval;
  uint64_t horizon = 0;  // bytes
  Duration period;
  Duration lease;
  Duration heatmap = {};  // zero: there are no heatmaps
};

class Cluster {
 public:
  explicit Cluster(Run& run, ClusterKnobs knobs = {});

  // Boots everything but computes, and makes the root timeline. False (and the run failed) where that
  // does not work in a healthy world.
  bool set_up();
  // A compute machine for the line; it writes as soon as it is elected.
  void add_compute(Line& line, Duration supervise);
  // A machine for another kind of compute of the line, off, named and counted as those; and what its proposer
  // is to know.
  sim::Machine& add_compute_machine(Line& line, Duration supervise);
  consensus::ProposerConfig proposer(const Line& line) const;
  // Asks the pageserver for a branch of `parent` at an acknowledged commit, until it is there; then
  // computes may be added. Null where the limit passed, or GC was first everywhere.
  Line* branch(Line& parent, Duration limit);
  // The same of a branch, at an acknowledged commit of what that is of, below where it begins: all that the
  // new one reads is of ancestors. Null as well where there is no such commit.
  Line* branch_below_its_beginning(Line& parent, Duration limit);
  // Branches that were asked for without an answer: they may be there, or may come.
  const std::vector<TimelineId>& unanswered_branches() const { return unanswered_; }
  // Nothing is promised of the line any more, nor looked at at the end. Its computes go on.
  void give_up(const Line& line);
  // How it is deleted, in all parts; none: the whole tenant.
  safekeeper::DeletionRequest deletion(std::optional<TimelineId> timeline) const;

  // Asks the pageserver for a lease of the LSN, until it is given or refused; false where it was refused, or
  // the task's deadline passed.
  Result<bool> lease(Task& task, const Line& line, Lsn lsn);
  // The line was refused at an LSN because of GC: fails the run where the LSN is in the PITR window (unless
  // wall clocks were wrong).
  void history_gone(const Line& line, Lsn lsn, const std::string& to);
  const std::optional<GcKnobs>& gc() const { return gc_; }
  sim::Machine& rival_pageserver() { return *run_.world().find_machine("pageserver-2"); }
  // From now on operators and computes that start use this one: pageserver(), pages(), management().
  void use_pageserver(const sim::Machine& machine);

  // Called for each new line, and for the root at once: what is done with rows there.
  void on_line(std::function<compute::RowWorkload*(const Line&)> rows_of);

  Run& run() { return run_; }
  std::vector<std::unique_ptr<Line>>& lines() { return lines_; }
  sim::Machine& pageserver() { return *run_.world().find_machine(pages_.host); }
  // Members and others.
  std::vector<sim::Machine*> safekeepers();
  // Those decided last; those that timelines are made with, where none were.
  Result<consensus::Configuration> decided_members(Task& task, const Line& line);
  // How a change of members is asked for; its target is the caller's.
  safekeeper::Migration migration(const Line& line);
  // Asks for it until it is done, and those left out have left. False (and the run failed) where the limit
  // passed.
  bool change_members(const Line& line, const std::vector<NodeId>& members, Duration limit);
  // The members of all lines, from now on and for new ones.
  void set_members(const std::vector<NodeId>& members);
  size_t member_count() const { return members_.members.size(); }
  const sim::Bucket& layers() const { return layers_; }
  // Pageservers remove layers from their disks by themselves.
  bool evicts() const { return evicts_; }
  // Where all safekeepers put full segments.
  const sim::Bucket& wal_backup() const { return *wal_backups_.front(); }
  sim::BucketStore wal_store() { return sim::BucketStore(*wal_backups_.front(), store_latency_); }
  // A machine that no fault hits: where checks run.
  sim::Machine& operators() { return *run_.world().find_machine("operator"); }
  const Address& pages() const { return pages_; }
  const Address& management() const { return management_; }
  const TenantId& tenant() const { return tenant_; }
  // Where faults may hit.
  const std::vector<std::string>& nodes() const { return nodes_; }
  std::string wal_folder(const Line& line) const;
  // Heals a majority of safekeepers, broker, pageserver and one compute a line, and breaks the rest for good.
  void heal_core();
  // Lets faults begin on all nodes. A pageserver's disk is a cache, and may be lost; layers that can be made
  // anew may rot on it.
  void start_faults(std::vector<faults::Kind> never = {});

 private:
  // A layer file on the pageserver's disk, of a timeline that has an index in the object store: what is not
  // there comes from WAL again.
  bool is_layer_that_can_be_made_anew(const std::string& path) const;
  sim::Machine& add(const std::string& name);
  void add_s3();
  // A daemon's way to the bucket: the simulated store itself, or S3's protocol to the machine "s3".
  std::unique_ptr<objstore::ObjectStore> way_to(Env& env, sim::Bucket& bucket);
  void add_safekeeper(uint64_t number, bool member);
  void add_pageserver();
  Line* branch_at(Line& parent, Lsn at, Duration limit, bool& gone);
  void add_rival_pageserver(pageserver::PageserverConfig config);
  void boot_pageserver(sim::Machine& machine, const pageserver::PageserverConfig& config);
  Status configure_gc(Task& task);
  void check_local(const sim::Machine& pageserver);
  Status import_root(Task& task);

  Run& run_;
  ClusterKnobs knobs_;
  std::function<compute::RowWorkload*(const Line&)> rows_of_;
  pg::MadeDataDir data_;
  uint64_t system_id_;
  TenantId tenant_;
  Address pages_ = Address::tcp("pageserver", 64000);
  Address management_ = Address::tcp("pageserver", 9898);
  Duration store_latency_;
  Duration s3_patience_;
  uint64_t s3_part_bytes_ = 0;
  size_t s3_page_max_ = 0;
  bool s3_encrypted_ = false;
  std::optional<GcKnobs> gc_;
  bool evicts_ = false;
  sim::Bucket layers_;
  std::vector<std::unique_ptr<sim::Bucket>> wal_backups_;
  consensus::Configuration members_;
  std::map<NodeId, safekeeper::MigrationNode> all_safekeepers_;
  std::vector<std::unique_ptr<Line>> lines_;
  std::vector<std::unique_ptr<Line>> given_up_;  // their computes may still run
  std::vector<TimelineId> unanswered_;
  std::vector<std::unique_ptr<compute::ModelComputeConfig>> computes_;
  size_t machines_for_computes_ = 0;
  std::vector<std::string> nodes_;
};

}  // namespace argon::scenarios
