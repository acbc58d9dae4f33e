// PosixProcesses: child processes by fork and exec, watched by pidfd.
//
// A child starts with default signal handling, nothing blocked, its own process group (a Ctrl-C at the
// terminal reaches the daemon, which then stops its children in order), and no descriptors but 0, 1, 2.

#pragma once

#include "core/env/process.h"
#include "daemons/posix/thread_pool.h"

namespace argon::posix {

class PosixProcesses final : public Processes {
 public:
  // Both outlive the processes.
  PosixProcesses(PosixReactor& reactor, ThreadPool& pool) : reactor_(reactor), pool_(pool) {}

  Result<std::unique_ptr<Process>> spawn(Task& task, const SpawnOptions& options) override;

 private:
  PosixReactor& reactor_;
  ThreadPool& pool_;
};

}  // namespace argon::posix
