#include "core/compute/quorum_contact.h"

namespace argon::compute {

struct QuorumContact::Round {
  consensus::Configuration configuration;
  Term term;
  Duration patience;
  std::set<NodeId> confirmed = {};
  Status problem = {};
  size_t left = 0;
  WaitList news = {};

  bool has_quorum() const { return configuration.is_quorum(confirmed); }
};

Status QuorumContact::ask(Task& task, Duration patience, const std::function<Status(Task&)>& confirmed) {
  Round round{driver_.proposer().configuration(), driver_.proposer().term(), patience};
  std::set<NodeId> members = round.configuration.ids();
  std::erase_if(clients_, [&](const auto& client) { return !members.contains(client.first); });
  round.left = members.size();
  Scope asking(task);
  for (NodeId id : members)
    asking.spawn("ask safekeeper " + to_string(id), [this, id, &round](Task& t) -> Status {
      Status said = ask_member(t, *round.configuration.find(id), round);
      if (said.ok())
        round.confirmed.insert(id);
      else if (round.problem.ok() || said.is(Code::Stale))
        round.problem = std::move(said);
      round.left--;
      round.news.notify_all();
      return {};
    });
  Status waited;
  while (waited.ok() && !round.has_quorum() && round.left > 0) waited = round.news.wait(task);
  bool quorum = round.has_quorum();
  if (waited.ok() && quorum) waited = confirmed(task);
  if (!waited.ok()) asking.cancel();
  TRY(asking.join(task));
  TRY(waited);
  if (quorum) return {};
  return round.problem.is(Code::Stale)
             ? round.problem
             : Status(Error(Code::Unavailable,
                            "no quorum of safekeepers answers: " + round.problem.error().message()));
}

Status QuorumContact::ask_member(Task& task, const consensus::Member& member, const Round& round) {
  Deadline deadline(task, round.patience);
  // One that fails midway is of no more use.
  std::unique_ptr<wire::PgClient> client = std::move(clients_[member.id]);
  if (client == nullptr) {
    TRY_ASSIGN(client, wire::PgClient::connect_to_wal(task, Address::tcp(member.host, member.port),
                                                      driver_.proposer().id()));
  }
  TRY_ASSIGN(wire::QueryResult answer, client->query(task, "TIMELINE_STATUS"));
  if (answer.rows.size() != 1 || answer.rows[0].size() != 4 || !answer.rows[0][2] || !answer.rows[0][3])
    return Error(Code::Corrupt, "safekeeper " + to_string(member.id) + " does not tell its term");
  TRY_ASSIGN(uint64_t term, parse_u64(*answer.rows[0][2]));
  TRY_ASSIGN(uint64_t generation, parse_u64(*answer.rows[0][3]));
  clients_[member.id] = std::move(client);
  if (Term(term) > round.term || generation > round.configuration.generation.value)
    return Error(Code::Stale, "safekeeper " + to_string(member.id) + " is in term " + std::to_string(term) +
                                  " of configuration " + std::to_string(generation));
  return {};
}

}  // namespace argon::compute
