// PosixDisk: files of the real world.
//
// What the page cache answers at once runs on the loop (reads with RWF_NOWAIT, small writes, looking
// at names); what may wait for the device (cold and large reads, large writes, syncs, changes of
// names) runs on the pool. Operations run to their end even in a cancelled task.

#pragma once

#include "core/env/disk.h"
#include "daemons/posix/thread_pool.h"

namespace argon::posix {

class PosixDisk final : public Disk {
 public:
  // Both outlive the disk and its files.
  PosixDisk(PosixReactor& reactor, ThreadPool& pool) : reactor_(reactor), pool_(pool) {}

  Result<std::unique_ptr<File>> open(Task& task, const std::string& path, OpenMode mode) override;
  Status rename(Task& task, const std::string& from, const std::string& to) override;
  Status unlink(Task& task, const std::string& path) override;
  Status make_dir(Task& task, const std::string& path) override;
  Status remove_dir(Task& task, const std::string& path) override;
  Result<std::vector<DirEntry>> list(Task& task, const std::string& path) override;
  Result<FileInfo> stat(Task& task, const std::string& path) override;
  Status sync_dir(Task& task, const std::string& path) override;
  Result<SpaceInfo> space(Task& task, const std::string& path) override;

 private:
  PosixReactor& reactor_;
  ThreadPool& pool_;
};

}  // namespace argon::posix
