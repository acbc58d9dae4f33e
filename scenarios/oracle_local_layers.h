// Oracle: what the pageserver's index on its disk names is there, whole, whenever it starts from it.
//
// Of an index that is ahead of the object store's newest, and of layers that the store does not have yet. The
// pageserver could make them anew from WAL, and does where a disk rots; but a crash must never make it do so,
// and nothing else would notice that one did.
//
// Reads the disk directly: no suspension, no event.

#pragma once

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

// REQUIRES: no bit of a file has rotted in this run.
Status check_local_layers(const sim::Machine& pageserver, const TenantTimelineId& id,
                          const sim::Bucket& store);

}  // namespace argon::scenarios
