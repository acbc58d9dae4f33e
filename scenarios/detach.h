// Claim: a branch that is detached from its ancestors reads as before, at every LSN that could be read,
// whoever fails meanwhile; and its ancestors can be deleted then.
//
// Operators detach branches while garbage is collected, leases are held below the branch point and further
// branches are made, give up anywhere and ask again. What has no branches any more is deleted.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kDetach;

}  // namespace argon::scenarios
