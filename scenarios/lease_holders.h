// Oracle: what is under a lease can be read, and is what it was there, until the lease is over.
//
// A holder takes a lease at an acknowledged commit, renews it, and compares every page there again and again.
// A lease is in force at least until its length has passed since it was asked for.

#pragma once

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

class LeaseHolders {
 public:
  LeaseHolders(Cluster& cluster, uint64_t most) : cluster_(cluster), left_(most) {}
  // Another holder, at some commit of some line, be it of what it branched off, for a random time.
  void add();

 private:
  Status hold(Task& task, const Line& line, Lsn lsn, MonotonicTime end);
  // Until the next renewal is due. Errors: a read that did not work.
  Status read(Task& task, const Line& line, Lsn lsn);

  Cluster& cluster_;
  uint64_t left_;
};

}  // namespace argon::scenarios
