// The picture of a timeline's layers, as SVG: keys to the right, LSNs upward.
//
// Both axes show where layers begin and end in their order, not at their distance: a table of a terabyte and
// one of a page are told apart, and so are an hour of writes and a night of none.

#pragma once

#include <string>

#include "core/pageserver/timeline_index.h"

namespace argon::cli {

// An element with the class "l0", "l1" or "image" for each layer, and a title that says which it is.
std::string draw_layer_map(const pageserver::TimelineIndex& index);

}  // namespace argon::cli
