// What the acceptors of a World do among themselves: copies of each other's logs, and what they find to be
// committed.

#include <algorithm>

#include "core/consensus/model_world.h"

namespace argon::consensus::model {

PeerLog World::log_of(NodeId id) const {
  const Acceptor& a = at(id).machine;
  return {a.state().history.up_to(a.flush()), a.flush()};
}

std::vector<MemberReport> World::reports_but(NodeId id) const {
  std::vector<MemberReport> all;
  for (NodeId other : ids_)
    if (other != id && at(other).exists) all.push_back(report_of(other));
  return all;
}

void World::enabled_on_peers(NodeId id, std::vector<Action>& all) const {
  const Acceptor& machine = at(id).machine;
  if (!machine.has_wal()) return;
  for (NodeId donor : ids_) {
    if (donor == id || !at(donor).exists || !at(donor).machine.has_wal()) continue;
    Acceptor trial = machine;
    if (!trial.follow_peer(log_of(donor)).is(Code::Stale) && !machine.leader())
      all.push_back({Kind::Fill, static_cast<int>(donor.value), id});
  }
  Acceptor trial = machine;
  if (!trial.on_peer_reports(reports_but(id)).empty()) all.push_back({Kind::Derive, 0, id});
}

// All of it in one step, not synced yet.
std::string World::fill(NodeId id, NodeId donor) {
  Shared<Node> before = acceptors_[place(id)].share();
  PeerLog log = log_of(donor);
  Node& node = edit(id);
  auto followed = node.machine.follow_peer(log);
  if (!followed.ok()) return followed.error().message();
  if (std::string broken = run_effects(id, *std::move(followed)); !broken.empty()) return broken;
  Lsn at = *node.machine.wanted_from_peer();
  const Bytes& written = this->at(donor).written;
  Bytes wal(written.begin() + static_cast<ptrdiff_t>(at - kBase),
            written.begin() + static_cast<ptrdiff_t>(log.flush - kBase));
  auto taken = node.machine.on_peer_wal(at, wal);
  if (!taken.ok()) return taken.error().message();
  if (std::string broken = step_acceptor(id, *std::move(taken)); !broken.empty()) return broken;
  return check_step(before.get().machine, node.machine);
}

std::string World::derive(NodeId id) {
  Shared<Node> before = acceptors_[place(id)].share();
  Node& node = edit(id);
  AcceptorEffects effects = node.machine.on_peer_reports(reports_but(id));
  if (std::string broken = committed_by_peers(node, node.machine.commit()); !broken.empty()) return broken;
  if (std::string broken = step_acceptor(id, std::move(effects)); !broken.empty()) return broken;
  return check_step(before.get().machine, node.machine);
}

// As if the proposer of that term had counted.
std::string World::committed_by_peers(const Node& node, Lsn commit) {
  Term term = node.machine.last_log_term();
  for (auto later = won_.upper_bound(term); later != won_.end(); ++later)
    if (later->second < commit) return "found to be committed what a proposer of a later term does not have";
  if (commit <= committed_end()) return {};
  ByteView mine = ByteView(node.written).first(commit - kBase);
  if (!std::equal(committed_.begin(), committed_.end(), mine.begin()))
    return "found other bytes to be committed than were";
  committed_.assign(mine.begin(), mine.end());
  derived_ = std::max(derived_, term);
  return {};
}

}  // namespace argon::consensus::model
