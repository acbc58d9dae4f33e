// The HTTP routes that say where a tenant is, and as what.
//
//   PUT  /v1/tenant/:tenant/location_config   {mode, generation?}: Tenants::set_location(); `flush_ms` of the
//                                             query: how long the way to AttachedStale may take. Answers with
//                                             what is then. 409: as set_location() says
//   GET  /v1/tenant/:tenant/location_config   {mode, generation}; 404 where it is Detached
//   GET  /v1/location_config                  {tenant_shards: [[id, {mode, generation}], …]}

#pragma once

#include "core/http/server.h"
#include "core/pageserver/tenants.h"

namespace argon::pageserver {

// `tenants` outlives the router.
void add_location_routes(http::Router& router, Tenants& tenants);

}  // namespace argon::pageserver
