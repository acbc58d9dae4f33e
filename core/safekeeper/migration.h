// Moving a timeline to other safekeepers while commits go on: what carries out core/consensus/membership.h.
//
// Each configuration is decided by an object that is put once, "wal/TENANT/TIMELINE/members-GENERATION" (8
// hex digits, JSON); whoever put it, everybody carries it out. So this may be stopped at any point and called
// again, by anybody, also by two at once: what was decided is finished first. Safekeepers never read these
// objects.
//
//   1. The joint configuration is decided, and told to all its members; those that join copy the log of a
//   peer.
//   2. When the new members have all that the old ones may have committed, the final configuration is decided
//   and told.
//   3. When a majority of the new members has it, those that are left out are told, and remove their WAL.

#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/consensus/membership.h"
#include "core/env/env.h"
#include "core/objstore/object_store.h"

namespace argon::safekeeper {

struct MigrationNode {
  consensus::Member member;
  Address http;
};

struct Migration {
  TenantTimelineId id;
  std::map<NodeId, MigrationNode> nodes;  // all safekeepers, those that are left out as well
  std::vector<NodeId> target;             // who the members shall be
  Duration poll = Duration::milliseconds(200);
  // A line of progress; may be null.
  std::function<void(const std::string&)> say = nullptr;
};

struct Migrated {
  consensus::Configuration configuration;  // in force
  std::vector<NodeId> not_removed;  // left out, but did not say that they removed their WAL: call again
};

// The configuration that was decided last; none where none ever was (then it is generation 1, as the timeline
// was made with).
Result<std::optional<consensus::Configuration>> decided_members(Task& task, objstore::ObjectStore& store,
                                                                const TenantTimelineId& id);

// Goes on until the members are the target; give the task a Deadline. Errors: Invalid (the target),
// Unavailable (the members are not known, since no safekeeper answers), Corrupt, TimedOut with what it waits
// for, the store's.
Result<Migrated> migrate(Task& task, objstore::ObjectStore& store, const Migration& migration);

}  // namespace argon::safekeeper
