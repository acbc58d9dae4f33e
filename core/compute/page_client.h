// PageClient: asks a pageserver for pages (pagestream v3), many requests in flight on one connection.
//
// Any number of tasks may call at once; requests go out in the order of the calls and are answered in that
// order. A broken connection fails what was in flight (Disconnected: read again) and is made anew by the next
// call. For the model compute and tests; a real server's pages are fetched by pgext.

#pragma once

#include <memory>
#include <string>

#include "core/env/env.h"
#include "core/fiber/scope.h"
#include "core/fiber/sync.h"
#include "core/wire/pagestream.h"

namespace argon::compute {

// Which version is wanted. `request` is the LSN to read at, Lsn::max() for the latest; the server waits until
// it has received WAL up to `not_modified_since`, and no longer.
struct ReadLsn {
  Lsn request = Lsn::max();
  Lsn not_modified_since;
};

struct PageClientConfig {
  Address pageserver;
  TenantTimelineId id;
  Duration connect_timeout = Duration::seconds(5);
  size_t in_flight = 128;  // further calls wait
};

class PageClient {
 public:
  // `parent` and `env` outlive the client.
  PageClient(Scope& parent, Env& env, PageClientConfig config);
  // REQUIRES: stop() returned, or no call was ever made.
  ~PageClient();

  // Errors: what the server answered (Invalid: also for a page that does not exist there), Disconnected,
  // Unavailable, TimedOut (give the task a Deadline), Cancelled, Corrupt.
  Result<Bytes> page(Task& task, const wire::PageRel& rel, uint32_t block, ReadLsn at);
  Result<bool> exists(Task& task, const wire::PageRel& rel, ReadLsn at);
  Result<uint32_t> blocks(Task& task, const wire::PageRel& rel, ReadLsn at);
  Result<int64_t> database_size(Task& task, uint32_t db, ReadLsn at);
  // Whole pages.
  Result<Bytes> slru_segment(Task& task, wire::SlruKind kind, uint32_t segment, ReadLsn at);

  // Ends the connection; calls in progress fail.
  Status stop(Task& task);

 private:
  struct Connection;
  struct Pending;

  Result<std::shared_ptr<Pending>> ask(Task& task, wire::PageRequest request);
  Result<std::shared_ptr<Connection>> connected(Task& task);

  Logger log_;
  PageClientConfig config_;
  std::shared_ptr<Connection> connection_;  // null, or the latest one
  uint64_t next_id_ = 1;
  Mutex sending_;
  Semaphore permits_;
  Scope scope_;
};

}  // namespace argon::compute
