// SimDisk: the Disk of one process, over the machine's Storage: adds time, faults and errno.
//
// Operations are not interrupted by cancellation; a deadline that passes cuts their duration short.
// What an operation changes takes effect at its end, so power loss in its midst leaves no trace of it.

#pragma once

#include "core/base/random.h"
#include "core/env/disk.h"
#include "faults/kind.h"
#include "sim/storage.h"

namespace argon::sim {

class SimEnv;

class SimDisk final : public Disk {
 public:
  explicit SimDisk(SimEnv& env);

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
  friend class SimFile;
  friend class World;
  void pause(Task& task, Duration mean);
  bool strikes(faults::Kind kind);
  Storage& storage();
  void record_name(std::string_view what, const std::string& path);

  SimEnv& env_;
  Random random_;
};

}  // namespace argon::sim
