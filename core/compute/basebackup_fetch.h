// Fetching a base backup from a pageserver: the tar stream that "basebackup" answers with.

#pragma once

#include <functional>
#include <optional>

#include "core/env/env.h"

namespace argon::compute {

struct BasebackupRequest {
  Address pageserver;
  TenantTimelineId id;
  std::optional<Lsn> at;  // the latest where empty
  bool replica = false;
  Duration connect_timeout = Duration::seconds(10);
};

// Hands the archive to `sink`, piece by piece, in order; the pieces are borrowed until it returns. Ok only if
// the server said that the archive is whole. Errors: the pageserver's, the sink's, Disconnected, TimedOut.
Status fetch_basebackup(Task& task, const BasebackupRequest& request,
                        const std::function<Status(Task&, ByteView)>& sink);

}  // namespace argon::compute
