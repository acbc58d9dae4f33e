#include "scenarios/oracle_deleted.h"

#include <nlohmann/json.hpp>

#include "core/http/client.h"
#include "core/objstore/keys.h"
#include "core/pageserver/timeline_index.h"

namespace argon::scenarios {
namespace {

const char* const kOracle = "what was deleted is never served again";

std::string marks_of(const TenantId& tenant) {
  return objstore::tenant_prefix(tenant) + "deleted-";
}

std::string timelines_path(const TenantId& tenant) {
  return "/v1/tenant/" + to_string(tenant) + "/timeline";
}

class Probe {
 public:
  Probe(Task& task, Cluster& cluster, const Doomed& doomed, Random& random)
      : task_(task), cluster_(cluster), doomed_(doomed), random_(random) {}

  Result<bool> pageserver() {
    std::string path = timelines_path(doomed_.id.tenant);
    std::string root = to_string(cluster_.lines().front()->id.timeline);
    switch (random_.below(4)) {
      case 0:
        return refused("shown", call("GET", path + "/" + to_string(doomed_.id.timeline)));
      case 1:
        return refused("branched off", call("POST", path,
                                            {{"new_timeline_id", to_string(random_timeline_id(random_))},
                                             {"ancestor_timeline_id", to_string(doomed_.id.timeline)},
                                             {"ancestor_start_lsn", to_string(doomed_.lsn)}}));
      case 2:
        return refused("made again",
                       call("POST", path,
                            {{"new_timeline_id", to_string(doomed_.id.timeline)},
                             {"ancestor_timeline_id", root},
                             {"ancestor_start_lsn", to_string(cluster_.lines().front()->branch_point)}}));
      default:
        return read();
    }
  }

  Result<bool> safekeeper(NodeId id) {
    Address http = cluster_.deletion(doomed_.id.timeline).safekeepers.at(id);
    std::string path = timelines_path(doomed_.id.tenant) + "/" + to_string(doomed_.id.timeline);
    auto answer = fetch(http, "GET", path, nullptr);
    // It knows of it, and serves it no more.
    if (answer.is(Code::Stale)) return true;
    if (answer.ok() || answer.is(Code::NotFound))
      return violated("safekeeper " + to_string(id) + (answer.ok() ? " serves it" : " has forgotten it"));
    return not_answered(answer);
  }

 private:
  Result<nlohmann::json> fetch(const Address& to, const std::string& method, const std::string& path,
                               const nlohmann::json& body) {
    Deadline deadline(task_, Duration::seconds(5));
    return http::fetch_json(task_, to, method, path, body);
  }
  Result<nlohmann::json> call(const std::string& method, const std::string& path,
                              const nlohmann::json& body = nullptr) {
    return fetch(cluster_.management(), method, path, body);
  }
  Result<bool> refused(const std::string& what, const Result<nlohmann::json>& answer) {
    if (answer.ok()) return violated("it is " + what);
    if (answer.is(Code::NotFound) || answer.is(Code::AlreadyExists)) return true;
    return not_answered(answer);
  }
  Result<bool> read() {
    if (doomed_.reference == nullptr) return false;
    Deadline deadline(task_, Duration::seconds(3));
    auto pages = compute::verify_timeline(task_, task_.env(), cluster_.pages(), doomed_.id,
                                          *doomed_.reference, doomed_.lsn);
    if (pages.ok() && *pages > 0) return violated("pages of it are read");
    return not_answered(pages);
  }
  template <typename T>
  Result<bool> not_answered(const Result<T>& answer) {
    if (answer.is(Code::Cancelled)) return answer.error();
    return false;
  }
  Result<bool> violated(const std::string& what) {
    cluster_.run().fail(kOracle, doomed_.name + " was said to be deleted, but " + what);
    return true;
  }

  Task& task_;
  Cluster& cluster_;
  const Doomed& doomed_;
  Random& random_;
};

}  // namespace

std::string lost_before_the_mark(const Cluster& cluster, const Doomed& doomed) {
  const sim::Bucket& layers = cluster.layers();
  if (doomed.reference == nullptr) return {};
  if (!layers.last_key(marks_of(doomed.id.tenant) + to_string(doomed.id.timeline)).empty()) return {};
  std::string prefix = objstore::timeline_prefix(doomed.id);
  std::string key = layers.last_key(prefix + "index-");
  if (key.empty()) return doomed.name + " is not marked, but has no index any more";
  auto index = pageserver::decode_index(layers.find(key)->bytes(), key);
  if (!index.ok()) return index.error().message();
  for (const auto& layer : index->layers)
    if (layers.find(prefix + to_string(layer.name)) == nullptr)
      return doomed.name + " is not marked, but " + to_string(layer.name) + " is gone";
  return {};
}

Result<bool> probe_deleted(Task& task, Cluster& cluster, const Doomed& doomed, Random& random) {
  Probe probe(task, cluster, doomed, random);
  if (doomed.by_pageserver && random.chance({1, 2})) return probe.pageserver();
  for (NodeId id : doomed.by_safekeepers)
    if (random.chance({1, 3})) return probe.safekeeper(id);
  return false;
}

std::string left_of(Cluster& cluster, const Doomed& doomed) {
  const TenantTimelineId& id = doomed.id;
  std::string key = cluster.layers().last_key(objstore::timeline_prefix(id));
  if (key.empty()) key = cluster.wal_backup().last_key(objstore::wal_prefix(id));
  if (!key.empty()) return "object " + key;
  std::string folder = "/layers/tenants/" + to_string(id.tenant) + "/timelines/" + to_string(id.timeline);
  if (doomed.by_pageserver && cluster.pageserver().storage().find(folder) != nullptr)
    return "the pageserver's folder " + folder;
  std::string wal = "/data/" + to_string(id.tenant) + "/" + to_string(id.timeline);
  for (sim::Machine* machine : cluster.safekeepers()) {
    auto there = machine->storage().find(wal);
    if (there == nullptr) continue;
    for (const auto& [name, file] : there->entries)
      if (name != safekeeper::kTombstoneName) return machine->name() + ":" + wal + "/" + name;
  }
  return {};
}

std::string left_of_tenant(Cluster& cluster) {
  for (const auto& [key, object] : cluster.layers().objects())
    if (!key.starts_with(marks_of(cluster.tenant())) || key.size() != marks_of(cluster.tenant()).size() + 8)
      return "object " + key;
  if (cluster.wal_backup().size() != 0) return "object " + cluster.wal_backup().objects().begin()->first;
  std::string tenant = to_string(cluster.tenant());
  if (cluster.pageserver().storage().find("/layers/tenants/" + tenant) != nullptr)
    return "the pageserver's folder of it";
  for (sim::Machine* machine : cluster.safekeepers()) {
    auto there = machine->storage().find("/data/" + tenant);
    if (there == nullptr) return "not even a tombstone on " + machine->name();
    for (const auto& [name, file] : there->entries)
      if (name != safekeeper::kTombstoneName) return machine->name() + ":/data/" + tenant + "/" + name;
  }
  return {};
}

}  // namespace argon::scenarios
