// Sets of keys as lists of ranges: disjoint, ascending.

#pragma once

#include <vector>

#include "core/pageserver/key.h"

namespace argon::pageserver {

// What of `ranges` lies outside `hole`.
std::vector<KeyRange> without(const std::vector<KeyRange>& ranges, const KeyRange& hole);
// The ranges in order, those that overlap or touch as one.
std::vector<KeyRange> merged(std::vector<KeyRange> ranges);

}  // namespace argon::pageserver
