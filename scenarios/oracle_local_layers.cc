#include "scenarios/oracle_local_layers.h"

#include "core/objstore/keys.h"
#include "core/pageserver/layer_format.h"
#include "core/pageserver/timeline_index.h"

namespace argon::scenarios {
namespace {

Bytes content_of(const sim::Inode& file) {
  Bytes bytes(file.size());
  file.read(0, bytes);
  return bytes;
}

bool is_whole(ByteView file, const pageserver::TimelineIndex::Layer& layer) {
  return file.size() == layer.size && pageserver::check_layer_file(file, layer.name).ok();
}

// A start goes on from the local index only where that is ahead of the object store's newest: an older one,
// as an old image of the disk brings back, names what was replaced and removed since.
Result<bool> is_ahead_of_store(const pageserver::TimelineIndex& local, const std::string& prefix,
                               const sim::Bucket& store) {
  std::string key = store.last_key(prefix + "index-");
  if (key.empty()) return false;
  TRY_ASSIGN(pageserver::TimelineIndex newest, pageserver::decode_index(store.find(key)->bytes(), key));
  return std::pair(local.generation, local.sequence) > std::pair(newest.generation, newest.sequence) &&
         local.disk_consistent >= newest.disk_consistent;
}

}  // namespace

Status check_local_layers(const sim::Machine& pageserver, const TenantTimelineId& id,
                          const sim::Bucket& store) {
  std::string prefix = objstore::timeline_prefix(id);
  std::string folder = "/layers/" + prefix;
  auto index_file = pageserver.storage().find(folder + "index");
  if (index_file == nullptr) return {};
  TRY_ASSIGN(pageserver::TimelineIndex index,
             pageserver::decode_index(content_of(*index_file), folder + "index"));
  TRY_ASSIGN(bool counts, is_ahead_of_store(index, prefix, store));
  if (!counts) return {};
  for (const pageserver::TimelineIndex::Layer& layer : index.layers) {
    std::string name = to_string(layer.name);
    if (store.find(prefix + name) != nullptr) continue;
    auto file = pageserver.storage().find(folder + name);
    if (file == nullptr) return Error(Code::Corrupt, folder + "index names " + name + ", which is not there");
    if (!is_whole(content_of(*file), layer))
      return Error(Code::Corrupt, folder + "index names " + name + ", which is torn or cut short");
  }
  return {};
}

}  // namespace argon::scenarios
