// proxy: endpoints that sleep, and clients that know only the proxy.
//
// Claim: whatever happens to machines and network, a client gets the endpoint it named and every byte of it
// in order; an endpoint is woken by one start at a time; a cancel request ends the query it is for and no
// other; a proxy keeps no connection that nobody uses; and after healing all clients get on. In half the runs
// most clients encrypt (TLS, asked for or at once): then also no byte sent in the open is taken for an
// encrypted one, and where TLS is required nobody is served without. Model servers (model_endpoint.h); the
// proxy is the product's.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kProxy;

}  // namespace argon::scenarios
