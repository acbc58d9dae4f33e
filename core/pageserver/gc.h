// Garbage collection of a timeline: how far history goes back.
//
// Every LSN at or above the cutoff can be read, and those below it that a branch begins at or a lease is of.
// The cutoff is the LSN of the last commit that is older than the PITR interval, but at least gc_horizon
// bytes of WAL stay. It never goes back, and never passes what is in the object store.
//
// A round: the cutoff is put forward, and with it the LSNs that are retained below it (held and leased ones,
// seen in the same step, so that a branch, a read or a lease that comes at that time either counts or is
// refused); the index that says so becomes durable; images are made where history would otherwise stay for
// ever; what no read looks at leaves the index, which is uploaded again; then its files and objects are
// removed.
//
// Rounds wait while a branch of the tenant may be unknown (not all timelines are loaded), and after a start
// for as long as a lease may last.

#pragma once

#include <optional>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/fiber/wait_list.h"
#include "core/pageserver/location.h"

namespace argon::pageserver {

// Of a tenant's configuration.
struct GcSettings {
  Duration pitr_interval = Duration::seconds(7 * 24 * 3600);  // zero: the horizon alone counts
  uint64_t horizon = 64u << 20;                               // bytes of WAL
  Duration period = Duration::seconds(3600);                  // zero: only when asked to
  Duration lease = Duration::seconds(600);                    // how long a lease is given for

  friend bool operator==(const GcSettings&, const GcSettings&) = default;
};

// What all timelines of a tenant go by.
struct TenantGc {
  std::optional<GcSettings> settings;  // nothing while the tenant's configuration is not known
  bool all_loaded = false;             // every timeline of the tenant: all branch points are known
  LocationMode mode = LocationMode::AttachedSingle;
  WaitList changed;  // notified after a change
};

struct GcResult {
  Lsn cutoff;
  size_t layers = 0;   // removed
  uint64_t bytes = 0;  // of these
};

}  // namespace argon::pageserver
