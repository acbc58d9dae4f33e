// When was which LSN: the times of commits, which ingest files under commit_time_key().
//
// With each commit record the latest time of all commits so far is stored, so that it never goes back with
// growing LSNs, whatever clocks did. Times are PostgreSQL's: microseconds since 2000-01-01 UTC.

#pragma once

#include <optional>

#include "core/pageserver/layer_store.h"

namespace argon::pageserver {

struct CommitTime {
  Lsn lsn;           // the commit record's end
  int64_t time = 0;  // of this commit and all before it the latest
};

Bytes encode_commit_time(int64_t time);
// Of the last commit at or below `lsn`; nothing where there is none. REQUIRES: reached, and readable.
Result<std::optional<CommitTime>> last_commit(Task& task, LayerStore& store, Lsn lsn);

struct LsnAtTime {
  enum class Kind {
    Present,  // there are commits at or before that time, and later ones
    Future,   // all commits are at or before it
    Past,     // all commits that can be looked at are later
    NoData,   // there is no commit
  };
  Kind kind = Kind::NoData;
  // Present: the last commit before the first one that is later. Otherwise `high` (Future), `low`.
  Lsn lsn;
};
// Among the LSNs from `low` to `high`, which can all be read. Suspends; reads some 30 values.
Result<LsnAtTime> lsn_at_time(Task& task, LayerStore& store, Lsn low, Lsn high, int64_t time);

}  // namespace argon::pageserver
