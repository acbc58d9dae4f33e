#include "scenarios/secondary_takeover.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/http/client.h"
#include "core/objstore/keys.h"
#include "core/pageserver/timeline_index.h"
#include "scenarios/cluster_run.h"
#include "scenarios/oracle_remote.h"

namespace argon::scenarios {
namespace {

constexpr size_t kMostLines = 3;
constexpr Duration kPatience = Duration::seconds(6);  // with one step, while everything fails
constexpr Duration kEndLimit = Duration::seconds(120);

// Layers that the newest indexes of all lines name.
std::set<std::string> layers_in_use(Cluster& cluster) {
  std::set<std::string> keys;
  for (const auto& line : cluster.lines()) {
    std::string prefix = objstore::timeline_prefix(line->id);
    std::string key = cluster.layers().last_key(prefix + "index-");
    if (key.empty()) continue;
    auto index = pageserver::decode_index(cluster.layers().find(key)->bytes(), key);
    if (!index.ok()) continue;
    for (const pageserver::TimelineIndex::Layer& layer : index->layers)
      keys.insert(prefix + to_string(layer.name));
  }
  return keys;
}

class Mover {
 public:
  explicit Mover(Cluster& cluster) : cluster_(cluster), run_(cluster.run()) {}

  // One step of the move that is under way, or the first of another one.
  void step() {
    check_modes();
    check_nothing_removed();
    if (!run_.failed() && run_.may_operate()) go_on(kPatience);
  }

  // All is healed: the move under way comes to its end, and another one, which is warm.
  void finish() {
    Duration end = run_.world().now() + kEndLimit;
    while (!run_.failed() && (at_ != At::Home || moved_ == 0)) {
      if (run_.world().now() > end) return run_.fail("a move ends", "not within 120 s after healing");
      impatient_ = false;
      go_on(Duration::seconds(30));
      check_nothing_removed();
      run_.run_for(Duration::milliseconds(200));
    }
    check_modes();
    if (!run_.failed()) move_warm();
  }

  uint64_t moved() const { return moved_; }
  uint64_t replaced_disks = 0;  // by the scenario

 private:
  enum class At { Home, Warming, Leaving, Arriving, Handed, Served };
  struct Told {
    std::string mode;
    uint32_t boots = 0;                 // of the machine, when it was told
    uint32_t doubtful_in = UINT32_MAX;  // a boot in which an answer was lost: it may still be carried out
  };

  sim::Machine& here() { return cluster_.pageserver(); }
  sim::Machine& there() {
    return *run_.world().find_machine(here().name() == "pageserver" ? "pageserver-2" : "pageserver");
  }
  std::string path() const { return "/v1/tenant/" + to_string(cluster_.tenant()); }

  // In the operator's task, until there is an answer. Nothing where there was none in time.
  std::optional<nlohmann::json> ask(const sim::Machine& at, const std::string& method,
                                    const std::string& target, const nlohmann::json& body,
                                    Duration patience) {
    auto answer = std::make_shared<std::optional<Result<nlohmann::json>>>();
    Address address = Address::tcp(at.name(), cluster_.management().port);
    std::string name = at.name();
    cluster_.operators().spawn("move", [=](Task& task) -> Status {
      Deadline deadline(task, patience);
      auto got = http::fetch_json(task, address, method, target, body);
      if (got.is(Code::Cancelled)) return got.error();
      Logger(task.env().log())
          .info("{} {} {} {}: {}", name, method, target, body.dump(),
                got.ok() ? got->dump() : got.error().to_string());
      *answer = std::move(got);
      return {};
    });
    run_.run_until([&] { return answer->has_value(); }, patience + Duration::seconds(5));
    last_code_ =
        answer->has_value() && !(*answer)->ok() ? std::optional((*answer)->error().code()) : std::nullopt;
    if (!answer->has_value() || !(*answer)->ok()) return {};
    return ***answer;
  }

  bool put(sim::Machine& at, const std::string& mode, Duration patience, uint64_t generation = 0) {
    nlohmann::json body{{"mode", mode}};
    if (generation > 0) body["generation"] = generation;
    std::string flush = "?flush_ms=" + std::to_string(run_.random().log_uniform(1, 4000));
    Told& told = told_[at.name()];
    auto answer = ask(at, "PUT", path() + "/location_config" + flush, body, patience);
    bool refused = last_code_ == Code::AlreadyExists || last_code_ == Code::Invalid;
    if (!answer && !refused) {
      told.mode.clear();
      told.doubtful_in = at.boots();
    }
    if (!answer) return false;
    bool doubtful = told.doubtful_in == at.boots();
    told.mode = doubtful ? "" : mode;
    told.boots = at.boots();
    return true;
  }

  // Of a generation above all that pageservers show; 0: let the pageserver choose.
  uint64_t next_generation(Duration patience) {
    if (run_.random().chance({1, 2})) return 0;
    uint64_t newest = 0;
    for (sim::Machine* machine : {&here(), &there()}) {
      auto shown = ask(*machine, "GET", path() + "/location_config", nullptr, patience);
      if (shown) newest = std::max(newest, shown->value("generation", uint64_t{0}));
    }
    return newest == 0 ? 0 : newest + 1;
  }

  bool by_chance(uint32_t of) { return impatient_ && run_.random().chance({1, of}); }

  void go_on(Duration patience) {
    switch (at_) {
      case At::Home:
        if (put(there(), "Secondary", patience) || by_chance(4)) at_ = At::Warming;
        return;
      case At::Warming:
        if (by_chance(2)) ask(here(), "POST", path() + "/heatmap_upload", nullptr, patience);
        if (by_chance(2))
          ask(there(), "POST", path() + "/secondary/download?wait_ms=3000", nullptr, patience);
        at_ = At::Leaving;
        return;
      case At::Leaving:
        if (put(here(), "AttachedStale", patience) || by_chance(3)) at_ = At::Arriving;
        return;
      case At::Arriving:
        if (by_chance(6)) {
          if (put(here(), "AttachedSingle", patience)) at_ = At::Home;
        } else if (put(there(), "AttachedMulti", patience, next_generation(patience))) {
          at_ = At::Handed;
          in_use_ = layers_in_use(cluster_);
        }
        return;
      case At::Handed:
        move_computes();
        at_ = At::Served;
        return;
      case At::Served:
        in_use_.clear();
        if (!put(here(), "AttachedSingle", patience)) return;
        moved_++;
        put(there(), by_chance(4) ? "Detached" : "Secondary", patience);
        at_ = At::Home;
    }
  }

  void move_computes() {
    cluster_.use_pageserver(there());
    for (const auto& line : cluster_.lines())
      for (const std::string& name : line->computes) {
        sim::Machine& compute = *run_.world().find_machine(name);
        compute.power_loss();
        if (!compute.up()) compute.restart();
      }
  }

  uint64_t lost_disks() {
    const faults::Counters& had = run_.world().counters;
    return had[faults::Kind::DiskLost] + had[faults::Kind::OldDiskImage] + replaced_disks;
  }

  // While the new pageserver is AttachedMulti, and computes may read from the former one.
  void check_nothing_removed() {
    for (const std::string& key : in_use_)
      if (cluster_.layers().find(key) == nullptr)
        return run_.fail("nothing is removed while a tenant moves", key + " is gone");
  }

  // What was told and not asked to be otherwise since.
  void check_modes() {
    for (sim::Machine* machine : {&here(), &there()}) {
      Told& told = told_[machine->name()];
      if (run_.failed() || told.mode.empty() || told.doubtful_in == machine->boots()) continue;
      std::string expected = told.mode;
      auto shown = ask(*machine, "GET", path() + "/location_config", nullptr, kPatience);
      bool detached = !shown && last_code_ == Code::NotFound;
      if (!shown && !detached) continue;
      // What is not in the claims is forgotten with the disk, which may go some time after it counts as lost,
      // or while this was asked.
      if (machine->boots() != told.boots && lost_disks() > 0) continue;
      std::string mode = detached ? "Detached" : shown->value("mode", "");
      // Where the other one took it over while this one was down.
      bool taken = machine->boots() != told.boots && detached && expected.starts_with("Attached");
      if (mode != expected && !taken && told.mode == expected)
        run_.fail("a pageserver is what it was told to be",
                  machine->name() + " was told " + expected + " and is " + mode);
    }
  }

  std::set<std::string> layer_files(sim::Machine& machine) {
    std::set<std::string> files;
    for (const auto& line : cluster_.lines()) {
      std::string prefix = objstore::timeline_prefix(line->id);
      auto folder = machine.storage().find("/layers/" + prefix.substr(0, prefix.size() - 1));
      if (folder == nullptr) continue;
      for (const auto& [name, inode] : folder->entries)
        if (pageserver::parse_layer_name(name).ok()) files.insert(prefix + name);
    }
    return files;
  }

  // -1: not answered.
  int64_t layers_fetched(const sim::Machine& at) {
    auto page = std::make_shared<std::string>();
    Address address = Address::tcp(at.name(), cluster_.management().port);
    cluster_.operators().spawn("metrics", [address, page](Task& task) -> Status {
      Deadline deadline(task, kPatience);
      http::ClientRequest request;
      request.target = "/metrics";
      auto got = http::fetch(task, address, request);
      if (got.ok()) *page = got->body;
      return {};
    });
    run_.run_until([&] { return !page->empty(); }, kPatience);
    const std::string name = "\npageserver_layers_downloaded_total ";
    size_t found = page->find(name);
    if (page->empty()) return -1;
    return found == std::string::npos ? 0 : std::stoll(page->substr(found + name.size()));
  }

  // In a healthy cluster: what the copy has is not fetched again when the tenant is served from there.
  void move_warm() {
    impatient_ = false;
    go_on(Duration::seconds(30));
    run_.run_for(Duration::seconds(2));
    ask(here(), "POST", path() + "/heatmap_upload", nullptr, Duration::seconds(30));
    ask(there(), "POST", path() + "/secondary/download?wait_ms=20000", nullptr, Duration::seconds(30));
    at_ = At::Leaving;
    go_on(Duration::seconds(30));
    if (run_.failed()) return;
    if (at_ != At::Arriving) return run_.fail("a move ends", "the former pageserver does not become stale");
    std::set<std::string> warm = layer_files(there());
    int64_t before = layers_fetched(there());
    go_on(Duration::seconds(30));
    if (run_.failed()) return;
    if (at_ != At::Handed) return run_.fail("a move ends", "the new pageserver does not attach the tenant");
    int64_t cold =
        std::ranges::count_if(in_use_, [&](const std::string& key) { return !warm.contains(key); });
    go_on(Duration::seconds(30));
    run_.run_for(Duration::seconds(3));
    int64_t after = layers_fetched(here());
    bool rotten = run_.world().counters[faults::Kind::BitRot] > 0;
    if (before >= 0 && after > before + cold && !cluster_.evicts() && !rotten)
      return run_.fail("a warm copy is used", std::to_string(after - before) +
                                                  " layers were fetched, where " + std::to_string(cold) +
                                                  " of " + std::to_string(in_use_.size()) +
                                                  " were not there");
    Duration end = run_.world().now() + kEndLimit;
    while (!run_.failed() && at_ != At::Home && run_.world().now() < end) go_on(Duration::seconds(30));
  }

  Cluster& cluster_;
  Run& run_;
  At at_ = At::Home;
  bool impatient_ = true;
  uint64_t moved_ = 0;
  std::map<std::string, Told> told_;
  std::set<std::string> in_use_;  // while nothing may be removed
  std::optional<Code> last_code_;
};

void one_pageserver_dies(Cluster& cluster, Mover& mover) {
  Run& run = cluster.run();
  sim::Machine& machine =
      *run.world().find_machine(run.random().chance({1, 2}) ? "pageserver" : "pageserver-2");
  if (run.random().chance({1, 4})) {
    mover.replaced_disks++;
    return replace_disk(machine);
  }
  machine.power_loss();
  run.run_for(run.random().exponential(Duration::seconds(2)));
  if (!machine.up() && !run.failed()) machine.restart();
}

void secondary_takeover_body(Run& run) {
  ClusterKnobs knobs;
  knobs.small_layers = run.random().fork("small layers").chance({1, 2});
  knobs.gc = true;
  knobs.second_pageserver = true;
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  watch_remote(cluster);
  run.start_faults(
      cluster.nodes(), run.options().length, {}, {"pageserver", "pageserver-2"},
      [&](sim::Machine&, const std::string& path) { return cluster.is_layer_that_can_be_made_anew(path); });
  Mover mover(cluster);
  now_and_then(run, run.options().length / 60, [&] {
    uint64_t what = run.random().below(12);
    if (what < 8)
      mover.step();
    else if (what < 9)
      maybe_branch(cluster, kMostLines);
    else if (what < 11)
      ask_for_work(cluster);
    else
      one_pageserver_dies(cluster, mover);
  });
  if (run.failed()) return;
  run.heal();
  mover.finish();
  run.demand("moves", mover.moved(), 1);
  if (!run.failed()) check_end(cluster);
}

}  // namespace

constinit const Scenario kSecondaryTakeover{
    "secondary-takeover",
    "a tenant moves between two pageservers while everything goes on, and fails, and its warm copy is used",
    secondary_takeover_body,
    {10, 10, 0},
    false};

}  // namespace argon::scenarios
