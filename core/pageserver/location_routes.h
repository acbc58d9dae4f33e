// The HTTP routes that say where a tenant is, and as what.
//
//   PUT  /v1/tenant/:tenant/location_config   {mode, generation?}: Tenants::set_location(); `flush_ms` of the
//                                             query: how long the way to AttachedStale may take. Answers with
//                                             what is then. 409: as set_location() says
//   GET  /v1/tenant/:tenant/location_config   {mode, generation}; 404 where it is Detached
//   POST /v1/tenant/:tenant/heatmap_upload       the heatmap is up to date then
//   POST /v1/tenant/:tenant/secondary/download   one round of a warm copy, for `wait_ms` of the query at
//   most:
//                                                200 with its progress, 202 where it is not all here
//   GET  /v1/tenant/:tenant/secondary/status     {layers_downloaded, layers_total, bytes_downloaded,
//                                                bytes_total}, by the last heatmap
//   GET  /v1/location_config                  {tenant_shards: [[id, {mode, generation}], …]}

#pragma once

#include "core/http/server.h"
#include "core/pageserver/heatmap.h"

namespace argon::pageserver {

// `tenants` outlives the router.
void add_location_routes(http::Router& router, Tenants& tenants);
void add_secondary_routes(http::Router& router, Tenants& tenants, HeatmapUploader& heatmaps);

}  // namespace argon::pageserver
