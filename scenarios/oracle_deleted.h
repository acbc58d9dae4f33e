// What must be true of a timeline whose deletion was asked for.
//
// - Before it is marked in the object store, its newest index is there, with all layers that it names: the
//   deletion may never have begun.
// - Once a part has said that it is deleted, that part serves it no more, nor lets it be made again.
// - Once all is quiet, nothing is left but the mark, and a tombstone on each safekeeper.
//
// The first reads the bucket directly: no suspension, no event.

#pragma once

#include <set>

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

struct Doomed {
  TenantTimelineId id;
  std::string name;
  const compute::ReferenceModel* reference = nullptr;  // null: never was a line
  Lsn lsn;                                             // that could be read when it was asked for
  const Doomed* branch = nullptr;                      // was made of it, after it was asked for
  bool by_pageserver = false;                          // said that it is deleted
  std::set<NodeId> by_safekeepers;
};

// Empty where it holds.
std::string lost_before_the_mark(const Cluster& cluster, const Doomed& doomed);
// Asks one of the parts that said it. Fails the run where it is served, or was made again. True: it answered.
// Errors: Cancelled.
Result<bool> probe_deleted(Task& task, Cluster& cluster, const Doomed& doomed, Random& random);
// What is left of it in the object store and on disks; empty: nothing. One that the pageserver has not said
// to be deleted never was: what its creation has left on the pageserver's disk is no timeline's.
std::string left_of(Cluster& cluster, const Doomed& doomed);
// The same of the whole tenant.
std::string left_of_tenant(Cluster& cluster);

}  // namespace argon::scenarios
