// Oracles 1, 3 and 4 while the cluster runs: what model computes are told is held against the reference.
//
// 1: an acknowledged commit is in every later term. 3: every page read at an LSN equals the reference
// model's. 4: a branch's reference is its parent's up to the branch point, so what a compute of the branch
// reads is held against the parent's history. The model computes call; a violation ends the run.

#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "core/compute/model/model_compute.h"
#include "scenarios/scenario.h"

namespace argon::scenarios {

class PageOracle final : public compute::ModelEvents {
 public:
  PageOracle(Run& run, std::string timeline) : run_(run), timeline_(std::move(timeline)) {}

  void elected(const std::string& compute, Term term, Lsn start) override;
  void started(const std::string& compute, Term term) override;
  void commit_acknowledged(const std::string& compute, pg::Xid xid, Lsn commit_end) override;
  void page_checked(const std::string& compute, const pg::BlockTag& tag, Lsn lsn) override;
  void violated(const std::string& compute, const std::string& what) override;

  // Ends of acknowledged commits, ascending.
  const std::vector<Lsn>& commits() const { return commits_; }
  // Up to here WAL is known to be durable: the latest acknowledged commit, or where a compute was elected.
  // Not valid before there is either.
  Lsn durable() const { return commits_.empty() ? elected_at_ : std::max(elected_at_, commits_.back()); }
  size_t pages_checked() const { return pages_checked_; }

 private:
  Run& run_;
  std::string timeline_;  // for traces
  std::vector<Lsn> commits_;
  Lsn elected_at_;
  size_t pages_checked_ = 0;
};

}  // namespace argon::scenarios
