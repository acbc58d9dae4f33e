// Secondaries: warm copies of tenants that other pageservers have attached.
//
// Every so often a tenant's heatmap (heatmap.h) is read, and the layers that it lists are fetched, one after
// the other, those that were read latest first, at a bounded rate, and only while there is room by the
// pageserver's bounds of its disk (eviction.h). What it does not list any more goes. A copy serves nothing; a
// tenant that becomes attached finds its layers where a timeline has them:
// tenants/TENANT/timelines/TIMELINE/.
//
// The files are what there is: a copy has no index. A file of a layer's name has the layer's bytes, checked
// when they were fetched; what rots afterwards is found by whoever reads it (layer_file.h).

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "core/fiber/scope.h"
#include "core/pageserver/layer_format.h"
#include "core/pageserver/timeline.h"

namespace argon::pageserver {

struct Heatmap;

struct SecondaryOptions {
  uint64_t bytes_per_second = 64u << 20;    // of downloads, all together
  Duration period = Duration::seconds(60);  // between two looks at a heatmap that does not say its own
  Duration retry_delay = Duration::seconds(1);
};

class Secondaries {
 public:
  Secondaries(Services& services, std::string folder);

  // From now on. Does not suspend.
  void add(const TenantId& tenant);
  // Nothing changes its files any more when it returns.
  Status remove(Task& task, const TenantId& tenant);
  // Rounds as they are due, until the task is cancelled.
  Status run(Task& task, const SecondaryOptions& options);
  // One round of a tenant. Errors: NotFound: it has no secondary location here, or there is no heatmap yet;
  // those of the object store and the disk.
  Status download(Task& task, const TenantId& tenant);
  // Asked before each download whether so many more bytes may be on the disk.
  using HasRoom = std::function<Result<bool>(Task&, uint64_t bytes)>;
  void set_room(HasRoom has_room) { has_room_ = std::move(has_room); }

  struct Progress {
    size_t layers_total = 0;  // that the heatmap lists
    uint64_t bytes_total = 0;
    size_t layers_here = 0;  // of these
    uint64_t bytes_here = 0;
  };
  // NotFound: it has no secondary location here.
  Result<Progress> progress(const TenantId& tenant) const;
  uint64_t resident_bytes() const;
  uint64_t heatmap_bytes() const;
  // Whose tenant was deleted meanwhile.
  std::vector<TenantId> deleted() const;

  // What eviction may remove.
  struct Resident {
    TenantTimelineId id;
    LayerName name;
    uint64_t size = 0;
    int64_t access_time = 0;  // seconds since 1970, as of where it is attached
  };
  std::vector<Resident> resident() const;
  // False: it is not there any more, or files are being listed.
  Result<bool> evict(Task& task, const Resident& layer);

 private:
  struct File {
    uint64_t size = 0;
    int64_t access_time = 0;
  };
  struct Copy {
    TenantId tenant;
    bool listed = false;   // `here` is what the disk has
    bool tidying = false;  // somebody walks through `here`, and suspends
    std::map<TimelineId, std::map<LayerName, File>> here;
    std::map<TimelineId, std::map<LayerName, File>> wanted;  // by the last heatmap
    Generation generation;                                   // of that one
    Duration period;
    MonotonicTime due;
    bool deleted = false;
    Mutex busy;
    Scope* round = nullptr;  // that holds `busy`
  };
  std::string folder_of(const TenantTimelineId& id) const;
  Status round(Task& task, Copy& copy);
  Status list(Task& task, Copy& copy);
  Status list_timeline(Task& task, Copy& copy, const TimelineId& timeline);
  Status read_heatmap(Task& task, Copy& copy);
  Status remove_unwanted(Task& task, Copy& copy);
  Status fetch_missing(Task& task, Copy& copy);
  Result<bool> fetch(Task& task, Copy& copy, const TimelineId& timeline, const LayerName& name);

  Services& services_;
  std::string folder_;
  SecondaryOptions options_;
  HasRoom has_room_;
  std::map<TenantId, std::shared_ptr<Copy>> copies_;
  WaitList added_;
  Counter& heatmaps_;
  Counter& layers_;
};

}  // namespace argon::pageserver
