#include "core/safekeeper/spare_segment.h"

#include "core/env/io.h"
#include "core/env/points.h"
#include "core/pg/wal_page.h"

namespace argon::safekeeper {
namespace {

constexpr size_t kPiece = 256 * 1024;
// Less is left to the WAL that there is.
constexpr uint64_t kSpaceLeft = 4 * pg::kWalSegmentSize;

}  // namespace

SpareSegment::SpareSegment(Disk& disk, const std::string& directory)
    : disk_(disk), directory_(directory), path_(join_path(directory, kSpareName)) {}

Status SpareSegment::make(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, making_));
  if (ready_) return {};
  TRY_ASSIGN(SpaceInfo space, disk_.space(task, directory_));
  if (space.available < kSpaceLeft) return {};
  Uninterruptible whole(task);
  Status removed = disk_.unlink(task, path_);
  if (!removed.ok() && !removed.is(Code::NotFound)) return removed;
  Status filled = fill(task);
  if (filled.ok())
    ready_ = true;
  else
    ignore_result(disk_.unlink(task, path_));  // the error is the one that counts
  return std::move(filled).with("make " + path_);
}

Status SpareSegment::fill(Task& task) {
  TRY_ASSIGN(std::unique_ptr<File> file, disk_.open(task, path_, OpenMode::Create));
  const Bytes zeros(kPiece);
  for (uint64_t at = 0; at < pg::kWalSegmentSize; at += kPiece) TRY(write_all_at(task, *file, at, zeros));
  return file->fdatasync(task);
}

Result<bool> SpareSegment::take(Task& task, const std::string& segment_path) {
  if (!ready_) return false;
  ready_ = false;
  Status renamed = disk_.rename(task, path_, segment_path);
  if (renamed.is(Code::NotFound)) return false;
  TRY(renamed);
  task.env().probe("safekeeper.segment-made-ahead"_probe);
  return true;
}

Status SpareSegment::drop(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, making_));
  ready_ = false;
  Status removed = disk_.unlink(task, path_);
  return removed.is(Code::NotFound) ? Status() : removed;
}

}  // namespace argon::safekeeper
