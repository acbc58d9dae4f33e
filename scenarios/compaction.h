// Claim: whatever is flushed, compacted and made into images, and whenever that is cut off, a page read at
// any LSN is what it was there.
//
// Layers are small, so that a run sees hundreds of them; the operator asks for checkpoints and compactions as
// well.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kCompaction;

}  // namespace argon::scenarios
