// Scenario "deletion": a cluster that goes on working while branches are made and deleted, by operators who
// give up anywhere, and everything fails. Computes of what is deleted go on as if they had not heard of it.
//
// Claims: what was said to be deleted is never served again, by nobody, and cannot be made again under its
// id; while the mark is not there, nothing of it is missing; a deletion that is refused changes nothing; once
// all is quiet nothing is left of what was deleted; and what was not deleted is as `cluster` has it. At last,
// in half of the runs, the whole tenant is deleted, over power cuts.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kDeletion;

}  // namespace argon::scenarios
