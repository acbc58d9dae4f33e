// SpareSegment: the file of a timeline's next WAL segment, made before it is needed.
//
// In a file that is a hole each fdatasync also makes the new blocks durable, by the file system's journal,
// which takes about twice the time (README, "Decisions"). So a busy timeline gets its segments from files
// whose zeros are on the disk. Whoever finds none makes a hole, and is slower.
//
// Invariants: the file gets a segment's name only once its zeros are durable; it never replaces a segment. A
// file that a crash left is worth nothing, and is removed by the next make() or drop().
//
// The caller owes one object for a directory, whatever becomes of the WalStorage there: what still fills a
// file must not do so once another has renamed it. One call of take() at a time; make() and drop() may run
// beside anything, and wait for each other.

#pragma once

#include "core/env/disk.h"
#include "core/fiber/sync.h"

namespace argon::safekeeper {

inline constexpr std::string_view kSpareName = "spare";

class SpareSegment {
 public:
  // `disk` outlives it. The file lies in `directory`.
  SpareSegment(Disk& disk, const std::string& directory);

  // Makes it, where there is none and the disk has space to spare. Errors: Io, NoSpace; there is none then.
  Status make(Task& task);
  // Gives it the name of a segment that is not there yet; false where there is none. Durable by sync_dir.
  Result<bool> take(Task& task, const std::string& segment_path);
  // Removes it, or what a former process left of one. Waits for a make() in progress.
  Status drop(Task& task);

  bool ready() const { return ready_; }

 private:
  Status fill(Task& task);

  Disk& disk_;
  const std::string directory_;
  const std::string path_;
  bool ready_ = false;
  Mutex making_;
};

}  // namespace argon::safekeeper
