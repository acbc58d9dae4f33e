// PosixEnv: the real world, for one node on one reactor (one thread).

#pragma once

#include <map>

#include "core/env/env.h"
#include "core/fiber/runtime.h"
#include "daemons/posix/disk.h"
#include "daemons/posix/network.h"
#include "daemons/posix/processes.h"

namespace argon::posix {

struct PosixOptions {
  int disk_threads = 8;     // file calls in flight beyond what the page cache answers
  int offload_threads = 0;  // CPU-heavy work at once; 0: one per core
  size_t stack_size = fiber::kDefaultStackSize;
  // Seeds every random stream; 0: from getrandom().
  uint64_t seed = 0;
  // Unix sockets of processes of this machine, by the TCP address that they are known by: tried first.
  std::map<Address, std::string> local_sockets;
};

class PosixEnv final : public Env {
 public:
  // The sink outlives the env.
  PosixEnv(LogSink& log, const PosixOptions& options);
  ~PosixEnv() override;

  Reactor& reactor() override { return reactor_; }
  Network& network() override { return network_; }
  Disk& disk() override { return disk_; }
  Processes* processes() override { return &processes_; }
  LogSink& log() override { return log_; }
  WallTime wall_now() override;
  Random& random(std::string_view stream) override;
  void secure_random(ByteSpan out) override;
  void offload(Task& task, const std::function<void()>& work) override;

  PosixReactor& posix_reactor() { return reactor_; }
  fiber::Runtime& runtime() { return runtime_; }

  // Runs body as a task until it and everything it spawned has ended; its result, or the first error
  // of a fiber beside it. REQUIRES: called from outside tasks, on the env's thread.
  Status run(std::string name, const std::function<Status(Task&)>& body);

 private:
  LogSink& log_;
  PosixReactor reactor_;
  ThreadPool disk_pool_;
  ThreadPool offload_pool_;
  PosixNetwork network_;
  PosixDisk disk_;
  PosixProcesses processes_;
  Random seed_;
  std::map<std::string, Random, std::less<>> streams_;
  WallTime wall_now_;
  uint64_t wall_turn_ = ~uint64_t{0};
  fiber::Runtime runtime_;
};

// The wall clock itself.
WallTime read_wall_clock();

}  // namespace argon::posix
