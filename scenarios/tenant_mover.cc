#include "scenarios/tenant_mover.h"

#include <algorithm>

#include "core/http/client.h"
#include "core/objstore/keys.h"
#include "core/pageserver/timeline_index.h"
#include "scenarios/cluster_run.h"

namespace argon::scenarios {
namespace {

constexpr Duration kPatience = Duration::seconds(6);  // with one step, while everything fails
constexpr Duration kEndLimit = Duration::seconds(120);
constexpr Duration kTellPause = Duration::milliseconds(200);

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

}  // namespace

TenantMover::TenantMover(Cluster& cluster, std::function<void()> tell_computes,
                         std::function<bool()> computes_told)
    : cluster_(cluster),
      run_(cluster.run()),
      tell_computes_(std::move(tell_computes)),
      computes_told_(std::move(computes_told)) {}

sim::Machine& TenantMover::there() {
  return *run_.world().find_machine(here().name() == "pageserver" ? "pageserver-2" : "pageserver");
}

void TenantMover::step() {
  check_modes();
  check_nothing_removed();
  if (!run_.failed() && run_.may_operate()) go_on(kPatience);
}

void TenantMover::one_pageserver_dies() {
  sim::Machine& machine =
      *run_.world().find_machine(run_.random().chance({1, 2}) ? "pageserver" : "pageserver-2");
  if (run_.random().chance({1, 4})) {
    replaced_disks_++;
    return replace_disk(machine);
  }
  machine.power_loss();
  run_.run_for(run_.random().exponential(Duration::seconds(2)));
  if (!machine.up() && !run_.failed()) machine.restart();
}

void TenantMover::finish() {
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

// In the operator's task, until there is an answer. Nothing where there was none in time.
std::optional<nlohmann::json> TenantMover::ask(const sim::Machine& at, const std::string& method,
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

bool TenantMover::put(sim::Machine& at, const std::string& mode, Duration patience, uint64_t generation) {
  nlohmann::json body{{"mode", mode}};
  if (generation > 0) body["generation"] = generation;
  std::string flush = "?flush_ms=" + std::to_string(run_.random().log_uniform(1, 4000));
  Told& told = told_[at.name()];
  uint32_t boots = at.boots();  // an answer may be older than the disk that the machine has when it comes
  auto answer = ask(at, "PUT", path() + "/location_config" + flush, body, patience);
  bool refused = last_code_ == Code::AlreadyExists || last_code_ == Code::Invalid;
  if (!answer && !refused) {
    told.mode.clear();
    told.doubtful_in = at.boots();
  }
  if (!answer) return false;
  bool doubtful = told.doubtful_in == at.boots();
  told.mode = doubtful ? "" : mode;
  told.boots = boots;
  return true;
}

// Of a generation above all that pageservers show; 0: let the pageserver choose.
uint64_t TenantMover::next_generation(Duration patience) {
  if (run_.random().chance({1, 2})) return 0;
  uint64_t newest = 0;
  for (sim::Machine* machine : {&here(), &there()}) {
    auto shown = ask(*machine, "GET", path() + "/location_config", nullptr, patience);
    if (shown) newest = std::max(newest, shown->value("generation", uint64_t{0}));
  }
  return newest == 0 ? 0 : newest + 1;
}

void TenantMover::go_on(Duration patience) {
  switch (at_) {
    case At::Home:
      if (put(there(), "Secondary", patience) || by_chance(4)) at_ = At::Warming;
      return;
    case At::Warming:
      if (by_chance(2)) ask(here(), "POST", path() + "/heatmap_upload", nullptr, patience);
      if (by_chance(2)) ask(there(), "POST", path() + "/secondary/download?wait_ms=3000", nullptr, patience);
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
      cluster_.use_pageserver(there());
      tell_computes_();
      at_ = At::Served;
      return;
    case At::Served:
      leave_former(patience);
  }
}

void TenantMover::leave_former(Duration patience) {
  if (!computes_told_()) return run_.run_for(kTellPause);
  in_use_.clear();
  if (!put(here(), "AttachedSingle", patience)) return;
  moved_++;
  put(there(), by_chance(4) ? "Detached" : "Secondary", patience);
  at_ = At::Home;
}

uint64_t TenantMover::lost_disks() {
  const faults::Counters& had = run_.world().counters;
  return had[faults::Kind::DiskLost] + had[faults::Kind::OldDiskImage] + replaced_disks_;
}

// While the new pageserver is AttachedMulti, and computes may read from the former one.
void TenantMover::check_nothing_removed() {
  for (const std::string& key : in_use_)
    if (cluster_.layers().find(key) == nullptr)
      return run_.fail("nothing is removed while a tenant moves", key + " is gone");
}

// What was told and not asked to be otherwise since.
void TenantMover::check_modes() {
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

std::set<std::string> TenantMover::layer_files(sim::Machine& machine) {
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
int64_t TenantMover::layers_fetched(const sim::Machine& at) {
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
void TenantMover::move_warm() {
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
  int64_t cold = std::ranges::count_if(in_use_, [&](const std::string& key) { return !warm.contains(key); });
  go_on(Duration::seconds(30));
  run_.run_for(Duration::seconds(3));
  int64_t after = layers_fetched(here());
  bool rotten = run_.world().counters[faults::Kind::BitRot] > 0;
  if (before >= 0 && after > before + cold && !cluster_.evicts() && !rotten)
    return run_.fail("a warm copy is used", std::to_string(after - before) + " layers were fetched, where " +
                                                std::to_string(cold) + " of " +
                                                std::to_string(in_use_.size()) + " were not there");
  Duration end = run_.world().now() + kEndLimit;
  while (!run_.failed() && at_ != At::Home && run_.world().now() < end) go_on(Duration::seconds(30));
  if (!run_.failed() && at_ != At::Home) run_.fail("a move ends", "computes use the former pageserver");
}

}  // namespace argon::scenarios
