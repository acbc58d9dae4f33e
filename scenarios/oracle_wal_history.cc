#include "scenarios/oracle_wal_history.h"

#include <algorithm>

namespace argon::scenarios {

// Who wrote the byte before `at`; 0 for the beginning.
Term WalHistory::owner(const consensus::TermHistory& history, Lsn at) {
  Term found;
  for (const consensus::TermStart& entry : history.entries())
    if (entry.start < at) found = entry.term;
  return found;
}

Status WalHistory::compare(Term former, const Log& was, Term later, const Log& is) {
  const auto& ours = is.history.entries();
  const auto& theirs = was.history.entries();
  bool begins = theirs.size() <= ours.size() && std::equal(theirs.begin(), theirs.end(), ours.begin());
  bool keeps = begins && (ours.size() == theirs.size() || ours[theirs.size()].start >= was.committed);
  if (keeps) return {};
  return Error(Code::Corrupt, "term " + to_string(former) + ", of history " + to_string(was.history) +
                                  ", has committed up to " + to_string(was.committed) +
                                  "; this is not kept by term " + to_string(later) + ", of history " +
                                  to_string(is.history));
}

Status WalHistory::compare_all(Term term) const {
  const Log& own = logs_.at(term);
  for (const auto& [other, log] : logs_) {
    if (other < term) TRY(compare(other, log, term, own));
    if (other > term) TRY(compare(term, own, other, log));
  }
  return {};
}

Result<Lsn> WalHistory::elected(Term term, Lsn start, const consensus::TermHistory& history) {
  if (logs_.contains(term)) return Error(Code::Corrupt, "term " + to_string(term) + " was won twice");
  consensus::TermHistory own = history.last_term() == term ? history : history.with({term, start});
  Lsn previous = previous_;
  if (start > origin_) {
    auto writer = logs_.find(owner(own, start));
    if (writer == logs_.end())
      return Error(Code::Corrupt, "the WAL before " + to_string(start) + " is of a term that nobody won");
    auto record = std::find_if(writer->second.records.begin(), writer->second.records.end(),
                               [&](const pg::PlacedRecord& r) { return r.end == start; });
    if (record == writer->second.records.end())
      return Error(Code::Corrupt, "term " + to_string(term) + " begins at " + to_string(start) +
                                      ", where no record of term " + to_string(writer->first) + " ends");
    previous = record->start;
  }
  logs_.emplace(term, Log{start, std::move(own), {}, {}, start});
  TRY(compare_all(term));
  return previous;
}

void WalHistory::wrote(Term term, const pg::PlacedRecord& record, ByteView wal) {
  Log& log = logs_.at(term);
  log.records.push_back(record);
  append(log.wal, wal);
}

Status WalHistory::committed(Term term, Lsn lsn) {
  Log& log = logs_.at(term);
  if (lsn > log.start + log.wal.size())
    return Error(Code::Corrupt, "term " + to_string(term) + " reports " + to_string(lsn) +
                                    " committed and has written up to " +
                                    to_string(log.start + log.wal.size()));
  log.committed = std::max(log.committed, lsn);
  TRY(compare_all(term));
  if (lsn > committed_) {
    committed_ = lsn;
    committed_term_ = term;
  }
  return {};
}

Bytes WalHistory::committed_wal() const {
  if (committed_ == origin_) return {};
  Result<Bytes> all = wal_of(logs_.at(committed_term_).history, origin_, committed_);
  CHECK(all.ok(), all.error().message());
  return *std::move(all);
}

Result<Bytes> WalHistory::wal_of(const consensus::TermHistory& history, Lsn from, Lsn to) const {
  Bytes all;
  const std::vector<consensus::TermStart>& entries = history.entries();
  for (size_t i = 0; i < entries.size() && entries[i].start < to; i++) {
    Lsn begin = std::max(entries[i].start, from);
    Lsn end = i + 1 < entries.size() ? std::min(entries[i + 1].start, to) : to;
    if (begin >= end) continue;
    auto log = logs_.find(entries[i].term);
    // A term that was won but whose proposer died before it told anybody has written nothing.
    if (log == logs_.end() || entries[i].start + log->second.wal.size() < end)
      return Error(Code::Corrupt, "WAL of term " + to_string(entries[i].term) + " from " +
                                      to_string(entries[i].start) + " to " + to_string(end) +
                                      ", which that term's proposer never wrote");
    append(all, ByteView(log->second.wal).subspan(begin - entries[i].start, end - begin));
  }
  return all;
}

}  // namespace argon::scenarios
