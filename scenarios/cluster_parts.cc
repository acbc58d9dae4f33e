#include "scenarios/cluster_parts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/broker/broker.h"
#include "core/env/io.h"
#include "core/fiber/scope.h"
#include "core/http/client.h"
#include "core/objstore/model/s3_server.h"
#include "core/objstore/s3_store.h"
#include "core/pageserver/pageserver.h"
#include "core/pageserver/timeline_index.h"
#include "core/safekeeper/safekeeper.h"
#include "core/tls/testing/certificate.h"
#include "core/wire/pg_wire.h"
#include "scenarios/draw.h"
#include "scenarios/oracle_local_layers.h"
#include "scenarios/oracle_safekeeper_disk.h"
#include "scenarios/postgres_compute.h"

namespace argon::scenarios {
namespace {

constexpr uint16_t kWalPort = 5454;
constexpr uint16_t kSafekeeperHttp = 7676;
constexpr uint16_t kBrokerPort = 50051;
constexpr uint16_t kS3Port = 9000;  // layers; WAL at the next
constexpr uint64_t kS3WalPartBytes = 8 << 20;
constexpr const char* kS3Bucket = "argon";
constexpr const char* kS3Region = "us-east-1";
const objstore::S3Credentials kS3Keys{"access", "secret", ""};
constexpr const char* kS3Name = "s3.proxy.test";  // as the test certificate has it
constexpr const char* kDataDirectory = "/initdb";
// Long enough for timelines to be busy, short enough for them to sleep while a compute is away.
constexpr Duration kSleepAfter = Duration::seconds(2);
constexpr int kBranchAttempts = 6;

Duration milliseconds(Random& random, uint64_t low, uint64_t high) {
  return Duration::milliseconds(static_cast<int64_t>(random.log_uniform(low, high)));
}

// The mean pause of each of so many tasks that make up a drawn rate an hour together.
Duration pause(Random& random, uint32_t tasks, uint64_t low, uint64_t high) {
  return Duration::seconds(3600) * tasks / static_cast<int64_t>(random.log_uniform(low, high));
}

}  // namespace

Cluster::Cluster(Run& run, ClusterKnobs knobs) : run_(run), knobs_(knobs) {
  Random& random = run.random();
  pg::MadeOptions made;
  system_id_ = 1 + random.below(UINT64_MAX - 1);
  made.system_id = system_id_;
  made.first_wal = draw_first_wal(random);
  made.next_xid = draw_next_xid(random);
  made.relations = 0;
  made.data_checksums = random.fork("data checksums").chance({1, 2});
  if (knobs_.postgres) {
    data_ = postgres_datadir(*run.options().postgres);
    system_id_ = data_.control.system_id;
  } else {
    data_ = pg::make_datadir(made);
  }
  tenant_ = random_tenant_id(random);
  store_latency_ = milliseconds(random, 1, 60);
  store_latency_ = knobs_.store_latency.value_or(store_latency_);
  members_.generation = consensus::ConfigurationGeneration(1);
  wal_backups_.push_back(std::make_unique<sim::Bucket>());
  if (knobs_.s3) {
    Random knob = random.fork("s3");
    s3_patience_ = milliseconds(knob, 1000, 10'000) + store_latency_ * 12;
    s3_part_bytes_ = knob.log_uniform(128 << 10, 8 << 20);
    s3_page_max_ = knob.log_uniform(20, objstore::kPageMax);
    s3_encrypted_ = random.fork("s3 by TLS").chance({1, 2});
  }
  if (knobs_.gc) {
    Random knob = random.fork("gc");
    gc_ = GcKnobs{milliseconds(knob, 500, 30'000), knob.log_uniform(16 << 10, 512 << 10),
                  milliseconds(knob, 300, 20'000), milliseconds(knob, 1000, 20'000)};
    if (knob.below(4) == 0) gc_->pitr_interval = Duration();
    if (knobs_.second_pageserver) gc_->heatmap = milliseconds(knob, 300, 5000);
    if (knobs_.few_images) {
      gc_->pitr_interval = std::min(gc_->pitr_interval, Duration::seconds(5));
      gc_->period = std::min(gc_->period, Duration::seconds(3));
      gc_->lease = std::min(gc_->lease, Duration::seconds(3));
    }
  }
  auto root = std::make_unique<Line>();
  root->id = {tenant_, random_timeline_id(random)};
  root->name = "main";
  root->branch_point = data_.end;
  root->reference = std::make_unique<compute::ReferenceModel>(data_.end);
  root->events = std::make_unique<PageOracle>(run, to_string(root->id.timeline));
  lines_.push_back(std::move(root));
}

void Cluster::on_line(std::function<compute::RowWorkload*(const Line&)> rows_of) {
  rows_of_ = std::move(rows_of);
  for (auto& line : lines_) line->rows = rows_of_(*line);
}

sim::Machine& Cluster::add(const std::string& name) {
  sim::Machine& machine = run_.world().add_machine(name);
  machine.supervise(Duration::milliseconds(300));
  nodes_.push_back(name);
  return machine;
}

// Serves both buckets. What it has in memory are uploads in parts.
void Cluster::add_s3() {
  add("s3").boot([this](Task& task, Env& env) -> Status {
    auto serve = [&](Task& t, uint16_t port, sim::Bucket& bucket) -> Status {
      TRY_ASSIGN(auto listener, env.network().listen(t, Address::tcp("0.0.0.0", port)));
      sim::BucketStore store(bucket, store_latency_);
      objstore::S3ServerConfig config{kS3Bucket, kS3Region, kS3Keys, false, s3_page_max_};
      if (s3_encrypted_) {
        TRY_ASSIGN(config.tls, tls::Context::server(std::make_shared<tls::Library>(env),
                                                    as_bytes(tls::testing::kCertificate),
                                                    as_bytes(tls::testing::kKey), "http/1.1"));
      }
      objstore::S3Server server(env, store, std::move(config));
      return server.serve(t, *listener);
    };
    Scope scope(task);
    scope.spawn("s3.layers", [&](Task& t) { return serve(t, kS3Port, layers_); });
    scope.spawn("s3.wal", [&](Task& t) { return serve(t, kS3Port + 1, *wal_backups_.front()); });
    return scope.join(task);
  });
}

std::unique_ptr<objstore::ObjectStore> Cluster::way_to(Env& env, sim::Bucket& bucket) {
  if (!knobs_.s3) return std::make_unique<sim::BucketStore>(bucket, store_latency_);
  bool wal = &bucket == wal_backups_.front().get();
  objstore::S3Config config;
  Address address = Address::tcp("s3", wal ? kS3Port + 1 : kS3Port);
  config.endpoint = s3_encrypted_ ? std::string("https://") + kS3Name : "http://s3";
  config.authorities = tls::testing::kAuthority;
  config.bucket = kS3Bucket;
  config.region = kS3Region;
  config.credentials = kS3Keys;
  config.patience = s3_patience_;
  config.part_bytes = wal ? kS3WalPartBytes : s3_part_bytes_;
  auto connect = [address](Task& task) { return task.env().network().connect(task, address); };
  auto opened = objstore::S3Store::open(env, std::move(config), connect);
  CHECK(opened.ok(), opened.error().to_string());
  return *std::move(opened);
}

void Cluster::add_safekeeper(uint64_t number, bool member) {
  Random random = run_.random().fork("safekeeper " + std::to_string(number));
  Random eviction = random.fork("eviction");
  std::string name = "safekeeper-" + std::to_string(number);
  safekeeper::SafekeeperConfig config;
  config.id = NodeId(number);
  config.data_dir = "/data";
  config.listen_wal = Address::tcp("0.0.0.0", kWalPort);
  config.listen_http = Address::tcp("0.0.0.0", kSafekeeperHttp);
  config.advertise_wal = name + ":" + std::to_string(kWalPort);
  config.advertise_http = name + ":" + std::to_string(kSafekeeperHttp);
  config.broker = Address::tcp("broker", kBrokerPort);
  config.broker_interval = milliseconds(random, 50, 2000);
  config.save_interval = milliseconds(random, 200, 30'000);
  config.partial_upload_pause = milliseconds(random, 500, 20'000);
  config.manage_interval = milliseconds(random, 100, 2000);
  config.sleep_after = kSleepAfter;
  config.evict_after = milliseconds(eviction, 500, 60'000);
  Random decode = random.fork("decode");
  config.decode.window_bytes = decode.log_uniform(1, 4 * 1024 * 1024);
  config.decode.batch_bytes = decode.log_uniform(1, 256 * 1024);
  consensus::Member self{NodeId(number), name, kWalPort};
  all_safekeepers_[self.id] = {self, Address::tcp(name, kSafekeeperHttp)};
  if (member) members_.members.push_back(self);
  sim::Machine& machine = add(name);
  machine.boot([this, &machine, config](Task& task, Env& env) {
    for (const auto& line : lines_) {
      Status kept = check_claims({machine, config.id, line->id, wal_backups_.front().get()});
      if (!kept.ok()) run_.fail("told is durable", machine.name() + ": " + kept.error().message());
    }
    // The safekeepers of a cluster share one bucket.
    auto store = way_to(env, *wal_backups_.front());
    return safekeeper::run_safekeeper(task, env, config, store.get());
  });
}

void Cluster::add_pageserver() {
  Random random = run_.random().fork("pageserver");
  pageserver::PageserverConfig config;
  config.data_dir = "/layers";
  config.listen_pg = Address::tcp("0.0.0.0", pages_.port);
  config.listen_http = Address::tcp("0.0.0.0", management_.port);
  config.broker = Address::tcp("broker", kBrokerPort);
  config.checkpoint_distance = random.log_uniform(4 * 1024, 4 * 1024 * 1024);
  config.timeline.checkpoint_timeout = milliseconds(random, 300, 30'000);
  config.timeline.compaction_period = milliseconds(random, 300, 10'000);
  config.timeline.retry_delay = milliseconds(random, 50, 1000);
  config.timeline.store.max_frozen = static_cast<uint32_t>(random.between(1, 6));
  config.timeline.store.compaction_threshold = static_cast<uint32_t>(random.between(2, 8));
  config.timeline.store.compaction_limit = config.timeline.store.compaction_threshold * 2;
  config.timeline.store.compaction_target = random.log_uniform(32 * 1024, 4 * 1024 * 1024);
  config.timeline.store.image_threshold = static_cast<uint32_t>(random.between(1, 5));
  config.receiver.feedback_interval = milliseconds(random, 50, 2000);
  Random stream = random.fork("stream");
  config.receiver.interpreted_wal = stream.chance({1, 2});
  config.receiver.compressed_wal = stream.chance({1, 2});
  Random waits = random.fork("waits");
  config.timeline.wait_lsn_timeout = milliseconds(waits, 100, 60'000);
  // An image of all of it is 8 MB, and a run holds each twice: on the disk and in the object store.
  if (knobs_.postgres)
    config.timeline.store.image_threshold = std::max(config.timeline.store.image_threshold, 4u);
  if (knobs_.few_images) {
    config.timeline.store.image_threshold = std::max(config.timeline.store.image_threshold, 12u);
    config.timeline.checkpoint_timeout = std::max(config.timeline.checkpoint_timeout, Duration::seconds(1));
    config.timeline.compaction_period = std::max(config.timeline.compaction_period, Duration::seconds(1));
  }
  if (knobs_.small_layers) {
    config.checkpoint_distance = random.log_uniform(8 * 1024, 64 * 1024);
    config.timeline.compaction_period = milliseconds(random, 50, 1000);
    config.timeline.store.compaction_threshold = 2;
    config.timeline.store.compaction_limit = 4;
    config.timeline.store.compaction_target = random.log_uniform(16 * 1024, 256 * 1024);
  }
  config.timeline.store.l0_limit = config.timeline.store.compaction_threshold +
                                   static_cast<uint32_t>(random.fork("L0 limit").log_uniform(1, 32));
  Random kept = random.fork("pages cached");
  config.pages_cached = kept.log_uniform(1, 1000) - 1;
  config.pages_cached_from = kept.log_uniform(1, 32);
  config.timeline.rest_after = milliseconds(waits, 200, 10'000);
  config.timeline.store.compress = random.fork("compression").chance({3, 4});
  Random eviction = random.fork("eviction");
  config.eviction.disk_free_min = 0;
  config.eviction.period = milliseconds(eviction, 100, 10'000);
  if (!knobs_.store_latency) config.eviction.in_use = milliseconds(eviction, 3000, 60'000);
  if (eviction.chance({1, 2})) config.eviction.layer_bytes_max = eviction.log_uniform(1, 4 * 1024 * 1024);
  if (eviction.chance({1, 4})) config.eviction.disk_free_min = eviction.log_uniform(1 << 20, 1 << 30);
  // Layers that nobody reads need not be held twice.
  if (knobs_.layer_bytes_max > 0) {
    uint64_t& most = config.eviction.layer_bytes_max;
    most = most == 0 ? knobs_.layer_bytes_max : std::min(most, knobs_.layer_bytes_max);
    config.eviction.period = std::min(config.eviction.period, Duration::seconds(2));
    config.eviction.in_use = std::min(config.eviction.in_use, Duration::seconds(5));
  }
  evicts_ = config.eviction.layer_bytes_max > 0 || config.eviction.disk_free_min > 0;
  Random secondary = random.fork("secondary");
  config.secondary.bytes_per_second = secondary.log_uniform(64 << 10, 64 << 20);
  config.secondary.period = milliseconds(secondary, 200, 5000);
  if (knobs_.rival_pageserver) add_rival_pageserver(config);
  boot_pageserver(add("pageserver"), config);
  if (!knobs_.second_pageserver) return;
  config.id = NodeId(2);
  config.checkpoint_distance = secondary.log_uniform(8 * 1024, 1024 * 1024);
  boot_pageserver(add("pageserver-2"), config);
}

void Cluster::boot_pageserver(sim::Machine& machine, const pageserver::PageserverConfig& config) {
  machine.boot([this, &machine, config](Task& task, Env& env) {
    if (run_.world().counters[faults::Kind::BitRot] == 0) check_local(machine);
    auto store = way_to(env, layers_);
    return pageserver::run_pageserver(task, env, config, *store);
  });
}

void Cluster::use_pageserver(const sim::Machine& machine) {
  pages_.host = management_.host = machine.name();
  for (auto& config : computes_) config->pageserver = pages_;
}

// Nobody is told its address.
void Cluster::add_rival_pageserver(pageserver::PageserverConfig config) {
  config.id = NodeId(2);
  sim::Machine& machine = run_.world().add_machine("pageserver-2");
  machine.boot([this, config](Task& task, Env& env) {
    auto store = way_to(env, layers_);
    return pageserver::run_pageserver(task, env, config, *store);
  });
  machine.power_loss();
}

Status Cluster::configure_gc(Task& task) {
  if (!gc_) return {};
  auto ms = [](Duration duration) { return std::to_string(duration.to_milliseconds()) + "ms"; };
  nlohmann::json config{{"pitr_interval", ms(gc_->pitr_interval)},
                        {"gc_horizon", gc_->horizon},
                        {"gc_period", ms(gc_->period)},
                        {"lsn_lease_length", ms(gc_->lease)}};
  if (gc_->heatmap > Duration()) config["heatmap_period"] = ms(gc_->heatmap);
  TRY(http::fetch_json(task, Address::tcp("127.0.0.1", management_.port), "PUT",
                       "/v1/tenant/" + to_string(tenant_) + "/config", config));
  return {};
}

Result<bool> Cluster::lease(Task& task, const Line& line, Lsn lsn) {
  std::string command =
      "lease lsn " + to_string(tenant_) + " " + to_string(line.id.timeline) + " " + to_string(lsn);
  for (;;) {
    {
      Deadline deadline(task, Duration::seconds(5));
      auto client = wire::PgClient::connect(task, pages_, {{"user", "argon"}, {"database", "argon"}});
      auto answer = client.ok() ? (*client)->query(task, command) : Result<wire::QueryResult>(client.error());
      if (answer.ok() && answer->rows.size() == 1 && answer->rows[0].size() == 1)
        return answer->rows[0][0].has_value();
    }
    TRY(task.sleep(Duration::milliseconds(300)));
  }
}

void Cluster::history_gone(const Line& line, Lsn lsn, const std::string& to) {
  using enum faults::Kind;
  const faults::Counters& had = run_.world().counters;
  for (faults::Kind clock : {WallClockOffset, WallClockStep, WallClockDrift, WallClockFrozen})
    if (had[clock] > 0) return;
  auto time = line.reference->commit_time_at(lsn);
  int64_t oldest = WallTime{pageserver().wall_ns() - gc_->pitr_interval.ns}.to_postgres();
  if (gc_->pitr_interval > Duration() && time && *time > oldest)
    run_.fail("history in the PITR window is readable",
              line.name + " was refused to " + to + " at " + to_string(lsn) + ", " +
                  std::to_string((*time - oldest) / 1000) + " ms before it leaves the window");
}

void Cluster::check_local(const sim::Machine& pageserver) {
  for (const auto& line : lines_) {
    Status whole = check_local_layers(pageserver, line->id, layers_);
    if (!whole.ok()) run_.fail("a local index names whole layers", whole.error().message());
  }
}

// Lays a data directory on the pageserver's disk and has it imported.
Status Cluster::import_root(Task& task) {
  Disk& disk = task.env().disk();
  for (const pg::MadeFile& file : data_.files) {
    std::string path = join_path(kDataDirectory, file.path);
    TRY(make_dirs(task, disk, parent_path(path)));
    TRY_ASSIGN(auto out, disk.open(task, path, OpenMode::CreateOrOpen));
    TRY(write_all_at(task, *out, 0, file.bytes));
  }
  Address here = Address::tcp("127.0.0.1", management_.port);
  TRY(http::fetch_json(task, here, "POST", "/v1/tenant", {{"new_tenant_id", to_string(tenant_)}}));
  TRY(http::fetch_json(
      task, here, "POST", "/v1/tenant/" + to_string(tenant_) + "/timeline",
      {{"new_timeline_id", to_string(lines_.front()->id.timeline)}, {"import_datadir", kDataDirectory}}));
  TRY(configure_gc(task));
  data_.files.clear();
  return remove_tree(task, disk, kDataDirectory);
}

bool Cluster::set_up() {
  add("broker").boot([](Task& task, Env& env) {
    broker::BrokerConfig config;
    config.listen = Address::tcp("0.0.0.0", kBrokerPort);
    config.listen_http = Address::tcp("0.0.0.0", 50052);
    return broker::run_broker(task, env, config);
  });
  if (knobs_.s3) add_s3();
  for (uint64_t i = 1; i <= 3 + knobs_.spare_safekeepers; i++) add_safekeeper(i, i <= 3);
  add_pageserver();
  sim::Machine& operators = run_.world().add_machine("operator");
  operators.spare();
  operators.boot([](Task& task, Env&) { return task.sleep(Duration::max()); });
  run_.run_for(Duration::seconds(1));
  Status imported =
      run_.world().run(pageserver(), [this](Task& task) { return import_root(task); }, Duration::seconds(60));
  if (!imported.ok()) run_.fail("set up", imported.error().to_string());
  return !run_.failed();
}

sim::Machine& Cluster::add_compute_machine(Line& line, Duration supervise) {
  std::string name = "compute-" + std::to_string(++machines_for_computes_);
  line.computes.push_back(name);
  sim::Machine& machine = add(name);
  machine.supervise(supervise);
  return machine;
}

consensus::ProposerConfig Cluster::proposer(const Line& line) const {
  consensus::ProposerConfig proposer;
  proposer.id = line.id;
  proposer.configuration = members_;
  proposer.server = {150'000, system_id_, static_cast<uint32_t>(pg::kWalSegmentSize)};
  proposer.bootstrap_start = line.branch_point;
  proposer.allow_creation = true;
  return proposer;
}

void Cluster::add_compute(Line& line, Duration supervise) {
  Random random = run_.random().fork("compute " + std::to_string(computes_.size()));
  auto config = std::make_unique<compute::ModelComputeConfig>();
  sim::Machine& machine = add_compute_machine(line, supervise);
  config->name = machine.name();
  config->id = line.id;
  config->pageserver = pages_;
  config->safekeepers = members_;
  config->system_id = system_id_;
  config->bootstrap_start = line.branch_point;
  config->allow_creation = true;
  if (random.below(2) == 0) config->append_bytes_max = random.log_uniform(500, consensus::kAppendBytesMax);
  config->directory = "/compute";
  // Shrinking limits these: a compute without work would make no progress, which is no bug.
  auto at_least_one = [this](const char* what, uint64_t drawn) {
    return static_cast<uint32_t>(std::max<uint64_t>(1, run_.limited(what, drawn)));
  };
  config->relations = at_least_one("relations", random.between(1, 4));
  config->backends = at_least_one("backends", random.between(1, 4));
  config->may_begin = [this] { return run_.may_operate(); };
  if (gc_) config->history_gone = [this, &line](Lsn lsn) { history_gone(line, lsn, "a reader"); };
  config->readers = at_least_one("readers", random.between(1, 4));
  config->cache_pages = random.log_uniform(4, 32);
  // From lazy to busy: transactions and reads an hour, of the whole compute.
  config->think = pause(random, config->backends, 6500, 23'000);
  config->read_pause = pause(random, config->readers, 4500, 8000);
  if (line.rows != nullptr) {
    config->rows = line.rows;
    config->row_clients = at_least_one("clients", random.between(2, 5));
    config->row_pause = pause(random, config->row_clients, 6000, 30'000);
  }
  config->think = knobs_.pause.value_or(config->think);
  config->read_pause = knobs_.pause.value_or(config->read_pause);
  compute::ModelComputeConfig& kept = *config;
  computes_.push_back(std::move(config));
  if (knobs_.spare_safekeepers > 0)
    kept.decided = [this, &line](Task& task) { return decided_members(task, line); };
  machine.boot([&kept, &line](Task& task, Env& env) -> Status {
    if (kept.decided != nullptr) {
      TRY_ASSIGN(kept.safekeepers, kept.decided(task));
    }
    return compute::run_model_compute(task, env, kept, *line.reference, *line.events);
  });
}

Line* Cluster::branch(Line& parent, Duration limit) {
  const std::vector<Lsn>& commits = parent.events->commits();
  uint64_t first = 0;
  bool gone = !commits.empty();
  Line* made = nullptr;
  // Where GC was first, a later commit; in the end the last one.
  for (int left = kBranchAttempts; gone && left > 0 && !run_.failed(); left--) {
    uint64_t last = commits.size() - 1;
    first = left > 1 ? run_.random().between(first, last) : last;
    made = branch_at(parent, commits[first], limit, gone);
  }
  return made;
}

Line* Cluster::branch_below_its_beginning(Line& parent, Duration limit) {
  std::vector<Lsn> below;
  for (Lsn commit : parent.parent->events->commits())
    if (parent.parent->branch_point < commit && commit < parent.branch_point) below.push_back(commit);
  if (below.empty()) return nullptr;
  bool gone = false;
  return branch_at(parent, below[run_.random().below(below.size())], limit, gone);
}

Line* Cluster::branch_at(Line& parent, Lsn at, Duration limit, bool& gone) {
  Random& random = run_.random();
  TimelineId id = random_timeline_id(random);
  auto line = std::make_unique<Line>();
  line->id = {tenant_, id};
  line->name = "branch-" + std::to_string(lines_.size());
  line->branch_point = at;
  line->parent = &parent;
  line->reference = std::make_unique<compute::ReferenceModel>(*parent.reference, at);
  line->at_branch = std::make_unique<compute::ReferenceModel>(*parent.reference, at);
  line->events = std::make_unique<PageOracle>(run_, to_string(id));
  nlohmann::json body{{"new_timeline_id", to_string(id)},
                      {"ancestor_timeline_id", to_string(parent.id.timeline)},
                      {"ancestor_start_lsn", to_string(at)}};
  std::string path = "/v1/tenant/" + to_string(tenant_) + "/timeline";
  auto done = std::make_shared<bool>(false);
  auto refused = std::make_shared<bool>(false);
  operators().spawn("branch", [this, body, path, limit, done, refused](Task& task) -> Status {
    MonotonicTime end = task.env().now() + limit;
    while (!*done && !*refused && task.env().now() < end) {
      {
        Deadline deadline(task, Duration::seconds(5));
        // Asking again is harmless: the id is the same.
        auto made = http::fetch_json(task, management_, "POST", path, body);
        *done = made.ok();
        *refused = gc_ && !made.ok() && compute::is_below_gc_cutoff(made.error());
      }
      TRY(task.sleep(Duration::milliseconds(200)));
    }
    return {};
  });
  run_.run_until([&] { return *done || *refused; }, limit + Duration::seconds(6));
  if (!*done) unanswered_.push_back(id);
  gone = *refused;
  if (gone) history_gone(parent, at, "a branch");
  if (!*done || run_.failed()) return nullptr;
  run_.work().branches++;
  lines_.push_back(std::move(line));
  if (rows_of_ != nullptr) lines_.back()->rows = rows_of_(*lines_.back());
  return lines_.back().get();
}

void Cluster::give_up(const Line& line) {
  auto found = std::ranges::find_if(lines_, [&](const auto& one) { return one.get() == &line; });
  given_up_.push_back(std::move(*found));
  lines_.erase(found);
}

safekeeper::DeletionRequest Cluster::deletion(std::optional<TimelineId> timeline) const {
  safekeeper::DeletionRequest request;
  request.what = {tenant_, timeline};
  request.pageserver = management_;
  for (const auto& [id, node] : all_safekeepers_) request.safekeepers[id] = node.http;
  return request;
}

std::vector<sim::Machine*> Cluster::safekeepers() {
  std::vector<sim::Machine*> all;
  for (const auto& [id, node] : all_safekeepers_) all.push_back(run_.world().find_machine(node.member.host));
  return all;
}

Result<consensus::Configuration> Cluster::decided_members(Task& task, const Line& line) {
  sim::BucketStore store = wal_store();
  TRY_ASSIGN(auto decided, safekeeper::decided_members(task, store, line.id));
  return decided.value_or(members_);
}

safekeeper::Migration Cluster::migration(const Line& line) {
  return {line.id, all_safekeepers_, {}};
}

bool Cluster::change_members(const Line& line, const std::vector<NodeId>& members, Duration limit) {
  safekeeper::Migration change = migration(line);
  change.target = members;
  auto until_done = [&](Task& task) -> Status {
    for (;;) {
      sim::BucketStore store = wal_store();
      auto changed = safekeeper::migrate(task, store, change);
      if (changed.ok() && changed->not_removed.empty()) return {};
      if (changed.is(Code::Cancelled) || changed.is(Code::Corrupt)) return changed.error();
      TRY(task.sleep(Duration::milliseconds(500)));
    }
  };
  Status done = run_.world().run(operators(), until_done, limit);
  if (!done.ok()) run_.fail("a change of members ends", line.name + ": " + done.error().to_string());
  return !run_.failed();
}

void Cluster::set_members(const std::vector<NodeId>& members) {
  members_.members.clear();
  for (NodeId id : members) members_.members.push_back(all_safekeepers_.at(id).member);
}

void Cluster::heal_core() {
  Random& random = run_.random();
  std::vector<std::string> core{"broker", "pageserver"};
  if (knobs_.s3) core.push_back("s3");
  std::vector<std::string> rest;
  std::vector<std::string> rivals;
  size_t left_out = random.below(members_.members.size());
  for (size_t i = 0; i < members_.members.size(); i++)
    (i == left_out ? rest : core).push_back(members_.members[i].host);
  for (const auto& line : lines_) {
    if (line->computes.empty()) continue;
    size_t chosen = random.below(line->computes.size());
    for (size_t i = 0; i < line->computes.size(); i++)
      (i == chosen ? core : rivals).push_back(line->computes[i]);
  }
  rest.insert(rest.end(), rivals.begin(), rivals.end());
  run_.heal_core(core, rest, rivals);
}

void Cluster::start_faults(std::vector<faults::Kind> never) {
  std::vector<std::string> caches{"pageserver"};
  if (knobs_.second_pageserver) caches.push_back("pageserver-2");
  run_.start_faults(
      nodes_, run_.options().length, std::move(never), caches,
      [this](sim::Machine&, const std::string& path) { return is_layer_that_can_be_made_anew(path); });
}

bool Cluster::is_layer_that_can_be_made_anew(const std::string& path) const {
  constexpr std::string_view kRoot = "/layers/";
  if (!path.starts_with(kRoot)) return false;
  size_t slash = path.rfind('/');
  std::string folder = path.substr(kRoot.size(), slash + 1 - kRoot.size());
  return pageserver::parse_layer_name(path.substr(slash + 1)).ok() &&
         !layers_.last_key(folder + "index-").empty();
}

std::string Cluster::wal_folder(const Line& line) const {
  return "/data/" + to_string(line.id.tenant) + "/" + to_string(line.id.timeline);
}

}  // namespace argon::scenarios
