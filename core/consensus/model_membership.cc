// How the members of a World change: the coordinator's side, and the nodes that join.

#include <algorithm>

#include "core/consensus/model_world.h"

namespace argon::consensus::model {

Configuration World::joint_configuration() const {
  Configuration joint = options().configuration;
  joint.generation = ConfigurationGeneration(joint.generation.value + 1);
  joint.new_members = options().change_to;
  return joint;
}

Configuration World::decided_configuration() const {
  if (!change_) return options().configuration;
  return final_ ? change_->final_configuration() : change_->joint();
}

// They are not there until they are told, or have pulled.
void World::add_joining_nodes() {
  for (const Member& member : options().change_to) {
    if (options().configuration.contains(member.id)) continue;
    AcceptorState fresh;
    fresh.configuration = joint_configuration();
    fresh.server.wal_segment_size = kSegment;
    ids_.push_back(member.id);
    acceptors_.emplace_back(Node{Acceptor(member.id, fresh, {}), fresh, {}, 0, Lsn(), false});
  }
}

MemberReport World::report_of(NodeId id) const {
  const Acceptor& a = at(id).machine;
  return {id, a.state().configuration.generation, a.term(), {a.last_log_term(), a.flush()}};
}

void World::enabled_on_change(std::vector<Action>& all) const {
  if (options().change_to.empty()) return;
  if (!change_) {
    all.push_back({Kind::DecideJoint, 0, NodeId(0)});
    return;
  }
  if (!final_ && change_->ready()) all.push_back({Kind::DecideFinal, 0, NodeId(0)});
  Configuration decided = decided_configuration();
  for (NodeId id : ids_) {
    if (!decided.contains(id)) continue;
    auto known = reported_.find(id);
    bool news =
        known == reported_.end() || at(id).machine.state().configuration.generation < decided.generation;
    if (!news) {
      MemberReport now = report_of(id);
      news = now.term != known->second.term || now.position != known->second.position;
    }
    if (news) all.push_back({Kind::Tell, 0, id});
    if (at(id).exists) continue;
    for (NodeId donor : ids_)
      if (at(donor).exists && at(donor).machine.has_wal())
        all.push_back({Kind::Pull, static_cast<int>(donor.value), id});
  }
  if (final_) return;
  for (NodeId id : change_->below_term()) all.push_back({Kind::Raise, 0, id});
}

std::string World::apply_to_change(const Action& action) {
  switch (action.kind) {
    case Kind::DecideJoint:
      change_.emplace(joint_configuration());
      return {};
    case Kind::DecideFinal:
      final_ = true;
      return {};
    case Kind::Tell:
      return tell(action.node);
    case Kind::Raise:
      return step_acceptor(action.node, edit(action.node).machine.raise_term(change_->fence()->term));
    default:
      return pull(action.node, NodeId(static_cast<uint64_t>(action.proposer)));
  }
}

std::string World::tell(NodeId id) {
  Shared<Node> before = acceptors_[place(id)].share();
  Node& node = edit(id);
  node.exists = true;
  auto adopted = node.machine.adopt_configuration(decided_configuration());
  if (!adopted.ok() && !adopted.is(Code::Stale)) return adopted.error().message();
  if (adopted.ok())
    if (std::string broken = step_acceptor(id, *std::move(adopted)); !broken.empty()) return broken;
  MemberReport told = report_of(id);
  if (told.term > node.persisted.term) return "reported a term that is not persisted";
  reported_.insert_or_assign(id, told);
  change_->report(told);
  return check_step(before.get().machine, node.machine);
}

// What a safekeeper does that joins: a copy of the donor's control file and WAL, put in place as a whole.
std::string World::pull(NodeId id, NodeId donor) {
  const Node& from = at(donor);
  AcceptorState state = from.persisted;
  state.configuration = decided_configuration();
  state.history = state.history.up_to(from.machine.flush());
  state.commit = from.machine.commit();
  Node& node = edit(id);
  node.exists = true;
  node.persisted = state;
  node.written.assign(from.written.begin(),
                      from.written.begin() + static_cast<ptrdiff_t>(from.machine.flush() - kBase));
  node.synced = node.written.size();
  node.machine = Acceptor(id, state, {from.machine.flush(), from.machine.flush_check()});
  return check_state(node.machine);
}

std::string World::reconfigured(int proposer) {
  std::string broken;
  while (!at(proposer).links.empty() && broken.empty())
    broken = drop(proposer, at(proposer).links.begin()->first);
  return broken;
}

std::string settle_change(World& world, const std::set<NodeId>& nodes, NodeId donor) {
  auto rank = [&](const Action& action) {
    switch (action.kind) {
      case Kind::DecideJoint:
      case Kind::DecideFinal:
        return 1;
      case Kind::Pull:
        return NodeId(static_cast<uint64_t>(action.proposer)) == donor && nodes.contains(action.node) ? 2 : 0;
      case Kind::Tell:
        return nodes.contains(action.node) ? 3 : 0;
      case Kind::Raise:
        return nodes.contains(action.node) ? 4 : 0;
      default:
        return 0;
    }
  };
  for (;;) {
    std::optional<Action> next;
    for (const Action& action : world.enabled())
      if (rank(action) > 0 && (!next || rank(action) < rank(*next))) next = action;
    if (!next) return {};
    if (std::string broken = world.apply(*next); !broken.empty()) return broken;
  }
}

}  // namespace argon::consensus::model
