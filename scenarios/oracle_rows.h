// What clients see of a line's table of rows: pages of relation and transaction states, read from the
// pageserver at one LSN, and judged as a server's snapshot would (core/compute/model/rows.h). The reference
// model has no part in it.

#pragma once

#include <map>
#include <vector>

#include "core/compute/model/rows.h"
#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

// Key to value. Corrupt: a key is there twice.
using RowMap = std::map<uint64_t, uint64_t>;
Result<RowMap> unique_rows(const std::vector<compute::Row>& rows);

// Reads what is visible at `lsn`, once, on the task's machine. Corrupt: pages that no server would have.
Result<std::vector<compute::Row>> read_rows(Task& task, Cluster& cluster, const Line& line, Lsn lsn);

// The same from outside, again and again until it works: the pageserver may be catching up. Nothing where the
// run has failed, or fails by it: `oracle` is what is then said to be violated.
std::optional<RowMap> rows_at(Cluster& cluster, const Line& line, Lsn lsn, const std::string& oracle);

// Some LSN at which the line can be read: an acknowledged commit's end, one less (so without that commit), or
// any between its branch point and the last of them.
Lsn draw_readable(Random& random, const Line& line);

}  // namespace argon::scenarios
