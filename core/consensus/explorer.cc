#include "core/consensus/explorer.h"

#include <algorithm>
#include <array>

#include "core/base/checksum.h"

namespace argon::consensus::model {
namespace {

// Open addressing over 64-bit prints; 0 is free.
class Seen {
 public:
  bool insert(uint64_t print) {
    print += print == 0;
    if (count_ * 4 >= slots_.size() * 3) grow();
    if (!place(slots_, print)) return false;
    ++count_;
    return true;
  }
  size_t size() const { return count_; }

 private:
  static bool place(std::vector<uint64_t>& slots, uint64_t print) {
    size_t mask = slots.size() - 1;
    for (size_t at = print & mask;; at = (at + 1) & mask) {
      if (slots[at] == print) return false;
      if (slots[at] != 0) continue;
      slots[at] = print;
      return true;
    }
  }
  void grow() {
    std::vector<uint64_t> larger(slots_.empty() ? 1 << 16 : slots_.size() * 2);
    for (uint64_t print : slots_)
      if (print != 0) place(larger, print);
    slots_ = std::move(larger);
  }

  std::vector<uint64_t> slots_;
  size_t count_ = 0;
};

constexpr size_t kWayMost = 11;
constexpr size_t kWayUsual = 5;

// A state in waiting: actions, by their place among the enabled ones, from a kept world.
struct Way {
  uint32_t from = 0;
  uint8_t length = 0;
  std::array<uint8_t, kWayMost> actions{};
};
static_assert(sizeof(Way) == 16);

class Search {
 public:
  Search(const World& first, const ExploreLimits& limits) : first_(first), limits_(limits) {
    kept_.push_back(first);
    marks_.push_back({});
    level_.push_back({});
    seen_.insert(print_of(first));
  }

  Explored run() {
    while (result_.broken.empty() && !level_.empty() && result_.depth < limits_.depth) {
      if (level_.front().length >= kWayUsual && !renew()) break;
      if (!next_level()) break;
      ++result_.depth;
    }
    result_.exhausted = result_.broken.empty() && nothing_new_;
    result_.states = seen_.size();
    return std::move(result_);
  }

 private:
  uint64_t print_of(const World& world) {
    print_.clear();
    world.fingerprint(print_);
    return hash64(print_);
  }

  World at(const Way& way) const {
    World world = kept_[way.from - first_kept_];
    for (uint8_t i = 0; i < way.length; ++i) world.apply(world.enabled()[way.actions[i]]);
    return world;
  }

  // False where time or room ran out, or a claim was broken.
  bool next_level() {
    std::vector<Way> next;
    size_t before = seen_.size();
    bool last = result_.depth + 1 == limits_.depth;
    for (const Way& way : level_) {
      if (++expanded_ % 256 == 0 && limits_.stop && limits_.stop()) return false;
      World world = at(way);
      std::vector<Action> enabled = world.enabled();
      CHECK(enabled.size() < 256);
      for (size_t i = 0; i < enabled.size(); ++i) {
        World changed = world;
        ++result_.transitions;
        result_.broken = changed.apply(enabled[i]);
        if (!result_.broken.empty()) return explain(way, i);
        if (!seen_.insert(print_of(changed))) continue;
        note(changed);
        if (seen_.size() >= limits_.states) return false;
        if (last) continue;
        Way longer = way;
        longer.actions[longer.length++] = static_cast<uint8_t>(i);
        next.push_back(longer);
      }
    }
    level_ = std::move(next);
    nothing_new_ = seen_.size() == before;
    return true;
  }

  void note(const World& world) {
    result_.elections_most = std::max(result_.elections_most, world.elections());
    result_.committed_most = std::max(result_.committed_most, world.committed_end());
    result_.truncations += world.truncations() > 0 ? 1 : 0;
  }

  // Makes every state in waiting a kept world. Later, where they are too many; false where that is not
  // possible.
  bool renew() {
    if (level_.size() > limits_.worlds_kept) return level_.front().length < kWayMost;
    std::vector<World> worlds;
    auto first = static_cast<uint32_t>(marks_.size());
    for (Way& way : level_) {
      worlds.push_back(at(way));
      marks_.push_back(way);
      way = Way{static_cast<uint32_t>(marks_.size() - 1), 0, {}};
    }
    kept_ = std::move(worlds);
    first_kept_ = first;
    return true;
  }

  bool explain(Way way, size_t last) {
    std::vector<uint8_t> places{static_cast<uint8_t>(last)};
    for (;;) {
      places.insert(places.begin(), way.actions.begin(), way.actions.begin() + way.length);
      if (way.from == 0) break;
      way = marks_[way.from];
    }
    World world = first_;
    for (uint8_t place : places) {
      Action action = world.enabled()[place];
      result_.trace.push_back(action);
      static_cast<void>(world.apply(action));
    }
    return false;
  }

  World first_;
  const ExploreLimits& limits_;
  Explored result_;
  Seen seen_;
  Bytes print_;
  std::vector<World> kept_;
  uint32_t first_kept_ = 0;  // the mark of kept_.front()
  std::vector<Way> marks_;   // how each world that was ever kept is reached
  std::vector<Way> level_;
  size_t expanded_ = 0;
  bool nothing_new_ = false;
};

Configuration three_nodes() {
  Configuration c{ConfigurationGeneration(1), {}, {}};
  for (uint64_t i = 1; i <= 3; ++i) c.members.push_back({NodeId(i), "n", 1});
  return c;
}

// Every kind of fault once.
Options everything() {
  Options options;
  options.configuration = three_nodes();
  options.records_max = 3;
  options.entries_max = 3;
  options.attempts_max = 3;
  options.faults_max = 2;
  options.crashes_max = 1;
  options.halfway_max = 1;
  options.drops_max = 1;
  options.partings_max = 1;
  options.losses_max = 1;
  options.duplicates_max = 1;
  options.connected = true;
  return options;
}

const std::set<NodeId> kAll = {NodeId(1), NodeId(2), NodeId(3)};

Options in_exchanges() {
  Options options = everything();
  options.rpc = true;
  options.partings_max = 0;
  options.duplicates_max = 0;
  return options;
}

// One of the three is replaced by a fourth meanwhile.
Options replacing(Options options) {
  options.change_to = {{NodeId(2), "n", 1}, {NodeId(3), "n", 1}, {NodeId(4), "n", 1}};
  options.faults_max = 1;
  options.duplicates_max = 0;
  return options;
}

Options with_peers(Options options) {
  options.peers = true;
  options.duplicates_max = 0;
  return options;
}

// A schedule without faults that leads to an opening.
class Script {
 public:
  explicit Script(Options options) : world_(std::move(options)) {}

  Script& settled(int proposer, const std::set<NodeId>& acceptors) {
    if (broken_.empty()) broken_ = settle(world_, proposer, acceptors);
    return *this;
  }
  Script& then(Kind kind, int proposer = 0, NodeId node = NodeId(0)) {
    if (broken_.empty()) broken_ = world_.apply({kind, proposer, node});
    return *this;
  }
  Script& changed(const std::set<NodeId>& nodes, NodeId donor) {
    if (broken_.empty()) broken_ = settle_change(world_, nodes, donor);
    return *this;
  }
  Start end() { return {std::move(world_), std::move(broken_)}; }

 private:
  World world_;
  std::string broken_;
};

// The first proposer leads on all and has committed an entry everywhere; the second has not greeted yet.
Script led(Options options) {
  Script script(std::move(options));
  script.settled(0, kAll).then(Kind::Write, 0).settled(0, kAll);
  return script;
}

// After that, another entry is on acceptor 1 alone, and the second proposer has been elected by 2 and 3.
Script divergent(Options options) {
  Script script = led(std::move(options));
  script.then(Kind::Write, 0).settled(0, {NodeId(1)}).settled(1, {NodeId(2), NodeId(3)});
  return script;
}

// After that, the second one has committed an entry on 2 and 3, and the first begins anew.
Script overtaken(Options options) {
  Script script = divergent(std::move(options));
  script.then(Kind::Write, 1).settled(1, {NodeId(2), NodeId(3)}).then(Kind::Campaign, 0);
  return script;
}

// After led, another entry is on acceptor 1 alone, and the second proposer has won by the votes of 2 and 3,
// which do not know of it yet. For exchanges.
Script voted(Options options) {
  Script script = led(std::move(options));
  script.then(Kind::Write, 0).settled(0, {NodeId(1)});
  for (int exchange = 0; exchange < 2; exchange++)
    script.then(Kind::ToAcceptor, 1, NodeId(2)).then(Kind::ToAcceptor, 1, NodeId(3));
  return script;
}

// After that, acceptor 3 knows, and the first proposer has begun anew: 1 has given it its vote, and told it
// of both entries.
Script promised(Options options) {
  Script script = voted(std::move(options));
  script.then(Kind::Campaign, 0);
  for (NodeId id : {NodeId(1), NodeId(2)}) script.then(Kind::Connect, 0, id).then(Kind::ToAcceptor, 0, id);
  return script.then(Kind::ToAcceptor, 0, NodeId(1)).then(Kind::ToAcceptor, 1, NodeId(3));
}

// The first proposer has committed an entry on 1 and 2, another is on 1 alone; 3 voted, and has no WAL yet.
// For exchanges.
Script behind(Options options) {
  Script script(std::move(options));
  script.settled(0, {NodeId(1), NodeId(2)}).then(Kind::Write, 0).settled(0, {NodeId(1), NodeId(2)});
  script.then(Kind::ToAcceptor, 0, NodeId(3)).then(Kind::ToAcceptor, 0, NodeId(3));
  return script.then(Kind::Write, 0).settled(0, {NodeId(1)});
}

// The first proposer has votes of 1 and 2, and does not know it yet.
Script half_elected(Options options) {
  Script script(std::move(options));
  for (Kind kind : {Kind::ToAcceptor, Kind::ToProposer})
    for (NodeId id : kAll) script.then(kind, 0, id);
  return script.then(Kind::ToAcceptor, 0, NodeId(1)).then(Kind::ToAcceptor, 0, NodeId(2));
}

// After that, the change goes as far as it can with these nodes, and the second proposer learns of it from 3.
Script changed(Script script, const std::set<NodeId>& nodes, NodeId donor = NodeId(0)) {
  script.changed(nodes, donor).settled(1, {NodeId(3)});
  return script.then(Kind::Connect, 1, NodeId(3)).then(Kind::Connect, 1, NodeId(4));
}

const std::set<NodeId> kNew = {NodeId(2), NodeId(3), NodeId(4)};

}  // namespace

Explored explore(const World& first, const ExploreLimits& limits) {
  return Search(first, limits).run();
}

// Those in exchanges reach about twice as far: a request and its answer are one step.
const std::vector<Opening>& openings() {
  static const std::vector<Opening> kOpenings = {
      {"empty", "nothing has happened yet", 9, 5, [] { return Script(everything()).end(); }},
      {"led", "a proposer leads, one entry is committed everywhere", 9, 5,
       [] { return led(everything()).end(); }},
      {"divergent", "an entry on one acceptor only, another proposer just elected by the others", 9, 5,
       [] { return divergent(everything()).end(); }},
      {"overtaken", "the other one has committed an entry, the first one begins anew", 11, 5,
       [] { return overtaken(everything()).end(); }},
      {"empty-exchanges", "as empty, requests answered in one step", 9, 6,
       [] { return Script(in_exchanges()).end(); }},
      {"divergent-exchanges", "as divergent, requests answered in one step", 9, 6,
       [] { return divergent(in_exchanges()).end(); }},
      {"overtaken-exchanges", "as overtaken, requests answered in one step", 11, 6,
       [] { return overtaken(in_exchanges()).end(); }},
      {"joining", "an entry on two of three, a joint configuration is decided and not told yet", 8, 5,
       [] { return behind(replacing(in_exchanges())).then(Kind::DecideJoint).end(); }},
      {"unfenced", "as joining, then two of the new members are told, who have nothing", 9, 5,
       [] { return changed(behind(replacing(in_exchanges())), {NodeId(3), NodeId(4)}).end(); }},
      {"joint", "as joining, then all new members are told, two have nothing", 10, 5,
       [] { return changed(behind(replacing(in_exchanges())), kNew).end(); }},
      {"replaced",
       "as joining, then one new member copied the log, the final members are told and have elected", 10, 5,
       [] {
         Script script = changed(behind(replacing(in_exchanges())), kNew, NodeId(2));
         return script.settled(1, kNew).end();
       }},
      {"half-elected",
       "votes of old members are on their way to one proposer, new members have elected another", 10, 5,
       [] {
         Script script = changed(half_elected(replacing(everything())), kNew);
         return script.settled(1, {NodeId(3), NodeId(4)}).end();
       }},
      {"peers-voted",
       "an entry on one acceptor only, the others have just voted; acceptors fill each other up", 9, 5,
       [] { return voted(with_peers(in_exchanges())).end(); }},
      {"peers-promised", "as peers-voted, then one has voted for a third; acceptors fill each other up", 9, 5,
       [] { return promised(with_peers(in_exchanges())).end(); }},
      {"peers-overtaken", "as overtaken, in exchanges, and acceptors fill each other up", 10, 6,
       [] { return overtaken(with_peers(in_exchanges())).end(); }},
      {"peers-joint", "as joint, and acceptors fill each other up", 9, 5,
       [] { return changed(behind(replacing(with_peers(in_exchanges()))), kNew, NodeId(2)).end(); }},
  };
  return kOpenings;
}

}  // namespace argon::consensus::model
