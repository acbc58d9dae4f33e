// Which proposer wrote which part of the WAL.
//
// A history is a list of (term, start): the proposer elected in `term` wrote from `start` to the
// next entry's start. The first entry is (0, the timeline's first LSN) on every node; terms grow
// strictly, starts never fall. Two logs whose last entries have the same term are prefixes of one
// another, since one term has one proposer.

#pragma once

#include <string>
#include <vector>

#include "core/base/ids.h"

namespace argon::consensus {

struct TermStart {
  Term term;
  Lsn start;

  friend auto operator<=>(const TermStart&, const TermStart&) = default;
};

class TermHistory {
 public:
  TermHistory() = default;
  explicit TermHistory(std::vector<TermStart> entries) : entries_(std::move(entries)) {}

  bool empty() const { return entries_.empty(); }
  const std::vector<TermStart>& entries() const { return entries_; }
  // REQUIRES: not empty.
  const TermStart& first() const { return entries_.front(); }
  const TermStart& last() const { return entries_.back(); }
  // The term of the last entry; 0 where there is none.
  Term last_term() const { return empty() ? Term(0) : last().term; }

  // The last term of the history of a log that ends at `end`; 0 where it has none.
  Term term_at(Lsn end) const;
  // Entries that start at or below `end`: the history of a log that ends there.
  TermHistory up_to(Lsn end) const;
  // This history and one more entry. REQUIRES: a higher term, a start that is not lower.
  TermHistory with(TermStart entry) const;
  // Code::Invalid unless the order is as above, and there are at most kEntriesMax entries.
  Status validate() const;

  static constexpr size_t kEntriesMax = 100'000;

  friend bool operator==(const TermHistory&, const TermHistory&) = default;

 private:
  std::vector<TermStart> entries_;
};

// Where an acceptor's log, of the given history and end, stops being the proposer's: the highest
// LSN up to which both are the same. Code::Corrupt where the two give one term two starts, or
// have no entry in common: then they are not of one timeline.
Result<Lsn> common_point(const TermHistory& proposer, const TermHistory& acceptor, Lsn acceptor_end);

// "(0, 0/1000) (3, 0/2000)".
std::string to_string(const TermHistory& history);

}  // namespace argon::consensus
