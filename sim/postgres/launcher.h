// The launcher's process (host.h). Requests and answers are a LauncherHeader and its bytes, one at a time.

#pragma once

#include <cstdint>
#include <vector>

#include "sim/postgres/host.h"

namespace argon::sim {

struct LauncherHeader {
  // Start: u64 seed, u32 the first archive (0: the plain one), u32 lane, the second archive.
  // End: answered by one byte: whether the lane was told that the server had ended.
  // Add: bytes of an archive, whose number takes the server's place. Forget: an archive.
  enum What : uint32_t { Start = 1, End, Add, Forget };
  uint32_t what = 0;
  uint32_t server = 0;
  uint32_t bytes = 0;  // behind it
};

// Serves until the other end is closed, then leaves nothing behind. `lanes`: the servers' ends. Never
// returns.
[[noreturn]] void run_launcher(int socket, std::vector<int> lanes, const PostgresFiles& files);

}  // namespace argon::sim
