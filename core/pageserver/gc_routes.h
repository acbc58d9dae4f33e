// Management of history: GC, leases, LSNs and times.

#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/http/server.h"
#include "core/pageserver/tenants.h"

namespace argon::pageserver {

// GC's part of a timeline's description: cutoff, retained LSNs, leases, what GC waits for.
void describe_gc(nlohmann::json& out, const Timeline& timeline, const TimelineIndex& index);

// Below /v1/tenant/TENANT/timeline/TIMELINE:
//   PUT       do_gc                  one round; {"pitr_interval", "gc_horizon"} instead of the tenant's
//   PUT, POST lsn_lease              {"lsn"}: {"valid_until"}, milliseconds since 1970
//   GET       get_lsn_by_timestamp   ?timestamp=: {"lsn", "kind": present | future | past | nodata}
//   GET       get_timestamp_of_lsn   ?lsn=: time of the last commit up to there; 404: there is none
void add_gc_routes(http::Router& router, Tenants& tenants);

}  // namespace argon::pageserver
