// SizeModel: the synthetic size of a tenant, which is what keeping its history costs at least, however layers
// happen to lie: the basis of a bill.
//
// History is a tree of points: where timelines begin, branch, are leased, have their PITR window's begin, and
// end. At a point that is needed the data must be there: as a snapshot of its logical size, or by the WAL
// from the point before it, where the data is there too. Inside the PITR window all WAL is needed. The
// synthetic size is the least sum of snapshots and WAL that gives all that is needed (Neon's
// tenant_size_model; there a snapshot may stand in for the window's WAL).
//
// Pure.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace argon::pageserver {

struct HistoryPoint {
  std::optional<size_t> parent;  // an earlier one of the list; none: a root's beginning
  uint64_t lsn = 0;              // not below the parent's
  uint64_t logical_size = 0;     // bytes of a snapshot
  bool needed = false;           // the data must be there
  bool window = false;           // so must the WAL from the parent on, and the parent's data
};

enum class KeptAs : uint8_t { Nothing, Snapshot, Wal };

struct SyntheticSize {
  uint64_t bytes = 0;
  std::vector<KeptAs> kept;  // of each point
};

// REQUIRES: parents come before their children, and a root is not in the window.
SyntheticSize synthetic_size(const std::vector<HistoryPoint>& points);

}  // namespace argon::pageserver
