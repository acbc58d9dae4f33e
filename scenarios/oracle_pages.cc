#include "scenarios/oracle_pages.h"

namespace argon::scenarios {

void PageOracle::elected(const std::string&, Term, Lsn) {}
void PageOracle::started(const std::string&, Term) {}

void PageOracle::commit_acknowledged(const std::string&, pg::Xid xid, Lsn commit_end) {
  run_.work().commits_acked++;
  run_.world().record(sim::EventKind::Note, 0, xid, commit_end.value);
  if (commits_.empty() || commits_.back() < commit_end) commits_.push_back(commit_end);
}

void PageOracle::page_checked(const std::string&, const pg::BlockTag& tag, Lsn lsn) {
  run_.work().pages_checked++;
  run_.world().record(sim::EventKind::Note, 0, tag.block, lsn.value);
}

void PageOracle::violated(const std::string& compute, const std::string& what) {
  run_.fail("reference model", compute + ": " + what);
}

}  // namespace argon::scenarios
