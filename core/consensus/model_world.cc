#include "core/consensus/model_world.h"

#include <algorithm>

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/consensus/codec.h"

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

// All that a message says.
template <typename Message>
uint64_t print_of(const Message& message) {
  Bytes bytes;
  encode_message(bytes, message);
  return hash64(bytes);
}

void print_state(Writer& w, const AcceptorState& state) {
  w.be(state.term.value).be(state.commit.value).be(state.local_start.value).be(state.timeline_start.value);
  w.be(state.configuration.generation.value).be<uint64_t>(state.history.entries().size());
  for (const TermStart& entry : state.history.entries()) w.be(entry.term.value).be(entry.start.value);
}

}  // namespace

std::string to_string(const Action& action) {
  static constexpr const char* kNames[] = {
      "connect",         "to_acceptor",  "to_proposer",  "drop",
      "flush",           "write",        "crash_losing", "crash_keeping",
      "campaign",        "part",         "stale",        "lose_up",
      "lose_down",       "repeat_up",    "repeat_down",  "crash_after_one",
      "crash_after_two", "decide_joint", "decide_final", "tell",
      "raise",           "pull",         "fill",         "derive"};
  return std::string(kNames[static_cast<size_t>(action.kind)]) + " p" + std::to_string(action.proposer) +
         " n" + argon::to_string(action.node);
}

World::World(Options options) : shared_options_(std::make_shared<const Options>(std::move(options))) {
  for (NodeId id : this->options().configuration.ids()) {
    AcceptorState fresh;
    fresh.configuration = this->options().configuration;
    fresh.server.wal_segment_size = kSegment;
    ids_.push_back(id);
    acceptors_.emplace_back(Node{Acceptor(id, fresh, {}), fresh, {}, 0, Lsn()});
  }
  add_joining_nodes();
  for (int i = 0; i < this->options().proposers; ++i)
    proposers_.emplace_back(Compute{new_proposer(Term(0)), {}, {}, {}, Term(0), false, 0});
  attempts_ = this->options().proposers;
  if (this->options().connected)
    for (int p = 0; p < this->options().proposers; ++p)
      for (NodeId id : this->options().configuration.ids())
        if (reaches(p, id)) CHECK(apply({Kind::Connect, p, id}).empty());
}

Proposer World::new_proposer(Term min_term) const {
  ProposerConfig config;
  config.configuration = options().configuration;
  config.server.wal_segment_size = kSegment;
  config.bootstrap_start = kBase;
  config.min_term = min_term;
  return Proposer(config);
}

size_t World::place(NodeId id) const {
  return static_cast<size_t>(std::ranges::find(ids_, id) - ids_.begin());
}

bool World::reaches(int proposer, NodeId id) const {
  return options().reach.empty() || options().reach.contains({proposer, id});
}

bool World::may_connect(int proposer, NodeId id) const {
  return at(proposer).machine.configuration().contains(id) && at(id).exists && reaches(proposer, id);
}

bool World::may_fail(int used, int most) const {
  return used < most && crashes_ + drops_ + partings_ + losses_ + duplicates_ < options().faults_max;
}

void World::enabled_on_link(int p, NodeId id, const Link& link, std::vector<Action>& all) const {
  if (!link.up.empty()) {
    all.push_back({Kind::ToAcceptor, p, id});
    if (may_fail(losses_, options().losses_max)) all.push_back({Kind::LoseUp, p, id});
    if (may_fail(duplicates_, options().duplicates_max)) all.push_back({Kind::RepeatUp, p, id});
    if (may_fail(crashes_, options().crashes_max) && may_fail(halfway_, options().halfway_max)) {
      all.push_back({Kind::CrashAfterOne, p, id});
      all.push_back({Kind::CrashAfterTwo, p, id});
    }
  }
  if (!link.down.empty()) {
    all.push_back({Kind::ToProposer, p, id});
    if (may_fail(losses_, options().losses_max)) all.push_back({Kind::LoseDown, p, id});
    if (may_fail(duplicates_, options().duplicates_max)) all.push_back({Kind::RepeatDown, p, id});
  }
  if (may_fail(drops_, options().drops_max)) all.push_back({Kind::Drop, p, id});
}

std::vector<Action> World::enabled() const {
  std::vector<Action> all;
  all.reserve(32);
  for (int p = 0; p < options().proposers; ++p) {
    const Compute& compute = at(p);
    bool dead = compute.machine.phase() == Proposer::Phase::SteppedDown;
    if (attempts_ < options().attempts_max) all.push_back({Kind::Campaign, p, NodeId(0)});
    for (const auto& [id, link] : compute.stale) all.push_back({Kind::Stale, p, id});
    if (dead) continue;
    bool more = compute.records < options().records_max && entries_ < options().entries_max;
    if (compute.may_write && more) all.push_back({Kind::Write, p, NodeId(0)});
    for (NodeId id : ids_) {
      auto link = compute.links.find(id);
      if (link == compute.links.end()) {
        if (may_connect(p, id)) all.push_back({Kind::Connect, p, id});
        continue;
      }
      enabled_on_link(p, id, link->second, all);
      if (may_fail(partings_, options().partings_max) && !compute.stale.contains(id) &&
          !link->second.up.empty())
        all.push_back({Kind::Part, p, id});
    }
  }
  for (NodeId id : ids_) {
    const Node& node = at(id);
    if (!node.exists) continue;
    if (options().peers) enabled_on_peers(id, all);
    if (node.machine.unflushed()) all.push_back({Kind::Flush, 0, id});
    if (may_fail(crashes_, options().crashes_max)) {
      all.push_back({Kind::CrashLosing, 0, id});
      if (node.machine.unflushed()) all.push_back({Kind::CrashKeeping, 0, id});
    }
  }
  enabled_on_change(all);
  return all;
}

// Numbers come again once both ends have forgotten them, so that worlds that differ in nothing else are the
// same.
ConnectionId World::unused_connection(int proposer, NodeId id) const {
  const Compute& compute = at(proposer);
  uint64_t first = id.value * 100 + static_cast<uint64_t>(proposer) * 2 + 1;
  auto old = compute.stale.find(id);
  bool taken = old != compute.stale.end() && old->second.id == ConnectionId(first);
  return ConnectionId(taken ? first + 1 : first);
}

std::string World::apply(const Action& action) {
  std::string broken;
  switch (action.kind) {
    case Kind::Flush:
    case Kind::CrashLosing:
    case Kind::CrashKeeping:
      broken = apply_to_node(action);
      break;
    case Kind::Write: {
      Compute& compute = edit(action.proposer);
      ++compute.records;
      ++entries_;
      compute.log.push_back(static_cast<uint8_t>(compute.machine.term().value));
      compute.log.push_back(static_cast<uint8_t>(16 * (action.proposer + 1) + compute.records));
      compute.machine.on_wal(kBase + compute.log.size());
      break;
    }
    case Kind::Campaign: {
      ++attempts_;
      while (!at(action.proposer).links.empty() && broken.empty())
        broken = drop(action.proposer, at(action.proposer).links.begin()->first);
      Compute& compute = edit(action.proposer);
      compute = Compute{
          new_proposer(compute.last_term), {}, {}, std::move(compute.stale), compute.last_term, false, 0};
      break;
    }
    case Kind::DecideJoint:
    case Kind::DecideFinal:
    case Kind::Tell:
    case Kind::Raise:
    case Kind::Pull:
      broken = apply_to_change(action);
      break;
    case Kind::Fill:
      broken = fill(action.node, NodeId(static_cast<uint64_t>(action.proposer)));
      break;
    case Kind::Derive:
      broken = derive(action.node);
      break;
    default:
      broken = apply_to_link(action);
      break;
  }
  for (int p = 0; p < options().proposers; ++p)
    if (broken.empty() && proposers_[static_cast<size_t>(p)].changed()) broken = pump(p);
  return broken;
}

std::string World::apply_to_node(const Action& action) {
  if (action.kind != Kind::Flush) return crash(action.node, action.kind == Kind::CrashKeeping);
  Shared<Node> before = acceptors_[place(action.node)].share();
  Node& node = edit(action.node);
  node.synced = node.written.size();
  std::string broken =
      step_acceptor(action.node, node.machine.on_flushed(kBase + node.synced, decode_end(node.written)));
  return broken.empty() ? check_step(before.get().machine, node.machine) : broken;
}

void World::tamper(Kind kind, Link& link) {
  bool lose = kind == Kind::LoseUp || kind == Kind::LoseDown;
  ++(lose ? losses_ : duplicates_);
  if (kind == Kind::LoseUp) link.up.erase(link.up.begin());
  if (kind == Kind::LoseDown) link.down.erase(link.down.begin());
  if (kind == Kind::RepeatUp) link.up.insert(link.up.begin(), link.up.front());
  if (kind == Kind::RepeatDown) link.down.insert(link.down.begin(), link.down.front());
}

std::string World::apply_to_link(const Action& action) {
  int proposer = action.proposer;
  NodeId id = action.node;
  std::string broken;
  if (action.kind == Kind::Connect) {
    Shared<Compute> before = proposers_[static_cast<size_t>(proposer)].share();
    Compute& compute = edit(proposer);
    compute.links[id].id = unused_connection(proposer, id);
    return check_proposer(proposer, before.get().machine, compute.machine.on_connected(id));
  }
  if (action.kind == Kind::Stale) {
    stale(proposer, id, broken);
    return broken;
  }
  switch (action.kind) {
    case Kind::ToAcceptor:
      broken = to_acceptor(proposer, id);
      if (!options().rpc) return broken;
      for (auto link = at(proposer).links.find(id);
           broken.empty() && link != at(proposer).links.end() && !link->second.down.empty();
           link = at(proposer).links.find(id))
        broken = to_proposer(proposer, id);
      return broken;
    case Kind::ToProposer:
      return to_proposer(proposer, id);
    case Kind::Drop:
      ++drops_;
      return drop(proposer, id);
    case Kind::Part:
      ++partings_;
      part(proposer, id);
      return {};
    case Kind::LoseUp:
    case Kind::LoseDown:
    case Kind::RepeatUp:
    case Kind::RepeatDown:
      tamper(action.kind, edit(proposer).links.at(id));
      return {};
    default:
      return crash_halfway(proposer, id, action.kind == Kind::CrashAfterOne ? 1 : 2);
  }
}

void World::part(int proposer, NodeId id) {
  Compute& compute = edit(proposer);
  auto link = compute.links.extract(id);
  link.mapped().down.clear();
  compute.stale.insert(std::move(link));
  compute.machine.on_disconnected(id);
}

void World::stale(int proposer, NodeId id, std::string& broken) {
  Compute& compute = edit(proposer);
  Link& link = compute.stale.at(id);
  if (link.up.empty()) {
    edit(id).machine.on_disconnected(link.id);
    compute.stale.erase(id);
    return;
  }
  std::shared_ptr<const Wire> wire = link.up.front();
  link.up.erase(link.up.begin());
  broken = deliver(id, link.id, *wire);
}

std::string World::crash_halfway(int proposer, NodeId id, int effects) {
  ++halfway_;
  effects_left_ = effects;
  std::string broken = to_acceptor(proposer, id);
  effects_left_ = kAllEffects;
  return broken.empty() ? crash(id, true) : broken;
}

std::string World::drop(int proposer, NodeId id) {
  auto link = at(proposer).links.find(id);
  if (link == at(proposer).links.end()) return {};
  edit(id).machine.on_disconnected(link->second.id);
  Compute& compute = edit(proposer);
  compute.links.erase(id);
  compute.machine.on_disconnected(id);
  return {};
}

// Three bytes at a time, so that records are cut.
std::string World::pump(int proposer) {
  Compute& compute = edit(proposer);
  for (auto& [id, link] : compute.links)
    while (auto append = compute.machine.next_append(id, 3)) {
      if (append->end < append->begin || offset(append->end) > compute.log.size())
        return "a proposer streams WAL that it does not have, up to " + argon::to_string(append->end);
      auto wire = std::make_shared<Wire>();
      wire->wal.assign(compute.log.begin() + static_cast<ptrdiff_t>(offset(append->begin)),
                       compute.log.begin() + static_cast<ptrdiff_t>(offset(append->end)));
      wire->message = append->request(check_at(compute.log, append->begin), wire->wal);
      wire->print = print_of(wire->message);
      link.up.push_back(std::move(wire));
    }
  return {};
}

std::string World::to_acceptor(int proposer, NodeId id) {
  Link& link = edit(proposer).links.at(id);
  std::shared_ptr<const Wire> wire = link.up.front();
  link.up.erase(link.up.begin());
  return deliver(id, link.id, *wire);
}

std::string World::deliver(NodeId id, ConnectionId from, const Wire& wire) {
  Shared<Node> before = acceptors_[place(id)].share();
  Node& node = edit(id);
  std::string broken = run_effects(id, node.machine.on_message(from, wire.message));
  if (!broken.empty() || effects_left_ <= 0) return broken;
  broken = check_state(node.machine);
  return broken.empty() ? check_step(before.get().machine, node.machine) : broken;
}

std::string World::step_acceptor(NodeId id, AcceptorEffects effects) {
  if (std::string broken = run_effects(id, std::move(effects)); !broken.empty()) return broken;
  return check_state(at(id).machine);
}

std::string World::run_effects(NodeId id, AcceptorEffects effects) {
  Node& node = edit(id);
  for (AcceptorEffect& effect : effects) {
    if (effects_left_-- <= 0) return {};
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
      if (node.machine.state().configuration.generation > node.persisted.configuration.generation)
        return "answered in a configuration that is not persisted";
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
  for (Shared<Compute>& compute : proposers_)
    for (const auto& [id, link] : compute.get().links)
      if (link.id == to) {
        uint64_t print = print_of(message);
        compute.edit().links.at(id).down.push_back(std::make_shared<const Answer>(std::move(message), print));
        return;
      }
}

std::string World::to_proposer(int proposer, NodeId id) {
  Shared<Compute> before = proposers_[static_cast<size_t>(proposer)].share();
  Compute& compute = edit(proposer);
  Link& link = compute.links.at(id);
  std::shared_ptr<const Answer> answer = link.down.front();
  link.down.erase(link.down.begin());
  return check_proposer(proposer, before.get().machine, compute.machine.on_message(id, answer->message));
}

std::string World::check_proposer(int proposer, const Proposer& before, const ProposerEffects& effects) {
  if (std::string broken = run_effects(proposer, effects); !broken.empty()) return broken;
  const Compute& compute = at(proposer);
  if (std::string broken = check_step(before, compute.machine); !broken.empty()) return broken;
  return check_state(compute.machine);
}

std::string World::run_effects(int proposer, const ProposerEffects& effects) {
  Compute& compute = edit(proposer);
  for (const ProposerEffect& effect : effects) {
    std::string broken;
    if (auto* send = std::get_if<Send>(&effect)) {
      if (auto link = compute.links.find(send->to); link != compute.links.end())
        link->second.up.push_back(
            std::make_shared<const Wire>(send->message, Bytes(), print_of(send->message)));
    }
    if (auto* persist = std::get_if<PersistTerm>(&effect)) {
      compute.last_term = persist->term;
      broken = run_effects(proposer, compute.machine.on_term_persisted());
    }
    if (auto* e = std::get_if<Elected>(&effect)) broken = elected(proposer, *e);
    if (std::get_if<Reconfigured>(&effect)) broken = reconfigured(proposer);
    if (std::get_if<StartCommitted>(&effect)) compute.may_write = true;
    if (auto* advanced = std::get_if<CommitAdvanced>(&effect)) broken = committed(proposer, advanced->commit);
    if (auto* close = std::get_if<CloseLink>(&effect)) broken = drop(proposer, close->to);
    if (auto* down = std::get_if<SteppedDown>(&effect); down && down->reason.code() == Code::Corrupt)
      broken = down->reason.message();
    if (!broken.empty()) return broken;
  }
  return {};
}

std::string World::elected(int proposer, const Elected& e) {
  ++elections_;
  if (!won_.emplace(e.term, e.start).second) return "term " + argon::to_string(e.term) + " was won twice";
  Compute& compute = edit(proposer);
  compute.log.clear();
  if (e.donor != NodeId(0)) compute.log = at(e.donor).written;
  if (kBase + compute.log.size() < e.start) return "the donor lost WAL it had flushed";
  compute.log.resize(offset(e.start));
  if (committed_.size() > compute.log.size() ||
      !std::equal(committed_.begin(), committed_.end(), compute.log.begin()))
    if ((committers_.empty() || committers_.back().first < e.term) && derived_ < e.term)
      return "elected in term " + argon::to_string(e.term) + " at " + argon::to_string(e.start) +
             " without all that is committed";
  return {};
}

std::string World::committed(int proposer, Lsn commit) {
  const Compute& compute = at(proposer);
  Term term = compute.machine.term();
  auto known = std::ranges::lower_bound(committers_, std::pair(term, 0));
  if (known == committers_.end() || known->first != term)
    committers_.insert(known, {term, proposer});
  else if (known->second != proposer)
    return "two proposers committed in term " + argon::to_string(term);
  for (auto later = won_.upper_bound(term); later != won_.end(); ++later)
    if (later->second < commit) return "committed what a proposer of a later term does not have";
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
  for (int p = 0; p < options().proposers; ++p) {
    broken += drop(p, id);
    if (at(p).stale.contains(id)) edit(p).stale.erase(id);
  }
  Node& node = edit(id);
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

uint64_t World::print_of_compute(const Compute& compute) const {
  Bytes out;
  out.reserve(1'000);
  Writer w(out);
  auto print_link = [&](NodeId id, const Link& link) {
    w.u8(static_cast<uint8_t>(id.value)).be(link.id.value);
    w.u8(static_cast<uint8_t>(link.up.size())).u8(static_cast<uint8_t>(link.down.size()));
    for (const auto& wire : link.up) w.be(wire->print);
    for (const auto& answer : link.down) w.be(answer->print);
  };
  compute.machine.fingerprint(out);
  w.be<uint64_t>(compute.log.size()).bytes(compute.log).be(compute.records).u8(compute.may_write);
  w.be(compute.last_term.value).u8(static_cast<uint8_t>(compute.links.size()));
  for (const auto& [id, link] : compute.links) print_link(id, link);
  w.u8(static_cast<uint8_t>(compute.stale.size()));
  for (const auto& [id, link] : compute.stale) print_link(id, link);
  return hash64(out);
}

uint64_t World::print_of_node(const Node& node) const {
  Bytes out;
  out.reserve(600);
  Writer w(out);
  node.machine.fingerprint(out);
  print_state(w, node.persisted);
  w.be<uint64_t>(node.written.size()).bytes(node.written).be<uint64_t>(node.synced);
  w.be(node.acknowledged.value).u8(node.exists);
  return hash64(out);
}

void World::fingerprint(Bytes& out) const {
  Writer w(out);
  for (int count : {crashes_, halfway_, drops_, partings_, losses_, duplicates_, attempts_, entries_})
    w.u8(static_cast<uint8_t>(count));
  w.be<uint64_t>(committed_.size()).bytes(committed_);
  for (const auto& [term, proposer] : committers_) w.be(term.value).be(proposer);
  w.be(derived_.value);
  for (const auto& [term, start] : won_) w.be(term.value).be(start.value);
  w.u8(change_.has_value()).u8(final_);
  for (const auto& [id, told] : reported_)
    w.be(id.value)
        .be(told.generation.value)
        .be(told.term.value)
        .be(told.position.last_log_term.value)
        .be(told.position.flush.value);
  for (const auto& compute : proposers_)
    w.be(compute.print([this](const Compute& c) { return print_of_compute(c); }));
  for (const auto& node : acceptors_) w.be(node.print([this](const Node& n) { return print_of_node(n); }));
}

std::string settle(World& world, int proposer, const std::set<NodeId>& acceptors) {
  auto wanted = [&](const Action& action) {
    bool arrives = action.kind == Kind::ToAcceptor || action.kind == Kind::ToProposer;
    return acceptors.contains(action.node) &&
           (action.kind == Kind::Flush || (arrives && action.proposer == proposer));
  };
  for (;;) {
    std::vector<Action> all = world.enabled();
    auto next = std::find_if(all.begin(), all.end(), wanted);
    if (next == all.end()) return {};
    if (std::string broken = world.apply(*next); !broken.empty()) return broken;
  }
}

std::string run_random(World& world, Random& random, int steps) {
  std::vector<Action> trace;
  for (int i = 0; i < steps; ++i) {
    std::vector<Action> enabled = world.enabled();
    if (enabled.empty()) break;
    // Faults are rarer than work.
    Action action = enabled[random.below(enabled.size())];
    bool fault =
        action.kind == Kind::Drop || (action.kind >= Kind::CrashLosing && action.kind != Kind::Stale);
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
