// Deleting a timeline, or a tenant, in all parts of a cluster; carried out by whoever asks for it.
//
// The pageserver comes first, since only it can refuse: a timeline with branches is not deleted. Once its
// mark is durable (core/pageserver/deletion.h) nobody can read the timeline or branch off it, and then each
// safekeeper leaves a tombstone (tombstone.h): it takes no WAL any more, whoever sends it. Each of them
// clears away its own files and objects. So this may be stopped at any point and called again, by anybody:
// what was begun is finished.

#pragma once

#include <functional>
#include <map>

#include "core/safekeeper/tombstone.h"

namespace argon::safekeeper {

struct DeletionRequest {
  Tombstone what;
  Address pageserver;                     // its management interface
  std::map<NodeId, Address> safekeepers;  // the same of all there are, members or not
  // Goes on where the pageserver has never heard of it. Without that, a pageserver that looks at another
  // object store than it should would have WAL deleted.
  bool unknown_too = false;
  Duration poll = Duration::milliseconds(200);
  // A line of progress; may be null.
  std::function<void(const std::string&)> say = nullptr;
  // Called when the pageserver (none), or a safekeeper, has said that it is deleted for good there.
  std::function<void(std::optional<NodeId> by)> acknowledged = nullptr;
};

// Goes on until nothing is left; give the task a Deadline. Errors: Stale (it has branches) and NotFound (it
// does not exist), both with nothing changed; TimedOut, with what it waits for.
Status delete_everywhere(Task& task, const DeletionRequest& request);

}  // namespace argon::safekeeper
