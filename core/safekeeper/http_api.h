// The management API: JSON over HTTP, routes and names as Neon's safekeeper's where it has the same.

#pragma once

#include "core/http/server.h"
#include "core/safekeeper/timelines.h"

namespace argon::safekeeper {

// Routes, T a tenant's id and TL a timeline's:
//   GET    /v1/status                               {id}
//   GET    /metrics                                 Prometheus text
//   GET    /v1/tenant/timeline                      [{tenant_id, timeline_id}]
//   POST   /v1/tenant/timeline                      makes one: {tenant_id, timeline_id, mconf, pg_version,
//                                                   system_id?, wal_seg_size?, start_lsn?}
//   GET    /v1/tenant/T/timeline/TL                 positions, term, history, configuration, peers
//   DELETE /v1/tenant/T/timeline/TL, /v1/tenant/T   for good: 202, {done: false}, until nothing is left
//   GET    /v1/tombstone                            what was deleted so: [{tenant_id, timeline_id?}]
//   PUT    /v1/tenant/T/timeline/TL/membership      {mconf}
//   POST   /v1/tenant/T/timeline/TL/checkpoint      persists positions now
//   GET    /v1/tenant/T/timeline/TL/digest          ?from_lsn=&until_lsn=: hash of that committed WAL
//   GET    /v1/tenant/T/timeline/TL/wal_chain       ?lsn=: {lsn, hash} of the chain (wal_chain.h); without:
//                                                   where it is committed
//   POST   /v1/tenant/T/timeline/TL/pull            fills it up from peers (pull.h)
//   PUT    /v1/tenant/T/timeline/TL/exclude         {mconf} without this one: it gives the timeline up
//   POST   /v1/tenant/T/timeline/TL/term_bump       {term}: takes part in none below
// Borrows everything.
http::Router make_router(const SafekeeperConfig& config, Timelines& timelines, Metrics& metrics);

}  // namespace argon::safekeeper
