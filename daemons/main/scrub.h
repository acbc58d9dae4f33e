// Scrub: everything that a state folder and the object store keep, read and checked. Nothing is written, no
// daemon is asked.
//
// The cluster may run meanwhile: what is replaced while it is read (an index, layers that left it, WAL that
// is trimmed) is looked at again, so that a finding is never the cluster's own doing. What only a running
// daemon knows is not known here: a safekeeper's WAL is held to what its control file says is committed,
// which is saved each 30 s and at an orderly stop. Endpoints' data directories are made anew at each start,
// and are not looked at.

#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/pageserver/timeline_index.h"
#include "core/safekeeper/control_file.h"
#include "core/safekeeper/tombstone.h"
#include "daemons/main/file_checks.h"
#include "daemons/main/session.h"

namespace argon::cli {

// What scrub says: findings as they come, progress now and then.
class ScrubReport {
 public:
  explicit ScrubReport(Session& session) : session_(session), next_line_(session.env().now() + kLineEvery) {}

  void finding(const std::string& file, const std::optional<TenantTimelineId>& id, const Fault& fault);
  // A file, or a piece of one, was read.
  void count(uint64_t bytes) { bytes_ += bytes; }
  void count_file() { files_++; }
  // The part of the cluster that is looked at from now on.
  void part(std::string name);
  void progress();

  size_t findings() const { return findings_.size(); }
  std::string summary() const;
  nlohmann::json json() const;

 private:
  static constexpr Duration kLineEvery = Duration::seconds(2);

  Session& session_;
  std::string part_;
  MonotonicTime next_line_;
  uint64_t files_ = 0;
  uint64_t bytes_ = 0;
  nlohmann::json findings_ = nlohmann::json::array();
};

// The object store: files of a folder, or a bucket that is seen so (store_disk.h).
struct StoreFolder {
  Disk& disk;
  std::string objects;  // the object "a/b" is objects/a/b
};

// What the object store says of a timeline, as far as it could be read.
struct ScrubbedTimeline {
  std::string folder;
  pageserver::TimelineIndex index;
  std::map<pageserver::LayerName, uint64_t> digests;  // of layers that are whole
};
using ScrubbedTimelines = std::map<TenantTimelineId, ScrubbedTimeline>;

// Timelines and tenants that are marked as deleted (core/pageserver/deletion.h).
using Deleted = std::set<safekeeper::Tombstone>;
Result<Deleted> read_marks(Task& task, const StoreFolder& store);
bool is_deleted(const Deleted& deleted, const TenantTimelineId& id);
// What is left of them, anywhere. Error: Cancelled.
Status scrub_leftovers(Task& task, Disk& disk, const Config& config, const StoreFolder& store,
                       const Deleted& deleted, ScrubReport& report);

// The object store's indexes and layers. Errors: Cancelled.
Status scrub_object_store(Task& task, const StoreFolder& store, const Deleted& deleted, ScrubReport& report,
                          ScrubbedTimelines& out);
// A pageserver's disk, beside what the object store has: of the tenants that are attached there.
Status scrub_pageserver(Task& task, Disk& disk, Session& session, const PageserverNode& node,
                        const StoreFolder& store, const ScrubbedTimelines& known, ScrubReport& report);
// WAL in the object store: each record, in segments and partial segments.
Status scrub_stored_wal(Task& task, const StoreFolder& store, const ScrubbedTimelines& known,
                        ScrubReport& report);
// What a safekeeper has of a timeline, where it is whole.
struct KeptWal {
  uint64_t safekeeper;
  std::string folder;
  safekeeper::TimelineControl control;
  std::string tail;  // the object, as a file, that holds its last segment's WAL, where it is evicted
};
using KeptWals = std::map<TenantTimelineId, std::vector<KeptWal>>;

// A safekeeper's control files and committed WAL. What it evicted is in the object store.
Status scrub_safekeeper(Task& task, Disk& disk, uint64_t safekeeper, const std::string& data,
                        const StoreFolder& store, const ScrubbedTimelines& known, const Deleted& deleted,
                        ScrubReport& report, KeptWals& out);
// Committed WAL of all safekeepers, beside one another.
Status scrub_wal_chains(Task& task, Disk& disk, const StoreFolder& store, const KeptWals& wals,
                        ScrubReport& report);

// Timelines of a folder TENANT/<between>TIMELINE, with their paths; what has another name is passed over.
Result<std::map<TenantTimelineId, std::string>> timelines_below(Task& task, Disk& disk,
                                                                const std::string& folder,
                                                                const std::string& between);

}  // namespace argon::cli
