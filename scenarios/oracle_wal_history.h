// Oracles 1 and 2 on the WAL itself: what all proposers of one timeline wrote, and what was promised.
//
// Oracle 1: WAL acknowledged as committed stays in the history of every later proposer. Oracle 2: a
// term is won once, and committed WAL is the same bytes on every safekeeper.
//
// WAL is identified as in consensus: a term has one writer, so a term that owns a position says what the
// bytes before it are. Write H(T) for the history of the won term T, (T, start of T) last, and C(T) for
// what its proposer reported committed at most; it counts from the start of T, since a proposer is heard
// of when its start is committed. The claim, for all won terms T < U, in whatever order they are heard of:
//
//   H(T) is the beginning of H(U), and what follows it in H(U) starts at or beyond C(T).
//
// No false alarm: a quorum persisted H(T) and then flushed C(T) in term T, before any of it voted for a
// later term (an acceptor takes nothing of a term below its own). By induction over the won terms above T:
// each voting quorum has a member of that quorum, whose log ends in T or later and reaches C(T); the donor
// is the voter with the highest (last term, flush), so its history begins with H(T) and keeps up to C(T).
// Complete: if it holds, WAL up to C(T) has the same owners, and so the same bytes, in all later terms. A
// term below T owes nothing to T: it is replaced, and can commit only what H(T) has from it, which the
// claim for that pair demands. That a proposer hears late of its election changes only when a pair is
// looked at: each is, when the second of the two is heard of, and again with every commit.
//
// Not seen here: bytes on disks (compared at the end), and terms whose start was never committed: such
// a proposer has written nothing.

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

  // Somebody was elected, and its start is committed. The start of the record that ends at `start`;
  // Corrupt where the claim is broken.
  Result<Lsn> elected(Term term, Lsn start, const consensus::TermHistory& history);
  // The proposer of `term` hands over this record. `wal` are its bytes with page headers.
  void wrote(Term term, const pg::PlacedRecord& record, ByteView wal);
  // The proposer of `term` reports everything below `lsn` committed. Corrupt where the claim is broken.
  Status committed(Term term, Lsn lsn);

  Lsn committed() const { return committed_; }
  Term committed_term() const { return committed_term_; }
  // The committed bytes from the origin on.
  Bytes committed_wal() const;
  // What a log with this history, which reaches to `to`, must hold in [from, to). Corrupt where it holds
  // what the owner of a position never wrote.
  Result<Bytes> wal_of(const consensus::TermHistory& history, Lsn from, Lsn to) const;

 private:
  struct Log {
    Lsn start;
    consensus::TermHistory history;  // with the term itself
    std::vector<pg::PlacedRecord> records;
    Bytes wal;  // from start on
    Lsn committed;
  };
  static Term owner(const consensus::TermHistory& history, Lsn at);
  // Holds two won terms against each other; `former` is the lower.
  static Status compare(Term former, const Log& was, Term later, const Log& is);
  // Holds one against all others.
  Status compare_all(Term term) const;

  Lsn origin_;
  Lsn previous_;
  std::map<Term, Log> logs_;
  Lsn committed_;
  Term committed_term_;
};

}  // namespace argon::scenarios
