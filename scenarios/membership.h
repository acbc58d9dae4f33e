// Scenario "membership": five safekeepers, of which a timeline has one to four as members, others again and
// again. Two operators change them at once, each gives up in the middle now and then, and what was decided is
// finished by whoever comes next (core/safekeeper/migration.h). All kinds of faults.
//
// Claims: as `cluster`; and once everything is healed, a change of members ends.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kMembership;

}  // namespace argon::scenarios
