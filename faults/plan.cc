#include "faults/plan.h"

#include <algorithm>
#include <array>
#include <map>

#include "core/base/ids.h"

namespace argon::faults {
namespace {

constexpr std::string_view kHeader = "argon-plan 1";
constexpr uint64_t kLatest = 1'000'000'000'000'000;  // microseconds; some 30 years

Error invalid(size_t line, std::string what) {
  return Error(Code::Invalid, "fault plan, line " + std::to_string(line) + ": " + std::move(what));
}

// Faults at the same time keep their order.
void sort_by_time(Plan& plan) {
  std::vector<std::pair<Duration, size_t>> order;
  for (size_t i = 0; i < plan.faults.size(); i++) order.emplace_back(plan.faults[i].at, i);
  std::sort(order.begin(), order.end());
  std::vector<Fault> sorted;
  for (const auto& [at, index] : order) sorted.push_back(std::move(plan.faults[index]));
  plan.faults = std::move(sorted);
}

bool valid_name(std::string_view name) {
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), allowed);
}

std::string_view next_word(std::string_view& line) {
  while (line.starts_with(' ')) line.remove_prefix(1);
  std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

Result<int64_t> parse_signed(std::string_view text) {
  bool negative = text.starts_with('-');
  TRY_ASSIGN(uint64_t magnitude, parse_u64(negative ? text.substr(1) : text));
  if (magnitude > kLatest) return Error(Code::Invalid, "the number " + std::string(text) + " is too large");
  auto value = static_cast<int64_t>(magnitude);
  return negative ? -value : value;
}

Result<Fault> parse_fault(std::string_view line, size_t number) {
  std::string_view name = next_word(line);
  std::optional<Kind> kind = parse_kind(name);
  if (!kind.has_value()) return invalid(number, "no fault kind is called '" + std::string(name) + "'");
  Fault fault;
  fault.kind = *kind;
  std::map<std::string, std::string, std::less<>> fields;
  for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
    size_t equals = word.find('=');
    if (equals == std::string_view::npos ||
        !fields.emplace(word.substr(0, equals), word.substr(equals + 1)).second)
      return invalid(number, "'" + std::string(word) + "' is not a field, or there twice");
  }
  const KindInfo& about = info(*kind);
  for (const auto& [key, text] : fields) {
    bool named = (key == "node" && about.scope == Scope::Node) ||
                 ((key == "from" || key == "to") && about.scope == Scope::Link);
    if (named) {
      if (!valid_name(text)) return invalid(number, "'" + text + "' is not a node's name");
      (key == "to" ? fault.to : fault.node) = text;
      continue;
    }
    Result<int64_t> value = parse_signed(text);
    if (!value.ok()) return invalid(number, key + ": " + value.error().message());
    if (key == "value" && !about.parameter.empty()) {
      fault.value = *value;
    } else if ((key == "at" || (key == "for" && about.lasts)) && *value >= 0) {
      (key == "at" ? fault.at : fault.length) = Duration::microseconds(*value);
    } else {
      return invalid(number,
                     "'" + key + "' is no field of " + std::string(about.name) + ", or its value is wrong");
    }
  }
  if (about.scope != Scope::World && fault.node.empty()) return invalid(number, "the node is missing");
  if (about.scope == Scope::Link && fault.to.empty()) return invalid(number, "to= is missing");
  return fault;
}

}  // namespace

std::string print(const Fault& fault) {
  const KindInfo& about = info(fault.kind);
  std::string line = std::string(about.name) + " at=" + std::to_string(fault.at.to_microseconds());
  if (about.lasts) line += " for=" + std::to_string(fault.length.to_microseconds());
  if (about.scope == Scope::Node) line += " node=" + fault.node;
  if (about.scope == Scope::Link) line += " from=" + fault.node + " to=" + fault.to;
  if (!about.parameter.empty()) line += " value=" + std::to_string(fault.value);
  return line;
}

std::string print(const Plan& plan) {
  std::string text = std::string(kHeader) + "\n";
  for (const Fault& fault : plan.faults) text += print(fault) + "\n";
  return text;
}

Result<Plan> parse_plan(std::string_view text) {
  Plan plan;
  size_t number = 0;
  bool header = false;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    number++;
    if (line.empty() || line.starts_with('#')) continue;
    if (!header) {
      if (line != kHeader) return invalid(number, "expected '" + std::string(kHeader) + "'");
      header = true;
      continue;
    }
    TRY_ASSIGN(Fault fault, parse_fault(line, number));
    plan.faults.push_back(std::move(fault));
  }
  if (!header) return invalid(number, "expected '" + std::string(kHeader) + "'");
  sort_by_time(plan);
  return plan;
}

namespace {

class Drawing {
 public:
  Drawing(Random& random, const DrawOptions& options) : random_(random), options_(options) {}

  Plan draw() {
    for (size_t family = 0; family < kFamilies; family++) families_[family] = random_.below(2) == 0;
    for (const KindInfo& about : all_kinds()) {
      // Drawn also where the family is off, so that one switch does not shift the others.
      bool kind_on = random_.below(4) != 0;
      Random own = random_.fork(about.name).fork(std::to_string(random_.next()));
      bool never =
          std::find(options_.never.begin(), options_.never.end(), about.kind) != options_.never.end();
      if (families_[static_cast<size_t>(about.family)] && kind_on && !never) draw_kind(about, own);
    }
    sort_by_time(plan_);
    return std::move(plan_);
  }

 private:
  void draw_kind(const KindInfo& about, Random& random) {
    // Whether power loss takes what is not synced is a property of a node, not an episode.
    if (about.family == Family::DiskLoss) {
      int64_t value = draw_value(about, random);
      for (const std::string& node : options_.nodes)
        plan_.faults.push_back({about.kind, {}, options_.horizon, node, {}, value});
      return;
    }
    if (about.hits == Hits::Cache && options_.caches.empty()) return;
    uint64_t seconds = static_cast<uint64_t>(std::max<int64_t>(options_.horizon.to_seconds(), 1));
    uint64_t episodes = random.log_uniform(1, std::max<uint64_t>(seconds / 4, 1));
    for (uint64_t i = 0; i < episodes; i++) draw_episode(about, random);
  }

  void draw_episode(const KindInfo& about, Random& random) {
    Fault fault;
    fault.kind = about.kind;
    auto horizon = static_cast<uint64_t>(options_.horizon.to_microseconds());
    uint64_t at = random.below(horizon);
    fault.at = Duration::microseconds(static_cast<int64_t>(at));
    uint64_t longest = std::min<uint64_t>(longest_us(about), horizon - at);
    if (about.lasts && longest > 0)
      fault.length = Duration::microseconds(
          static_cast<int64_t>(random.log_uniform(std::min<uint64_t>(longest, 2000), longest)));
    const std::vector<std::string>& nodes = about.hits == Hits::Cache ? options_.caches : options_.nodes;
    if (about.scope != Scope::World) fault.node = nodes[random.below(nodes.size())];
    if (about.scope == Scope::Link) {
      if (options_.nodes.size() < 2) return;
      do fault.to = options_.nodes[random.below(options_.nodes.size())];
      while (fault.to == fault.node);
    }
    fault.value = draw_value(about, random);
    plan_.faults.push_back(std::move(fault));
  }

  static uint64_t longest_us(const KindInfo& about) {
    switch (about.family) {
      case Family::Network:
        return about.scope == Scope::World ? 60'000'000 : 8'000'000;
      case Family::DiskError:
        return about.kind == Kind::NoSpace ? 4'000'000 : 15'000'000;
      case Family::DiskChange:
        return about.kind == Kind::OldDiskImage ? 30'000'000 : 5'000'000;
      case Family::Process:
        return 5'000'000;
      case Family::Clock:
      case Family::Schedule:
        return 30'000'000;
      case Family::ObjectStore:
        return about.kind == Kind::StoreOutage || about.kind == Kind::StoreUnreachable ? 15'000'000
                                                                                       : 30'000'000;
      default:
        return 8'000'000;
    }
  }

  int64_t draw_value(const KindInfo& about, Random& random) const {
    switch (about.kind) {
      case Kind::LatencyTail:
        return static_cast<int64_t>(random.log_uniform(20, 2000));
      case Kind::ShortReads:
      case Kind::ShortWrites:
        return static_cast<int64_t>(random.log_uniform(1, 100));
      case Kind::BufferPressure:
        return static_cast<int64_t>(random.log_uniform(64, 8192));
      case Kind::SlowLink:
      case Kind::SlowDisk:
      case Kind::StoreSlow:
        return static_cast<int64_t>(random.log_uniform(2, 100));
      case Kind::ReadError:
      case Kind::WriteError:
      case Kind::SyncFailure:
        return static_cast<int64_t>(random.log_uniform(20, 5000));
      case Kind::FarLink:
        return static_cast<int64_t>(random.log_uniform(1, 2000));
      case Kind::NarrowLink:
        return static_cast<int64_t>(random.log_uniform(2000, 2'000'000));
      case Kind::TornSectors:
        return int64_t{512} << random.below(4);
      case Kind::OutOfMemory:
        return static_cast<int64_t>(random.log_uniform(1, 5000));
      case Kind::SlowNode:
        return static_cast<int64_t>(random.log_uniform(2, 500));
      case Kind::LateTimers:
        return static_cast<int64_t>(random.log_uniform(1, 1000));
      case Kind::SchedulePct:
        return static_cast<int64_t>(random.between(2, 5));
      case Kind::GhostConnection:
      case Kind::StoreError:
      case Kind::StoreLostAnswer:
      case Kind::StoreLate:
      case Kind::StoreReadError:
        return static_cast<int64_t>(random.log_uniform(1, 64));
      case Kind::StoreHang:
        return static_cast<int64_t>(random.log_uniform(4, 200));
      case Kind::StoreThrottle:
        return static_cast<int64_t>(random.log_uniform(1, 50));
      case Kind::BridgePartition:
      case Kind::Blackout:
      case Kind::GroupPartition: {
        uint64_t nodes = std::min<size_t>(options_.nodes.size(), 60);
        if (nodes < 2) return 0;
        return static_cast<int64_t>(random.between(1, (uint64_t{1} << nodes) - 2));
      }
      case Kind::CrashLoop:
      case Kind::KillLoop:
        return static_cast<int64_t>(random.log_uniform(1, 500));
      case Kind::WallClockDrift:
      case Kind::WallClockOffset:
      case Kind::WallClockStep: {
        auto size = static_cast<int64_t>(random.log_uniform(1, 600'000));
        return random.below(2) == 0 ? size : -size;
      }
      default:
        return 0;
    }
  }

  Random& random_;
  const DrawOptions& options_;
  std::array<bool, kFamilies> families_{};
  Plan plan_;
};

}  // namespace

Plan draw_plan(Random& random, const DrawOptions& options) {
  CHECK(!options.nodes.empty() && options.horizon.ns > 0);
  return Drawing(random, options).draw();
}

Plan draw_broken_rest(Random& random, const CoreOptions& options) {
  Plan plan;
  auto add = [&](Kind kind, const std::string& node, const std::string& to = {}, int64_t value = 0) {
    plan.faults.push_back({kind, options.at, options.length, node, to, value});
  };
  for (const std::string& node : options.rest) {
    bool rival = std::find(options.rivals.begin(), options.rivals.end(), node) != options.rivals.end();
    uint64_t way = random.below(rival ? 4 : 6);
    if (way == 0) add(Kind::PowerLoss, node);
    if (way == 1) add(Kind::Stall, node);
    if (way == 5) add(Kind::CrashLoop, node, {}, static_cast<int64_t>(random.log_uniform(1, 20'000)));
    for (const std::string& other : options.core) {
      if (way == 2 || way == 3) add(Kind::OneWayPartition, node, other);
      if (way == 2 || way == 4) add(Kind::OneWayPartition, other, node);
    }
  }
  return plan;
}

}  // namespace argon::faults
