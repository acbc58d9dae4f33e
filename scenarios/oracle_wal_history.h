// Oracles 1 and 2 on the WAL itself: what all proposers of one timeline wrote, and what was promised.
//
// Oracle 1: WAL acknowledged as committed stays in the history of every later proposer. Oracle 2: a
// term is won once, and committed WAL is the same bytes on every safekeeper.
//
// WAL is identified as in consensus: two histories that have the same term at a position have the
// same bytes up to there. So an acknowledged position is safe in a later history if the term that owns
// it there is the term that owned it when it was acknowledged.

#pragma once

#include <map>
#include <vector>

#include "core/base/ids.h"
#include "core/consensus/term_history.h"
#include "core/pg/wal_builder.h"

namespace argon::scenarios {

class WalHistory {
 public:
  // The timeline begins at `origin`; the record before it starts at `previous`.
  WalHistory(Lsn origin, Lsn previous) : origin_(origin), previous_(previous), committed_(origin) {}

  // Somebody was elected. The start of the record that ends at `start`; Corrupt where the election itself
  // breaks a promise.
  Result<Lsn> elected(Term term, Lsn start, const consensus::TermHistory& history);
  // The proposer of `term` hands over this record. `wal` are its bytes with page headers.
  void wrote(Term term, const pg::PlacedRecord& record, ByteView wal);
  // The proposer of `term` reports everything below `lsn` committed.
  Status committed(Term term, Lsn lsn);

  Lsn committed() const { return committed_; }
  Term committed_term() const { return committed_term_; }
  // The committed bytes from the origin on.
  Bytes committed_wal() const;

 private:
  struct Log {
    Lsn start;
    consensus::TermHistory history;  // with the term itself
    std::vector<pg::PlacedRecord> records;
    Bytes wal;  // from start on
  };
  static Term owner(const consensus::TermHistory& history, Lsn at);

  Lsn origin_;
  Lsn previous_;
  std::map<Term, Log> logs_;
  Lsn committed_;
  Term committed_term_;
};

}  // namespace argon::scenarios
