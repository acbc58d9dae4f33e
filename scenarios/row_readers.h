// Tasks that read the rows of a cluster's lines all along, each time at a drawn LSN, and have somebody judge
// what they see. They run where no fault is; what cannot be read, because a pageserver is away, is given up.

#pragma once

#include <functional>

#include "scenarios/oracle_rows.h"

namespace argon::scenarios {

class RowReaders {
 public:
  // What is wrong with these rows of the line, as read at the LSN; empty where nothing is.
  using Judge = std::function<std::string(const Line&, Lsn, const RowMap&)>;

  // `oracle` is violated by what `judge` finds. Everything outlives the run's tasks.
  RowReaders(Cluster& cluster, std::string oracle, Judge judge)
      : cluster_(cluster), oracle_(std::move(oracle)), judge_(std::move(judge)) {}

  // The operator's machine is up: after set_up().
  void start();
  void stop() { stopped_ = true; }
  uint64_t reads() const { return reads_; }

  // With everybody healed: each line at its latest acknowledged commit, at its branch point (where it must be
  // what its parent is there), and at some LSN between. The run fails where that cannot be read.
  void check_all(const std::string& when);

 private:
  Status work(Task& task, uint64_t number);
  Status read_once(Task& task, const Line& line, Lsn lsn);
  void check(const Line& line, Lsn lsn, const std::string& when);
  void check_branch_point(const Line& line, const std::string& when);

  Cluster& cluster_;
  std::string oracle_;
  Judge judge_;
  uint64_t reads_ = 0;
  bool stopped_ = false;
};

}  // namespace argon::scenarios
