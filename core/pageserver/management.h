// Management: the pageserver's HTTP interface.
//
//   GET  /v1/status                                      {id}
//   GET  /metrics                                        Prometheus text
//   GET  /v1/tenant                                      [{id, state, generation}]
//   POST /v1/tenant                                      {new_tenant_id}: makes a tenant; idempotent
//   POST /v1/tenant/:tenant, PUT …/location_config       the same
//   GET  /v1/tenant/:tenant                              {id, state, generation, timelines}
//   GET  /v1/tenant/:tenant/timeline                     details of all timelines
//   POST /v1/tenant/:tenant/timeline                     {new_timeline_id, import_datadir} from a data
//   directory of
//                                                        this node, or {new_timeline_id,
//                                                        ancestor_timeline_id, ancestor_start_lsn?}: a
//                                                        branch; answers with its details
//   GET  /v1/tenant/:tenant/timeline/:timeline           details
//   PUT  /v1/tenant/:tenant/timeline/:timeline/checkpoint   everything ingested is in the object store
//   afterwards PUT  /v1/tenant/:tenant/timeline/:timeline/compact      one round of compaction

#pragma once

#include "core/http/server.h"
#include "core/pageserver/tenants.h"

namespace argon::pageserver {

// All of it outlives the router.
void add_routes(http::Router& router, Tenants& tenants, const Metrics& metrics, NodeId id);

}  // namespace argon::pageserver
