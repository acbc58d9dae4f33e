#include "core/consensus/model_world.h"

#include <algorithm>

#include "core/base/codec.h"

namespace argon::consensus::model {
namespace {

WalCheck check_at(const Bytes& log, Lsn at) {
  return extend_check(first_check(kBase), kBase, ByteView(log).first(at - kBase), kSegment);
}

// The end of the last whole record: two bytes, none of them zero.
Lsn decode_end(const Bytes& log) {
  size_t end = 0;
  while (end + 2 <= log.size() && log[end] != 0 && log[end + 1] != 0) end += 2;
  return kBase + end;
}

size_t offset(Lsn lsn) {
  return lsn - kBase;
}

}  // namespace

std::string to_string(const Action& action) {
  static constexpr const char* kNames[] = {"connect", "to_acceptor",  "to_proposer",   "drop",    "flush",
                                           "write",   "crash_losing", "crash_keeping", "campaign"};
  return std::string(kNames[static_cast<size_t>(action.kind)]) + " p" + std::to_string(action.proposer) +
         " n" + argon::to_string(action.node);
}

World::World(Options options) : options_(std::move(options)) {
  for (NodeId id : options_.configuration.ids()) {
    AcceptorState fresh;
    fresh.configuration = options_.configuration;
    fresh.server.wal_segment_size = kSegment;
    acceptors_.emplace(id, Node{Acceptor(id, fresh, {}), fresh, {}, 0, Lsn()});
  }
  for (int i = 0; i < options_.proposers; ++i)
    proposers_.push_back(Compute{new_proposer(Term(0)), {}, {}, Term(0), false, 0});
  attempts_ = options_.proposers;
  if (options_.connected)
    for (int p = 0; p < options_.proposers; ++p)
      for (NodeId id : options_.configuration.ids())
        if (reaches(p, id)) CHECK(apply({Kind::Connect, p, id}).empty());
}

Proposer World::new_proposer(Term min_term) const {
  ProposerConfig config;
  config.configuration = options_.configuration;
  config.server.wal_segment_size = kSegment;
  config.bootstrap_start = kBase;
  config.min_term = min_term;
  return Proposer(config);
}

bool World::reaches(int proposer, NodeId id) const {
  return options_.reach.empty() || options_.reach.contains({proposer, id});
}

std::vector<Action> World::enabled() const {
  std::vector<Action> all;
  for (int p = 0; p < options_.proposers; ++p) {
    const Compute& compute = proposers_[static_cast<size_t>(p)];
    bool dead = compute.machine.phase() == Proposer::Phase::SteppedDown;
    if (attempts_ < options_.attempts_max) all.push_back({Kind::Campaign, p, NodeId(0)});
    if (dead) continue;
    if (compute.may_write && compute.records < options_.records_max)
      all.push_back({Kind::Write, p, NodeId(0)});
    for (NodeId id : options_.configuration.ids()) {
      auto link = compute.links.find(id);
      if (link == compute.links.end()) {
        if (reaches(p, id)) all.push_back({Kind::Connect, p, id});
        continue;
      }
      if (!link->second.up.empty()) all.push_back({Kind::ToAcceptor, p, id});
      if (!link->second.down.empty()) all.push_back({Kind::ToProposer, p, id});
      if (drops_ < options_.drops_max) all.push_back({Kind::Drop, p, id});
    }
  }
  for (const auto& [id, node] : acceptors_) {
    if (node.machine.unflushed()) all.push_back({Kind::Flush, 0, id});
    if (crashes_ < options_.crashes_max) {
      all.push_back({Kind::CrashLosing, 0, id});
      if (node.machine.unflushed()) all.push_back({Kind::CrashKeeping, 0, id});
    }
  }
  return all;
}

std::string World::apply(const Action& action) {
  Compute& compute = proposers_[static_cast<size_t>(action.proposer)];
  std::string broken;
  switch (action.kind) {
    case Kind::Connect: {
      compute.links[action.node].id = ConnectionId(next_connection_++);
      Proposer before = compute.machine;
      broken = check_proposer(action.proposer, before, compute.machine.on_connected(action.node));
      break;
    }
    case Kind::ToAcceptor:
      broken = to_acceptor(action.proposer, action.node);
      if (broken.empty() && options_.rpc)
        for (auto link = compute.links.find(action.node);
             broken.empty() && link != compute.links.end() && !link->second.down.empty();
             link = compute.links.find(action.node))
          broken = to_proposer(action.proposer, action.node);
      break;
    case Kind::ToProposer:
      broken = to_proposer(action.proposer, action.node);
      break;
    case Kind::Drop:
      ++drops_;
      broken = drop(action.proposer, action.node);
      break;
    case Kind::Flush: {
      Node& node = acceptors_.at(action.node);
      node.synced = node.written.size();
      Acceptor before = node.machine;
      broken =
          step_acceptor(action.node, node.machine.on_flushed(kBase + node.synced, decode_end(node.written)));
      if (broken.empty()) broken = check_step(before, node.machine);
      break;
    }
    case Kind::Write: {
      ++compute.records;
      compute.log.push_back(static_cast<uint8_t>(compute.machine.term().value));
      compute.log.push_back(static_cast<uint8_t>(16 * (action.proposer + 1) + compute.records));
      compute.machine.on_wal(kBase + compute.log.size());
      break;
    }
    case Kind::CrashLosing:
      broken = crash(action.node, false);
      break;
    case Kind::CrashKeeping:
      broken = crash(action.node, true);
      break;
    case Kind::Campaign: {
      ++attempts_;
      while (!compute.links.empty() && broken.empty())
        broken = drop(action.proposer, compute.links.begin()->first);
      compute = Compute{new_proposer(compute.last_term), {}, {}, compute.last_term, false, 0};
      break;
    }
  }
  for (int p = 0; p < options_.proposers; ++p) pump(p);
  return broken;
}

std::string World::drop(int proposer, NodeId id) {
  Compute& compute = proposers_[static_cast<size_t>(proposer)];
  auto link = compute.links.find(id);
  if (link == compute.links.end()) return {};
  acceptors_.at(id).machine.on_disconnected(link->second.id);
  compute.links.erase(link);
  compute.machine.on_disconnected(id);
  return {};
}

// Three bytes at a time, so that records are cut.
void World::pump(int proposer) {
  Compute& compute = proposers_[static_cast<size_t>(proposer)];
  for (auto& [id, link] : compute.links)
    while (auto append = compute.machine.next_append(id, 3)) {
      auto wal =
          std::make_shared<const Bytes>(compute.log.begin() + static_cast<ptrdiff_t>(offset(append->begin)),
                                        compute.log.begin() + static_cast<ptrdiff_t>(offset(append->end)));
      link.up.push_back({append->request(check_at(compute.log, append->begin), *wal), wal});
    }
}

std::string World::to_acceptor(int proposer, NodeId id) {
  Link& link = proposers_[static_cast<size_t>(proposer)].links.at(id);
  Wire wire = std::move(link.up.front());
  link.up.pop_front();
  Node& node = acceptors_.at(id);
  Acceptor before = node.machine;
  std::string broken = step_acceptor(id, node.machine.on_message(link.id, wire.message));
  return broken.empty() ? check_step(before, node.machine) : broken;
}

std::string World::step_acceptor(NodeId id, AcceptorEffects effects) {
  if (std::string broken = run_effects(id, std::move(effects)); !broken.empty()) return broken;
  return check_state(acceptors_.at(id).machine);
}

std::string World::run_effects(NodeId id, AcceptorEffects effects) {
  Node& node = acceptors_.at(id);
  for (AcceptorEffect& effect : effects) {
    if (auto* persist = std::get_if<PersistState>(&effect)) node.persisted = persist->state;
    if (auto* write = std::get_if<WriteWal>(&effect)) {
      if (offset(write->at) != node.written.size()) return "WAL written with a gap";
      append(node.written, write->wal);
    }
    if (std::get_if<FlushWal>(&effect)) {
      node.synced = node.written.size();
      std::string broken =
          run_effects(id, node.machine.on_flushed(kBase + node.synced, decode_end(node.written)));
      if (!broken.empty()) return broken;
    }
    if (auto* cut = std::get_if<TruncateWal>(&effect)) {
      truncations_ += offset(cut->to) < node.written.size() ? 1 : 0;
      node.written.resize(offset(cut->to));
      node.synced = node.written.size();
      node.acknowledged = std::min(node.acknowledged, cut->to);
      std::string broken = run_effects(id, node.machine.on_truncated(check_at(node.written, cut->to)));
      if (!broken.empty()) return broken;
    }
    if (auto* reply = std::get_if<Reply>(&effect)) {
      if (auto* told = std::get_if<AppendResponse>(&reply->message)) {
        if (told->flush.valid() && offset(told->flush) > node.synced)
          return "acknowledged WAL that is not synced";
        node.acknowledged = std::max(node.acknowledged, told->flush);
      }
      Term told = std::visit(
          [](const auto& message) {
            if constexpr (requires { message.term; }) return message.term;
            return Term(0);
          },
          reply->message);
      if (told > node.persisted.term) return "answered in a term that is not persisted";
      answer(reply->connection, std::move(reply->message));
    }
    if (auto* close = std::get_if<CloseConnection>(&effect)) {
      if (close->reason.code() == Code::Corrupt) return close->reason.message();
      answer(close->connection, Refusal{close->reason.code(), close->reason.message()});
    }
    if (auto* told = std::get_if<Committed>(&effect)) {
      if (told->commit > committed_end()) return "an acceptor's commit is ahead of every proposer's";
      if (!std::equal(node.written.begin(),
                      node.written.begin() + static_cast<ptrdiff_t>(offset(told->commit)),
                      committed_.begin()))
        return "an acceptor holds other bytes than were committed";
    }
  }
  return {};
}

void World::answer(ConnectionId to, AcceptorMessage message) {
  for (Compute& compute : proposers_)
    for (auto& [id, link] : compute.links)
      if (link.id == to) {
        link.down.push_back(std::move(message));
        return;
      }
}

std::string World::to_proposer(int proposer, NodeId id) {
  Compute& compute = proposers_[static_cast<size_t>(proposer)];
  Link& link = compute.links.at(id);
  AcceptorMessage message = std::move(link.down.front());
  link.down.pop_front();
  Proposer before = compute.machine;
  return check_proposer(proposer, before, compute.machine.on_message(id, message));
}

std::string World::check_proposer(int proposer, const Proposer& before, const ProposerEffects& effects) {
  Compute& compute = proposers_[static_cast<size_t>(proposer)];
  if (std::string broken = run_effects(proposer, effects); !broken.empty()) return broken;
  if (std::string broken = check_step(before, compute.machine); !broken.empty()) return broken;
  return check_state(compute.machine);
}

std::string World::run_effects(int proposer, const ProposerEffects& effects) {
  Compute& compute = proposers_[static_cast<size_t>(proposer)];
  for (const ProposerEffect& effect : effects) {
    std::string broken;
    if (auto* send = std::get_if<Send>(&effect)) {
      if (auto link = compute.links.find(send->to); link != compute.links.end())
        link->second.up.push_back({send->message, nullptr});
    }
    if (auto* persist = std::get_if<PersistTerm>(&effect)) {
      compute.last_term = persist->term;
      broken = run_effects(proposer, compute.machine.on_term_persisted());
    }
    if (auto* e = std::get_if<Elected>(&effect)) broken = elected(compute, *e);
    if (std::get_if<StartCommitted>(&effect)) compute.may_write = true;
    if (auto* advanced = std::get_if<CommitAdvanced>(&effect)) broken = committed(proposer, advanced->commit);
    if (auto* close = std::get_if<CloseLink>(&effect)) broken = drop(proposer, close->to);
    if (auto* down = std::get_if<SteppedDown>(&effect); down && down->reason.code() == Code::Corrupt)
      broken = down->reason.message();
    if (!broken.empty()) return broken;
  }
  return {};
}

std::string World::elected(Compute& compute, const Elected& e) {
  ++elections_;
  compute.log.clear();
  if (e.donor != NodeId(0)) compute.log = acceptors_.at(e.donor).written;
  if (kBase + compute.log.size() < e.start) return "the donor lost WAL it had flushed";
  compute.log.resize(offset(e.start));
  if (committed_.size() > compute.log.size() ||
      !std::equal(committed_.begin(), committed_.end(), compute.log.begin()))
    if (committers_.empty() || committers_.rbegin()->first < e.term)
      return "elected in term " + argon::to_string(e.term) + " at " + argon::to_string(e.start) +
             " without all that is committed";
  return {};
}

std::string World::committed(int proposer, Lsn commit) {
  Compute& compute = proposers_[static_cast<size_t>(proposer)];
  Term term = compute.machine.term();
  auto [at, first] = committers_.try_emplace(term, proposer);
  if (!first && at->second != proposer) return "two proposers committed in term " + argon::to_string(term);
  size_t n = std::min(offset(commit), committed_.size());
  if (!std::equal(committed_.begin(), committed_.begin() + static_cast<ptrdiff_t>(n), compute.log.begin()))
    return "committed WAL changed";
  if (offset(commit) > committed_.size())
    committed_.assign(compute.log.begin(), compute.log.begin() + static_cast<ptrdiff_t>(offset(commit)));
  return {};
}

std::string World::crash(NodeId id, bool keep) {
  ++crashes_;
  std::string broken;
  for (int p = 0; p < options_.proposers; ++p) broken += drop(p, id);
  Node& node = acceptors_.at(id);
  if (!keep) node.written.resize(node.synced);
  WalEnd end;
  if (node.persisted.local_start.valid()) {
    end.flush = decode_end(node.written);
    node.written.resize(offset(end.flush));
    end.check = check_at(node.written, end.flush);
  }
  node.synced = node.written.size();
  node.machine = Acceptor(id, node.persisted, end);
  broken += check_restart(node.persisted, node.acknowledged, node.machine);
  return broken.empty() ? check_state(node.machine) : broken;
}

void World::fingerprint(Bytes& out) const {
  Writer w(out);
  w.be(crashes_).be(drops_).be(attempts_).bytes(committed_).u8(0);
  // Connections are named by their order, since only which is which matters.
  std::vector<ConnectionId> live;
  for (const Compute& compute : proposers_) {
    compute.machine.fingerprint(out);
    w.bytes(compute.log).u8(0).be(compute.records).u8(compute.may_write);
    for (const auto& [id, link] : compute.links) {
      live.push_back(link.id);
      w.be(id.value).u8(static_cast<uint8_t>(link.up.size()));
      for (const Wire& wire : link.up) {
        w.u8(static_cast<uint8_t>(wire.message.index()));
        if (auto* a = std::get_if<AppendRequest>(&wire.message))
          w.be(a->begin.value).be(a->commit.value).be(a->truncate.value).bytes(a->wal).u8(0);
      }
      w.u8(static_cast<uint8_t>(link.down.size()));
      for (const AcceptorMessage& message : link.down) {
        w.u8(static_cast<uint8_t>(message.index()));
        if (auto* g = std::get_if<AcceptorGreeting>(&message)) w.be(g->term.value);
        if (auto* v = std::get_if<VoteResponse>(&message))
          w.be(v->term.value).u8(v->given).be(v->flush.value).be(v->history.last_term().value);
        if (auto* r = std::get_if<AppendResponse>(&message)) w.be(r->term.value).be(r->flush.value);
      }
    }
  }
  for (const auto& [id, node] : acceptors_) {
    Bytes machine;
    node.machine.fingerprint(machine);
    // The leader's connection number is inside; replace it by its order.
    w.bytes(ByteView(machine).first(72)).bytes(ByteView(machine).subspan(80));
    auto leader = node.machine.leader();
    w.be<uint64_t>(leader ? static_cast<uint64_t>(std::find(live.begin(), live.end(), *leader) - live.begin())
                          : 99);
    w.bytes(node.written).u8(0).be(node.synced).be(node.persisted.commit.value);
  }
}

std::string run_random(World& world, Random& random, int steps) {
  std::vector<Action> trace;
  for (int i = 0; i < steps; ++i) {
    std::vector<Action> enabled = world.enabled();
    if (enabled.empty()) break;
    // Faults are rarer than work.
    Action action = enabled[random.below(enabled.size())];
    bool fault = action.kind == Kind::Drop || action.kind >= Kind::CrashLosing;
    bool keep = random.chance({1, 6});
    if (fault && !keep) continue;
    trace.push_back(action);
    std::string broken = world.apply(action);
    if (broken.empty()) continue;
    for (const Action& past : trace) broken += "\n  " + to_string(past);
    return broken;
  }
  return {};
}

}  // namespace argon::consensus::model
