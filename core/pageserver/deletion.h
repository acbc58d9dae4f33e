// Deletions: timelines and tenants that were deleted, until nothing of them is left, and after.
//
// What is deleted is marked first, by an object that is put once and stays for ever:
// "tenants/TENANT/deleted-TIMELINE-GENERATION" for a timeline, "tenants/TENANT/deleted-GENERATION" for a
// whole tenant, with the generation of the life that put it (8 hex digits). Everything else goes after it, in
// any order, and whoever finds the mark goes on: so a deletion may stop anywhere.
//
// A mark counts where it is of the newest generation that had anything to do with the timeline: that of its
// newest index, for a tenant that of its newest index, configuration or mark of a timeline. A claim does not
// count: whoever has claimed lists the tenant before it puts anything, and may have died in between. So
// - an index, a layer or a claim that is put late, by the life that deleted or one before it, brings nothing
//   back: it is garbage, and is looked for (again after 1, 2, 4, … seconds, for two minutes, and at each
//   start);
// - a mark that is put late, by a life that nobody answered for, does not take away what a later life has
//   built on: before a branch is made its parent has an index of the present generation (Tenants::branch).
// An id that is marked is never given again.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/fiber/wait_list.h"
#include "core/pageserver/remote.h"
#include "core/pageserver/timeline.h"

namespace argon::pageserver {

// A timeline, or a tenant with all its timelines.
struct DeletionTarget {
  TenantId tenant;
  std::optional<TimelineId> timeline;

  friend auto operator<=>(const DeletionTarget&, const DeletionTarget&) = default;
};
std::string to_string(const DeletionTarget& target);  // "timeline TENANT/TIMELINE", "tenant TENANT"

// Takes what a listing says of a mark: `rest` is the key behind "tenants/TENANT/". False where it is none.
bool note_mark(RemoteTenant& tenant, std::string_view rest);

class Deletions {
 public:
  Deletions(Services& services, std::string folder) : services_(services), folder_(std::move(folder)) {}

  // Was marked, itself or with its tenant.
  bool marked(const DeletionTarget& target) const;
  // Something of it is left, as far as is known.
  bool going_on(const DeletionTarget& target) const;

  // Puts the mark. Ok: every later life sees it. Unavailable: it is not there; any other error: it may be, or
  // may come to be.
  Status mark(Task& task, const DeletionTarget& target, Generation generation);
  // It is marked durably; somebody else sees to what is left of it.
  void note(const DeletionTarget& target) { marked_.insert(target); }
  // It is marked durably: nobody is served from here on. Takes `timelines` out of use. Does not suspend.
  void begin(const DeletionTarget& target, std::vector<std::shared_ptr<Timeline>> timelines);

  // Does what is due, once. Errors other than Cancelled are logged, and tried again.
  Status work(Task& task);
  // Until something is due, or a deletion begins, or wake() is called, at most so long.
  Status wait(Task& task, Duration most);
  void wake() { begun_.notify_all(); }

 private:
  struct Job {
    std::vector<std::shared_ptr<Timeline>> timelines;  // of which somebody may still make use
    bool done = false;                                 // nothing was left; late objects are looked for
    MonotonicTime due;
    Duration pause;
  };
  Status step(Task& task, const DeletionTarget& target);
  Result<size_t> remove_objects(Task& task, const DeletionTarget& target);
  std::string prefix(const DeletionTarget& target) const;

  Services& services_;
  std::string folder_;
  std::set<DeletionTarget> marked_;
  std::map<DeletionTarget, Job> jobs_;
  WaitList begun_;
};

}  // namespace argon::pageserver
