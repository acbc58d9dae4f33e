#include "scenarios/oracle_pages.h"

namespace argon::scenarios {

void PageOracle::elected(const std::string& compute, Term term, Lsn start) {
  elected_at_ = std::max(elected_at_, start);
  if (!run_.world().traced()) return;
  run_.remark(compute, "elected",
              "timeline=" + timeline_ + " term " + to_string(term) + " lsn=" + to_string(start));
}

void PageOracle::started(const std::string&, Term) {}

void PageOracle::commit_acknowledged(const std::string& compute, pg::Xid xid, Lsn commit_end) {
  run_.work().commits_acked++;
  run_.world().record(sim::EventKind::Note, 0, xid, commit_end.value);
  if (run_.world().traced())
    run_.remark(compute, "commit",
                "timeline=" + timeline_ + " xid " + std::to_string(xid) + " lsn=" + to_string(commit_end));
  if (commits_.empty() || commits_.back() < commit_end) commits_.push_back(commit_end);
}

void PageOracle::page_checked(const std::string& compute, const pg::BlockTag& tag, Lsn lsn) {
  run_.work().pages_checked++;
  pages_checked_++;
  run_.world().record(sim::EventKind::Note, 0, tag.block, lsn.value);
  if (run_.world().traced())
    run_.remark(compute, "page",
                "timeline=" + timeline_ + " " + pg::to_string(tag) + " lsn=" + to_string(lsn));
}

void PageOracle::violated(const std::string& compute, const std::string& what) {
  run_.fail("reference model", compute + ": " + what);
}

}  // namespace argon::scenarios
