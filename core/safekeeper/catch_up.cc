#include "core/safekeeper/catch_up.h"

#include <algorithm>

#include "core/env/points.h"
#include "core/safekeeper/donor.h"

namespace argon::safekeeper {

namespace {

// What both say is committed must be the same.
Status compare_committed(Task& task, Timeline& timeline, const Donor& donor) {
  Lsn at = std::min(timeline.state().commit, donor.control.acceptor.commit);
  if (at <= timeline.state().local_start) return {};
  auto ours = timeline.chain_at(task, at);
  // It may not be known here (of a timeline that an earlier build copied).
  if (ours.is(Code::NotFound)) return {};
  TRY(ours);
  return compare_chains(task, donor.http, timeline.id(), *ours);
}

}  // namespace

Status catch_up(Task& task, Timeline& timeline, const PeerInfo& peer) {
  TRY_ASSIGN(Address http, parse_address(peer.http_address));
  TRY_ASSIGN(Donor donor, ask_donor(task, http, timeline.id()));
  TRY(compare_committed(task, timeline, donor));
  const consensus::AcceptorState& theirs = donor.control.acceptor;
  // One that has voted since may be cut and filled anew in the term that the stream is asked in, but for what
  // is committed.
  if (donor.position().last_log_term != theirs.term) donor.flush = theirs.commit;
  TRY(timeline.follow_peer(task, {theirs.history.up_to(donor.flush), donor.flush}));
  TRY(timeline.failure());
  std::optional<Lsn> at = timeline.acceptor().wanted_from_peer();
  if (!at) return Error(Code::Stale, "a proposer came meanwhile");
  TRY_ASSIGN(DonorStream stream, DonorStream::open(task, donor, *at));
  while (*at < donor.flush) {
    TRY_ASSIGN(ByteView wal, stream.next(task));
    wal = wal.first(std::min<uint64_t>(wal.size(), donor.flush - *at));
    TRY(timeline.on_peer_wal(task, *at, wal));
    at = *at + wal.size();
  }
  task.env().probe("safekeeper.caught-up-with-a-peer"_probe);
  return {};
}

}  // namespace argon::safekeeper
