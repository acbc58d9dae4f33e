// The launcher's process (host.h). Requests and answers are a LauncherHeader and its bytes, one at a time.

#pragma once

#include <cstdint>

#include "sim/postgres/host.h"

namespace argon::sim {

struct LauncherHeader {
  enum What : uint32_t { Start = 1, Run, End, Add };
  uint32_t what = 0;
  uint32_t server = 0;
  uint32_t bytes = 0;  // behind it. Start: u64 seed, u64 bytes of the first archive (0: the plain one), two
                       // archives; Run: the frame's items; answers: the same
};

// Serves until the other end is closed, then leaves nothing behind. Never returns.
[[noreturn]] void run_launcher(int socket, const PostgresFiles& files);

}  // namespace argon::sim
