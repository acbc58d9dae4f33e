// What a scenario lets model computes do with rows: transactions that read some rows and write some of them.
//
// Owned by the scenario, one for each timeline, and outlives all computes. Called without suspending, by one
// compute at a time that knows itself elected; a zombie may still call next().

#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/base/ids.h"
#include "core/base/random.h"

namespace argon::compute {

// The values of some rows; nothing: there is no such row.
using RowValues = std::vector<std::optional<uint64_t>>;

// Reads the rows of these keys (no two the same), which no other transaction reads or writes until this one
// has ended, and writes those for which `change` gives another value. It may not take a row away.
struct RowTransaction {
  std::vector<uint64_t> keys;
  std::function<RowValues(const RowValues& before)> change;
  uint64_t token = 0;  // the workload's own
};

struct RowOutcome {
  bool aborted = false;  // for good: nothing of it ever counts
  RowValues values;      // as it has left them
  Lsn commit_end;        // a quorum has it; not valid where nothing was written
  size_t pages = 0;      // that it has changed
};

class RowWorkload {
 public:
  virtual ~RowWorkload() = default;
  // The next transaction of a client; nothing: it has none for now.
  virtual std::optional<RowTransaction> next(Random& random) = 0;
  // How it ended. Not called where that is not known: its compute has ended, too.
  virtual void ended(const RowTransaction& transaction, const RowOutcome& outcome) = 0;
};

}  // namespace argon::compute
