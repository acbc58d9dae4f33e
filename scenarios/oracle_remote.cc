#include "scenarios/oracle_remote.h"

#include <algorithm>
#include <deque>

#include "core/objstore/keys.h"
#include "core/pageserver/timeline.h"
#include "core/pageserver/timeline_index.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/timeline.h"
#include "scenarios/oracle_safekeeper_disk.h"

namespace argon::scenarios {
namespace {

constexpr Duration kInterval = Duration::milliseconds(500);

// Of one line. The newest index is read again only when the bucket has changed.
class RemoteCheck {
  struct Safekeeper {
    SafekeeperDisk disk;
    std::string claim;
    std::string control_path;
    // That the following was read from; each change makes a new one.
    std::weak_ptr<const sim::Inode> control = {};
    Lsn backup = {};
    std::optional<safekeeper::TimelineControl> evicted = {};
    const sim::Blob* tail = nullptr;  // the object that was found to be its last segment
  };

 public:
  RemoteCheck(Cluster& cluster, const Line& line)
      : cluster_(cluster),
        line_(line),
        prefix_(objstore::timeline_prefix(line.id)),
        remote_claim_(pageserver::remote_claim_key(line.id)) {
    for (sim::Machine* machine : cluster.safekeepers()) {
      NodeId id(safekeepers_.size() + 1);
      SafekeeperDisk disk{*machine, id, line.id, &cluster.wal_backup()};
      safekeepers_.push_back({disk, safekeeper::claim_key(id, line.id, "backup"), disk.control_path()});
    }
  }

  const Line& line() const { return line_; }

  Status run() {
    TRY(check_index());
    for (Safekeeper& safekeeper : safekeepers_) {
      auto file = safekeeper.disk.machine.storage().find(safekeeper.control_path);
      if (file == nullptr || file != safekeeper.control.lock()) {
        auto control = safekeeper.disk.control();
        safekeeper.backup = control.ok() ? control->backup : Lsn();
        safekeeper.evicted = control.ok() && control->evicted ? std::optional(*control) : std::nullopt;
        safekeeper.control = file;
        safekeeper.tail = nullptr;
      }
      TRY(check_evicted(safekeeper));
      TRY(check_backup(safekeeper.disk.machine, safekeeper.backup));
    }
    return check_wal();
  }

  Status claimed(std::string_view key, uint64_t value) {
    if (key == remote_claim_) return check_index();
    for (const Safekeeper& safekeeper : safekeepers_)
      if (key == safekeeper.claim) return check_backup(safekeeper.disk.machine, Lsn(value));
    return {};
  }

 private:
  Status check_index() {
    if (seen_ != cluster_.layers().version()) TRY(read_index());
    if (!index_end_.valid()) return {};
    const auto& claims = cluster_.run().world().durable_claims();
    auto told = claims.find(remote_claim_);
    if (told == claims.end() || index_end_.value >= told->second) return {};
    return Error(Code::Corrupt, "the pageserver told that all up to " + to_string(Lsn(told->second)) +
                                    " is in the object store; " + index_key_ + " ends at " +
                                    to_string(index_end_));
  }

  // Before the timeline was made there is none, and nothing to check.
  Status read_index() {
    seen_ = cluster_.layers().version();
    const auto& objects = cluster_.layers().objects();
    auto after = objects.upper_bound(prefix_ + "index-~");
    if (after == objects.begin() || !std::prev(after)->first.starts_with(prefix_ + "index-")) {
      index_ = nullptr;
      index_end_ = {};
      return {};
    }
    const auto& [key, bytes] = *std::prev(after);
    if (bytes != index_) TRY(parse_index(key, bytes));
    for (const auto& [layer, size] : layers_) {
      const sim::Blob* there = cluster_.layers().find(layer);
      if (there == nullptr || there->size() != size)
        return Error(Code::Corrupt, key + " names " + layer + ", which is " +
                                        (there == nullptr ? "not there" : "cut short"));
    }
    return {};
  }

  Status parse_index(const std::string& key, const std::shared_ptr<const sim::Blob>& blob) {
    TRY_ASSIGN(pageserver::TimelineIndex index, pageserver::decode_index(blob->bytes(), key));
    index_ = blob;
    index_key_ = key;
    index_end_ = index.disk_consistent;
    layers_.clear();
    for (const pageserver::TimelineIndex::Layer& layer : index.layers)
      layers_.emplace_back(prefix_ + to_string(layer.name), layer.size);
    return {};
  }

  // Its bytes are looked at once for each object.
  Status check_evicted(Safekeeper& safekeeper) {
    if (!safekeeper.evicted) return {};
    const sim::Blob* there = cluster_.wal_backup().find(safekeeper.evicted->evicted->key);
    if (there != nullptr && there == safekeeper.tail) return {};
    safekeeper.tail = there;
    TRY(safekeeper.disk.evicted_tail(*safekeeper.evicted).with(safekeeper.disk.machine.name()));
    return {};
  }

  bool in_store(uint64_t segment) {
    const sim::Blob* there =
        cluster_.wal_backup().find(objstore::wal_prefix(line_.id) + pg::segment_file_name(segment));
    return there != nullptr && there->size() == pg::kWalSegmentSize;
  }

  // The segments below `backup`, from the timeline's first on.
  Status check_backup(const sim::Machine& machine, Lsn backup) {
    for (uint64_t segment = pg::segment_number(line_.branch_point);
         Lsn((segment + 1) * pg::kWalSegmentSize) <= backup; segment++)
      if (!in_store(segment))
        return Error(Code::Corrupt, machine.name() + " counts WAL up to " + to_string(backup) +
                                        " as backed up; segment " + pg::segment_file_name(segment) +
                                        " is not in the object store");
    return {};
  }

  // On its disk, or as what it has instead, which was looked at.
  bool keeps(const Safekeeper& safekeeper, uint64_t segment) {
    if (safekeeper.evicted)
      return pg::segment_number(safekeeper::last_segment_start(safekeeper.evicted->closed_at)) == segment;
    return safekeeper.disk.machine.storage().find(safekeeper.disk.folder() + "/" +
                                                  pg::segment_file_name(segment)) != nullptr;
  }

  Status check_wal() {
    Lsn acknowledged = line_.reference->last_acknowledged();
    if (!index_end_.valid() || acknowledged <= std::max(index_end_, line_.branch_point)) return {};
    Lsn from = std::max(index_end_, line_.branch_point);
    for (uint64_t segment = pg::segment_number(from); segment <= pg::segment_number(acknowledged - 1);
         segment++) {
      bool there = in_store(segment);
      for (const Safekeeper& safekeeper : safekeepers_) there = there || keeps(safekeeper, segment);
      if (!there)
        return Error(Code::Corrupt, "segment " + pg::segment_file_name(segment) +
                                        " is nowhere; layers end at " + to_string(index_end_) +
                                        ", acknowledged is up to " + to_string(acknowledged));
    }
    return {};
  }

  Cluster& cluster_;
  const Line& line_;
  std::string prefix_;
  std::string remote_claim_;
  std::vector<Safekeeper> safekeepers_;
  uint64_t seen_ = UINT64_MAX;  // version of the bucket that the index was looked for in
  std::shared_ptr<const sim::Blob> index_;
  std::string index_key_;
  Lsn index_end_;                                         // 0: there is no index
  std::vector<std::pair<std::string, uint64_t>> layers_;  // keys and sizes of what the index names
};

class RemoteWatch {
 public:
  explicit RemoteWatch(Cluster& cluster) : cluster_(cluster) {}

  void look() {
    for (RemoteCheck& check : checks()) report(check, check.run());
  }
  void claimed(std::string_view key, uint64_t value) {
    if (!key.starts_with("pageserver ") && !key.ends_with(" backup")) return;
    for (RemoteCheck& check : checks()) report(check, check.claimed(key, value));
  }

 private:
  // Lines are only ever added.
  std::deque<RemoteCheck>& checks() {
    while (checks_.size() < cluster_.lines().size())
      checks_.emplace_back(cluster_, *cluster_.lines()[checks_.size()]);
    return checks_;
  }
  void report(const RemoteCheck& check, const Status& whole) {
    if (!whole.ok())
      cluster_.run().fail("the object store holds what it is said to",
                          check.line().name + ": " + whole.error().message());
  }

  Cluster& cluster_;
  std::deque<RemoteCheck> checks_;
};

void look_again(Cluster& cluster, const std::shared_ptr<RemoteWatch>& watch) {
  watch->look();
  cluster.run().world().after(kInterval, [&cluster, watch] { look_again(cluster, watch); });
}

}  // namespace

void watch_remote(Cluster& cluster) {
  auto watch = std::make_shared<RemoteWatch>(cluster);
  cluster.run().world().on_claim = [watch](std::string_view key, uint64_t value) {
    watch->claimed(key, value);
  };
  look_again(cluster, watch);
}

}  // namespace argon::scenarios
