// Claim: an object store that takes seconds for everything, so that callers give up and do not know what
// became of their requests, delays only: nothing acknowledged is lost, and no page is wrong.
//
// In half of the runs it is reached by S3's protocol, in half of these by TLS, over a network and to a store
// that fail too: a machine "s3" serves the simulated buckets (core/objstore/model).

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kObjectStore;

}  // namespace argon::scenarios
