#include "daemons/posix/posix_env.h"

#include <signal.h>
#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

namespace argon::posix {
namespace {

uint64_t draw_seed() {
  uint64_t seed = 0;
  CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

int offload_limit(int wanted) {
  return wanted > 0 ? wanted : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

WallTime read_wall_clock() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return WallTime{t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

PosixEnv::PosixEnv(LogSink& log, const PosixOptions& options)
    : log_(log),
      disk_pool_("disk", options.disk_threads),
      offload_pool_("offload", offload_limit(options.offload_threads)),
      network_(reactor_, disk_pool_, options.local_sockets),
      disk_(reactor_, disk_pool_),
      processes_(reactor_, disk_pool_),
      seed_(options.seed != 0 ? options.seed : draw_seed()),
      runtime_(*this, options.stack_size) {
  // A pipe whose reader is gone is an error of the write, not the end of the process.
  ::signal(SIGPIPE, SIG_IGN);
}

PosixEnv::~PosixEnv() = default;

WallTime PosixEnv::wall_now() {
  if (wall_turn_ != reactor_.turn()) {
    wall_turn_ = reactor_.turn();
    wall_now_ = read_wall_clock();
  }
  return wall_now_;
}

Random& PosixEnv::random(std::string_view stream) {
  auto at = streams_.find(stream);
  if (at == streams_.end()) at = streams_.emplace(std::string(stream), seed_.fork(stream)).first;
  return at->second;
}

void PosixEnv::secure_random(ByteSpan out) {
  while (!out.empty()) {
    ssize_t n = getrandom(out.data(), out.size(), 0);
    CHECK(n > 0 || errno == EINTR);
    if (n > 0) out = out.subspan(static_cast<size_t>(n));
  }
}

void PosixEnv::offload(Task& task, const std::function<void()>& work) {
  offload_pool_.run(task, reactor_, work);
}

Status PosixEnv::run(std::string name, const std::function<Status(Task&)>& body) {
  Status result;
  bool ended = false;
  runtime_.root().spawn(std::move(name), [&](Task& task) -> Status {
    result = body(task);
    ended = true;
    return result;
  });
  reactor_.run_until([&] { return runtime_.idle(); });
  CHECK(ended);
  return result;
}

}  // namespace argon::posix
