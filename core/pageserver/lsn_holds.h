// LsnHolds: LSNs of a timeline that somebody goes on reading, below whatever the GC cutoff becomes.
//
// A Hold lasts as long as the object: of a read in progress, and of a branch, at its branch point. A lease
// lasts for a time, is not durable, and is renewed by its holder; so after a start GC waits as long as a
// lease may last. Whoever takes one makes sure, without suspending in between, that the LSN can be read.

#pragma once

#include <map>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/base/time.h"

namespace argon::pageserver {

class LsnHolds {
 public:
  // Ends with the object. The LsnHolds outlives it.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept : of_(std::exchange(other.of_, nullptr)), lsn_(other.lsn_) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(of_, other.of_);
      std::swap(lsn_, other.lsn_);
      return *this;
    }
    ~Hold() {
      if (of_ != nullptr) of_->release(lsn_);
    }
    Lsn lsn() const { return lsn_; }

   private:
    friend class LsnHolds;
    Hold(LsnHolds& of, Lsn lsn) : of_(&of), lsn_(lsn) {}
    LsnHolds* of_ = nullptr;
    Lsn lsn_;
  };

  Hold hold(Lsn lsn) {
    holds_[lsn]++;
    return {*this, lsn};
  }
  // Until then at least; a longer one stays.
  void lease(Lsn lsn, MonotonicTime until) {
    MonotonicTime& known = leases_[lsn];
    known = std::max(known, until);
  }
  // Held or leased, below `below`, ascending. Forgets leases that are over.
  std::vector<Lsn> held(MonotonicTime now, Lsn below);
  // Leased, ascending. Forgets leases that are over.
  std::vector<Lsn> leased(MonotonicTime now);
  size_t leases() const { return leases_.size(); }

 private:
  void release(Lsn lsn) {
    auto at = holds_.find(lsn);
    if (--at->second == 0) holds_.erase(at);
  }

  std::map<Lsn, uint32_t> holds_;
  std::map<Lsn, MonotonicTime> leases_;
};

}  // namespace argon::pageserver
