// Which disk a safekeeper keeps a timeline on, as the object store remembers it.
//
// A safekeeper whose disk was lost does not know what it had promised: made anew, a timeline would vote as if
// it had promised nothing, and with another member that lags be a quorum without what was committed. So
// before a control file is made for the first time, an object "wal/TENANT/TIMELINE/disk-of-ID" is put that
// only one can put, with the identity of the disk in it, which lies in DATA_DIR. It goes when this safekeeper
// is no member any more.
//
// Not promised: that a disk which returned to an older image is found out.

#pragma once

#include "core/env/env.h"
#include "core/objstore/object_store.h"

namespace argon::safekeeper {

// Of the disk below `data_dir`; made, durably, where there is none yet. Suspends.
Result<std::string> disk_identity(Task& task, Env& env, const std::string& data_dir);

std::string disk_claim_key(const TenantTimelineId& id, NodeId safekeeper);

// Ok where the timeline is this disk's. Errors: Invalid (another disk's), Unavailable (nobody knows yet; ask
// again), of the store. Suspends.
Status claim_for_disk(Task& task, objstore::ObjectStore& store, const TenantTimelineId& id, NodeId safekeeper,
                      const std::string& disk);

}  // namespace argon::safekeeper
