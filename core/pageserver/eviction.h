// Eviction: keeps the layers that are on a pageserver's disk within its bounds.
//
// The disk is a cache of the object store. A round looks at the layers of all timelines and removes the files
// of those that were read longest ago, as many as are too much by one of two bounds: bytes of layers that the
// operator allows, and bytes that stay free on the disk. Only what is in the object store goes; a read of it
// fetches it again. Warm copies (secondary.h), which nobody reads, go before what is served. By the first
// bound nothing goes that was read within `in_use`: else what is in use, and larger than the bound, were
// fetched for every page, and a read that is given up before all its layers are here would find the first of
// them gone when it is tried again.
//
// Not promised: that the bounds hold at every moment. Layers that are not uploaded yet count, and stay; a
// read fetches what it needs.

#pragma once

#include <string>
#include <vector>

#include "core/pageserver/tenants.h"

namespace argon::pageserver {

struct EvictionOptions {
  uint64_t layer_bytes_max = 0;         // of all layers on the node's disk; 0: no bound
  uint64_t disk_free_min = 1ull << 30;  // bytes; 0: no bound
  Duration period = Duration::seconds(10);
  Duration in_use = Duration::seconds(60);  // longer than a read that has to fetch its layers may take
};

struct EvictionResult {
  size_t layers = 0;
  uint64_t bytes = 0;
};

class Eviction {
 public:
  // `folder` is on the disk that the layers are on.
  Eviction(Services& services, Tenants& tenants, std::string folder, const EvictionOptions& options);

  // Evicts by the options, and at least `bytes` where there are as many that can go. Errors: of the disk.
  Result<EvictionResult> evict(Task& task, uint64_t bytes = 0);
  // So many more bytes are within the bounds.
  Result<bool> has_room(Task& task, uint64_t bytes);
  // Rounds until the task is cancelled; errors are logged.
  Status run(Task& task);

 private:
  std::vector<LayerStore::LayerPtr> resident() const;
  // Bytes, by the two bounds.
  uint64_t too_many(const std::vector<LayerStore::LayerPtr>& layers, uint64_t more = 0) const;
  // Warm copies: so many bytes of them, those read longest ago first.
  Status evict_copies(Task& task, uint64_t much, EvictionResult& result);
  void note(uint64_t size, EvictionResult& result);
  Result<uint64_t> too_few_free(Task& task);

  Env& env_;
  Tenants& tenants_;
  std::string folder_;
  EvictionOptions options_;
  Counter& layers_;
  Counter& bytes_;
};

}  // namespace argon::pageserver
