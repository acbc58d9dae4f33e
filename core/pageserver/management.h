// Management: the pageserver's HTTP interface.
//
//   GET  /v1/status                                      {id}
//   GET  /metrics                                        Prometheus text
//   GET  /v1/tenant                                      [{id, state, generation}]
//   POST /v1/tenant                                      {new_tenant_id}: makes a tenant; idempotent
//   POST /v1/tenant/:tenant                              the same
//   GET  /v1/tenant/:tenant                              {id, state, generation, timelines}
//   GET  /v1/tenant/:tenant/timeline                     details of all timelines
//   POST /v1/tenant/:tenant/timeline                     {new_timeline_id, import_datadir} from a data
//                                                        directory of this node, or {new_timeline_id,
//                                                        ancestor_timeline_id, ancestor_start_lsn?}: a
//                                                        branch; answers with its details
//   GET  /v1/tenant/:tenant/timeline/:timeline           details
//   PUT  …/:timeline/checkpoint                          all ingested so far is in the object store then
//   PUT  …/:timeline/compact                             one round of compaction
//   PUT  …/:timeline/detach_ancestor                     makes a branch a root; answers with its details
//   PUT  /v1/disk_usage_eviction/run                     {evict_bytes}: evicts at least so much, where there
//                                                        is as much; {evicted_layers, evicted_bytes}
//
// and those of gc_routes.h and location_routes.h.

#pragma once

#include "core/http/server.h"
#include "core/pageserver/eviction.h"
#include "core/pageserver/tenants.h"

namespace argon::pageserver {

// All of it outlives the router.
void add_routes(http::Router& router, Tenants& tenants, Eviction& eviction, const Metrics& metrics,
                NodeId id);

}  // namespace argon::pageserver
