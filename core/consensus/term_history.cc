#include "core/consensus/term_history.h"

#include <algorithm>

namespace argon::consensus {

Term TermHistory::term_at(Lsn end) const {
  auto above = std::ranges::upper_bound(entries_, end, {}, &TermStart::start);
  return above == entries_.begin() ? Term(0) : std::prev(above)->term;
}

TermHistory TermHistory::up_to(Lsn end) const {
  std::vector<TermStart> kept;
  for (const TermStart& entry : entries_)
    if (entry.start <= end) kept.push_back(entry);
  return TermHistory(std::move(kept));
}

TermHistory TermHistory::with(TermStart entry) const {
  CHECK(empty() || (last().term < entry.term && last().start <= entry.start), to_string(*this));
  std::vector<TermStart> longer = entries_;
  longer.push_back(entry);
  return TermHistory(std::move(longer));
}

Status TermHistory::validate() const {
  if (entries_.size() > kEntriesMax)
    return Error(Code::Invalid, "term history of " + std::to_string(entries_.size()) + " entries");
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (!entries_[i].start.valid()) return Error(Code::Invalid, "term history with start 0/0");
    if (i > 0 && (entries_[i].term <= entries_[i - 1].term || entries_[i].start < entries_[i - 1].start))
      return Error(Code::Invalid, "term history out of order: " + to_string(*this));
  }
  return {};
}

Result<Lsn> common_point(const TermHistory& proposer, const TermHistory& acceptor, Lsn acceptor_end) {
  const auto& ours = proposer.entries();
  const auto& theirs = acceptor.entries();
  size_t common = 0;
  while (common < ours.size() && common < theirs.size() && ours[common].term == theirs[common].term) {
    if (ours[common].start != theirs[common].start)
      return Error(Code::Corrupt, "term " + to_string(ours[common].term) + " starts at " +
                                      to_string(ours[common].start) + " for the proposer, at " +
                                      to_string(theirs[common].start) + " for the acceptor");
    ++common;
  }
  if (common == 0)
    return Error(Code::Corrupt,
                 "histories have nothing in common: " + to_string(proposer) + " and " + to_string(acceptor));
  Lsn end = acceptor_end;
  if (common < ours.size()) end = std::min(end, ours[common].start);
  if (common < theirs.size()) end = std::min(end, theirs[common].start);
  return end;
}

std::string to_string(const TermHistory& history) {
  std::string text;
  for (const TermStart& entry : history.entries())
    text += (text.empty() ? "(" : " (") + to_string(entry.term) + ", " + to_string(entry.start) + ")";
  return text.empty() ? "()" : text;
}

}  // namespace argon::consensus
