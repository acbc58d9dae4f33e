// Claim: an archived timeline is not served, takes no room on the pageserver's disk and holds what it reads
// of its ancestors, whoever fails meanwhile; it comes back as it was. A timeline with a branch that is in use
// cannot be archived, and none comes back before its ancestor.
//
// Operators archive timelines and bring them back while garbage is collected, further branches are made, and
// computes that have not heard of it go on; they give up anywhere and ask again.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kArchive;

}  // namespace argon::scenarios
