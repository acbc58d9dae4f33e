#include "scenarios/oracle_remote.h"

#include <algorithm>

#include "core/objstore/keys.h"
#include "core/pageserver/timeline.h"
#include "core/pageserver/timeline_index.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/timeline.h"
#include "scenarios/oracle_safekeeper_disk.h"

namespace argon::scenarios {
namespace {

constexpr Duration kInterval = Duration::milliseconds(500);

class RemoteCheck {
 public:
  RemoteCheck(Cluster& cluster, const Line& line) : cluster_(cluster), line_(line) {}

  Status run() {
    TRY(check_index());
    const auto& safekeepers = cluster_.safekeepers();
    for (size_t i = 0; i < safekeepers.size(); i++) {
      auto control = SafekeeperDisk{*safekeepers[i], NodeId(i + 1), line_.id}.control();
      if (control.ok()) TRY(check_backup(*safekeepers[i], control->backup));
    }
    return check_wal();
  }

  Status claimed(std::string_view key, uint64_t value) {
    if (key == pageserver::remote_claim_key(line_.id)) return check_index();
    const auto& safekeepers = cluster_.safekeepers();
    for (size_t i = 0; i < safekeepers.size(); i++)
      if (key == safekeeper::claim_key(NodeId(i + 1), line_.id, "backup"))
        return check_backup(*safekeepers[i], Lsn(value));
    return {};
  }

 private:
  // Before the timeline was made there is none, and nothing to check.
  Status check_index() {
    const auto& objects = cluster_.layers().objects();
    std::string prefix = objstore::timeline_prefix(line_.id);
    auto after = objects.upper_bound(prefix + "index-~");
    if (after == objects.begin() || !std::prev(after)->first.starts_with(prefix + "index-")) return {};
    const auto& [key, bytes] = *std::prev(after);
    TRY_ASSIGN(pageserver::TimelineIndex index, pageserver::decode_index(bytes, key));
    index_end_ = index.disk_consistent;
    const auto& claims = cluster_.run().world().durable_claims();
    auto told = claims.find(pageserver::remote_claim_key(line_.id));
    if (told != claims.end() && index.disk_consistent.value < told->second)
      return Error(Code::Corrupt, "the pageserver told that all up to " + to_string(Lsn(told->second)) +
                                      " is in the object store; " + key + " ends at " +
                                      to_string(index.disk_consistent));
    for (const pageserver::TimelineIndex::Layer& layer : index.layers) {
      const Bytes* there = cluster_.layers().find(prefix + to_string(layer.name));
      if (there == nullptr || there->size() != layer.size)
        return Error(Code::Corrupt, key + " names " + to_string(layer.name) + ", which is " +
                                        (there == nullptr ? "not there" : "cut short"));
    }
    return {};
  }

  bool in_store(uint64_t segment) {
    const Bytes* there =
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

  Status check_wal() {
    Lsn acknowledged = line_.reference->last_acknowledged();
    if (!index_end_.valid() || acknowledged <= std::max(index_end_, line_.branch_point)) return {};
    Lsn from = std::max(index_end_, line_.branch_point);
    for (uint64_t segment = pg::segment_number(from); segment <= pg::segment_number(acknowledged - 1);
         segment++) {
      bool there = in_store(segment);
      for (sim::Machine* machine : cluster_.safekeepers())
        there = there || machine->storage().find(cluster_.wal_folder(line_) + "/" +
                                                 pg::segment_file_name(segment)) != nullptr;
      if (!there)
        return Error(Code::Corrupt, "segment " + pg::segment_file_name(segment) +
                                        " is nowhere; layers end at " + to_string(index_end_) +
                                        ", acknowledged is up to " + to_string(acknowledged));
    }
    return {};
  }

  Cluster& cluster_;
  const Line& line_;
  Lsn index_end_;
};

}  // namespace

namespace {

void report(Cluster& cluster, const Line& line, const Status& whole) {
  if (!whole.ok())
    cluster.run().fail("the object store holds what it is said to",
                       line.name + ": " + whole.error().message());
}

void look(Cluster& cluster) {
  for (const auto& line : cluster.lines()) report(cluster, *line, RemoteCheck(cluster, *line).run());
  cluster.run().world().after(kInterval, [&cluster] { look(cluster); });
}

}  // namespace

void watch_remote(Cluster& cluster) {
  cluster.run().world().on_claim = [&cluster](std::string_view key, uint64_t value) {
    bool remote = key.starts_with("pageserver ") || key.ends_with(" backup");
    if (!remote) return;
    for (const auto& line : cluster.lines())
      report(cluster, *line, RemoteCheck(cluster, *line).claimed(key, value));
  };
  look(cluster);
}

}  // namespace argon::scenarios
