#include "core/consensus/invariants.h"

namespace argon::consensus {

#define HOLDS(claim) \
  if (!(claim)) return #claim

std::string check_state(const Acceptor& a) {
  const AcceptorState& s = a.state();
  HOLDS(s.configuration.validate().ok());
  HOLDS(s.history.validate().ok());
  HOLDS(s.history.last_term() <= s.term);
  HOLDS(s.history.empty() || s.history.first().start == s.timeline_start);
  HOLDS(a.has_wal() || (!a.write().valid() && !a.flush().valid() && !s.commit.valid()));
  HOLDS(a.flush() <= a.durable());
  HOLDS(a.durable() <= a.write());
  HOLDS(s.commit <= a.flush());
  HOLDS(!a.has_wal() || s.local_start <= a.flush());
  HOLDS(a.voted() <= s.term);
  return {};
}

std::string check_step(const Acceptor& before, const Acceptor& after) {
  HOLDS(after.term() >= before.term());
  HOLDS(after.voted() == before.voted() ||
        (after.voted() > before.voted() && after.voted() == after.term() && after.term() > before.term()));
  HOLDS(after.commit() >= before.commit());
  HOLDS(after.state().configuration.generation >= before.state().configuration.generation);
  HOLDS(after.state().history.last_term() >= before.state().history.last_term());
  HOLDS(after.flush() >= before.commit());
  HOLDS(!before.has_wal() || after.state().local_start == before.state().local_start);
  HOLDS(!before.state().timeline_start.valid() ||
        after.state().timeline_start == before.state().timeline_start);
  return {};
}

std::string check_state(const Proposer& p) {
  HOLDS(p.configuration().validate().ok());
  if (!p.leading()) return {};
  HOLDS(p.history().validate().ok());
  HOLDS(p.history().last().term == p.term());
  HOLDS(p.history().last().start == p.start());
  HOLDS(!p.commit().valid() || (p.start() <= p.commit() && p.commit() <= p.wal_end()));
  HOLDS(p.truncate() <= p.commit());
  std::set<NodeId> holders;
  for (const auto& [id, flush] : p.acknowledged())
    if (p.commit().valid() && flush >= p.commit()) holders.insert(id);
  HOLDS(p.commit() == p.committed_earlier() || p.configuration().is_quorum(holders));
  return {};
}

std::string check_step(const Proposer& before, const Proposer& after) {
  HOLDS(after.commit() >= before.commit());
  HOLDS(after.truncate() >= before.truncate());
  HOLDS(after.phase() >= before.phase());
  HOLDS(before.phase() < Proposer::Phase::Campaigning || after.term() == before.term());
  HOLDS(before.phase() != Proposer::Phase::SteppedDown || after.commit() == before.commit());
  HOLDS(!before.leading() || after.start() == before.start());
  return {};
}

std::string check_restart(const AcceptorState& persisted, Lsn acknowledged_flush, const Acceptor& after) {
  HOLDS(after.term() >= persisted.term);
  HOLDS(after.state().history == persisted.history);
  HOLDS(after.flush() >= acknowledged_flush);
  HOLDS(after.flush() >= persisted.commit);
  return {};
}

#undef HOLDS

}  // namespace argon::consensus
