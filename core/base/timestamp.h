// Points of wall time as text: RFC 3339 ("2026-11-29T04:20:00.5Z", "2026-11-29T04:20:00+01:00"), and as
// PostgreSQL prints them ("2026-11-29 04:20:00.5+00"). Years 1970 to 2261.

#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/time.h"

namespace argon {

// In UTC, with microseconds where there are any.
std::string timestamp_text(WallTime time);
// Without an offset it is UTC. Invalid shows the text and what is expected.
Result<WallTime> parse_timestamp(std::string_view text);

}  // namespace argon
