// Page service: what computes ask over PostgreSQL's wire protocol.
//
//   pagestream_v3 TENANT TIMELINE                     page requests in COPY BOTH (core/wire/pagestream.h)
//   basebackup TENANT TIMELINE [LSN|latest] [--replica]   a tar stream in COPY OUT
//   fullbackup TENANT TIMELINE [LSN|latest]           the same with all relations: a plain data directory
//   lease lsn TENANT TIMELINE LSN                     one row: milliseconds since 1970 until which it holds,
//   or NULL
//                                                     where the LSN is not readable (any more)
//   set …                                             accepted, without effect
//
// Answers come in the order of requests. What has arrived is worked through before the answers are
// sent, up to a bound.

#pragma once

#include "core/pageserver/tenants.h"
#include "core/wire/pg_wire.h"

namespace argon::pageserver {

struct PageServiceOptions {
  Duration startup_timeout = Duration::seconds(20);
  size_t connections_max = 4096;
};

// Serves until the task is cancelled or the listener closed. Borrows everything.
Status serve_pages(Task& task, Listener& listener, Tenants& tenants, Metrics& metrics,
                   const PageServiceOptions& options);

}  // namespace argon::pageserver
