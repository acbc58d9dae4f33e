#include "scenarios/wal_service_parts.h"

#include <nlohmann/json.hpp>

#include "core/base/checksum.h"
#include "core/broker/broker.h"
#include "core/http/client.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/donor.h"
#include "core/safekeeper/safekeeper.h"
#include "core/wire/replication.h"

namespace argon::scenarios {
namespace {

using namespace argon::literals;

constexpr uint64_t kSafekeepers = 3;
constexpr uint16_t kWalPort = 5454;
constexpr uint16_t kHttpPort = 7676;
constexpr uint64_t kSystemId = 4711;
constexpr Duration kStoreLatency = Duration::milliseconds(5);
constexpr std::string_view kDataFolder = "/data/wal";
constexpr Lsn kReadFrom = pg::segment_start(WalLedger::kStart);

std::string node_name(uint64_t i) {
  return "sk" + std::to_string(i);
}

// What the seed says of a safekeeper.
safekeeper::SafekeeperConfig drawn_config(sim::World& world, uint64_t i) {
  safekeeper::SafekeeperConfig config;
  config.evict_after = Duration::milliseconds(
      static_cast<int64_t>(world.stream("evict after " + std::to_string(i)).log_uniform(300, 10'000)));
  Random decode = world.stream("decode " + std::to_string(i));
  config.decode.window_bytes = decode.log_uniform(1, 1024 * 1024);
  config.decode.batch_bytes = decode.log_uniform(1, 256 * 1024);
  return config;
}

Status safekeeper_main(Task& task, Env& env, uint64_t i, sim::Bucket& bucket,
                       safekeeper::SafekeeperConfig config) {
  config.id = NodeId(i);
  config.data_dir = kDataFolder;
  config.listen_wal = Address::tcp("0.0.0.0", kWalPort);
  config.listen_http = Address::tcp("0.0.0.0", kHttpPort);
  config.advertise_wal = node_name(i) + ":" + std::to_string(kWalPort);
  config.advertise_http = node_name(i) + ":" + std::to_string(kHttpPort);
  config.broker = Address::tcp("broker", 50051);
  config.partial_upload_pause = 2_s;
  config.sleep_after = 1_s;
  sim::BucketStore store(bucket, kStoreLatency);
  return safekeeper::run_safekeeper(task, env, config, &store);
}

Status broker_main(Task& task, Env& env) {
  broker::BrokerConfig config;
  config.listen = Address::tcp("0.0.0.0", 50051);
  config.listen_http = Address::tcp("0.0.0.0", 50052);
  return broker::run_broker(task, env, config);
}

// The first record of a term always has the same length, as a server's start record has: what a former
// proposer wrote behind its own would decode as a true successor, if it were still there.
pg::RecordBuilder some_record(Random& random, bool first) {
  Bytes body(first ? 100 : random.log_uniform(1, 30'000));
  random.fill(body);
  pg::RecordBuilder record(pg::Rmgr::Xlog, 0x20, 3);
  record.main(body);
  return record;
}

}  // namespace

void WalLedger::restart(Lsn start) {
  if (start < acknowledged)
    broken = "elected at " + to_string(start) + ", acknowledged was " + to_string(acknowledged);
  if (start > kStart + log.size())
    broken = "elected at " + to_string(start) + ", beyond what was ever written";
  if (!broken.empty()) return;
  log.resize(start - kStart);
  while (!records.empty() && records.back().end > start) records.pop_back();
}

TenantTimelineId WalCluster::timeline_id() {
  TenantTimelineId id;
  id.tenant.bytes[0] = 0x11;
  id.timeline.bytes[0] = 0x22;
  return id;
}

std::string WalCluster::timeline_folder() {
  return std::string(kDataFolder) + "/" + to_string(timeline_id().tenant) + "/" +
         to_string(timeline_id().timeline);
}

WalCluster::WalCluster(sim::World& world) : store_(std::make_shared<sim::Bucket>()) {
  world.add_machine("broker").boot(broker_main);
  for (uint64_t i = 1; i <= kSafekeepers; ++i) {
    safekeepers_.push_back(&world.add_machine(node_name(i)));
    safekeepers_.back()->boot([i, config = drawn_config(world, i), bucket = store_](Task& task, Env& env) {
      return safekeeper_main(task, env, i, *bucket, config);
    });
  }
  for (const auto& machine : world.machines()) machine->supervise(500_ms);
  compute_ = &world.add_machine("compute");
  compute_->boot([](Task& task, Env&) -> Status {
    for (;;) TRY(task.sleep(3600_s));
  });
}

compute::ProposerDriverConfig WalCluster::proposer_config() const {
  compute::ProposerDriverConfig config;
  consensus::ProposerConfig& proposer = config.proposer;
  proposer.id = timeline_id();
  proposer.configuration.generation = consensus::ConfigurationGeneration(1);
  for (uint64_t i = 1; i <= kSafekeepers; ++i)
    proposer.configuration.members.push_back({NodeId(i), node_name(i), kWalPort});
  proposer.server = {150013, kSystemId, pg::kWalSegmentSize};
  proposer.min_term = ledger_.term;
  proposer.bootstrap_start = WalLedger::kStart;
  proposer.allow_creation = true;
  config.connect_timeout = 1_s;
  return config;
}

Status WalCluster::write_in_one_term(Task& task, compute::ProposerDriver& driver, Lsn start) {
  Random& random = task.env().random("compute.records");
  MonotonicTime end = MonotonicTime::max();
  if (term_length_ > Duration())
    end = task.env().now() + random.between(term_length_ / 2, term_length_ * 3 / 2);
  Lsn previous = ledger_.records.empty() ? Lsn() : ledger_.records.back().start;
  pg::WalWriter writer({kSystemId}, start, previous);
  for (bool first = true; !enough_(); first = false) {
    if (task.env().now() >= end) return Error(Code::TimedOut, "the term is over");
    while (may_write_ != nullptr && !may_write_() && !enough_()) TRY(task.sleep(50_ms));
    pg::PlacedRecord placed = writer.append(some_record(random, first));
    Lsn begin = writer.begin();
    Bytes bytes = writer.take();
    append(ledger_.log, bytes);
    ledger_.records.push_back(placed);
    Deadline deadline(task, 10_s);
    TRY(driver.append(task, begin, bytes));
    if (random.chance({1, 3})) continue;
    TRY(driver.wait_committed(task, placed.end));
    ledger_.acknowledged = placed.end;
    ++ledger_.commits;
    TRY(task.sleep(random.between(1_ms, 40_ms)));
  }
  return settle(task, driver);
}

Status WalCluster::settle(Task& task, compute::ProposerDriver& driver) {
  Lsn end = WalLedger::kStart + ledger_.log.size();
  {
    Deadline deadline(task, 10_s);
    TRY(driver.finish(task));
  }
  ledger_.acknowledged = end;
  // Where all safekeepers live, those behind catch up.
  Deadline deadline(task, 10_s);
  while (driver.proposer().truncate() < end) TRY(task.sleep(10_ms));
  return task.sleep(1500_ms);  // they hear of the last commit
}

Status WalCluster::write(Task& task, std::function<bool()> enough, std::function<bool()> may_write) {
  enough_ = std::move(enough);
  may_write_ = std::move(may_write);
  Env& env = task.env();
  while (!enough_() && ledger_.broken.empty()) {
    Scope scope(task);
    compute::ProposerDriver driver(scope, env, Logger(env.log()), proposer_config(),
                                   [this](Task& t, Term term, Lsn) {
                                     ledger_.term = term;
                                     return t.yield();
                                   });
    driver.start();
    Result<consensus::Elected> elected = [&] {
      Deadline deadline(task, 4_s);
      return driver.elect(task);
    }();
    if (elected.ok()) {
      ++ledger_.elections;
      ledger_.restart(elected->start);
      if (ledger_.broken.empty()) ignore_result(write_in_one_term(task, driver, elected->start));
    }
    ledger_.term = std::max(ledger_.term, driver.seen_term());
    TRY(driver.stop(task));
    // Now and then long enough for everybody to fall asleep.
    Random& random = env.random("compute.pause");
    TRY(task.sleep(random.chance({1, 8}) ? random.between(3_s, 8_s) : random.between(10_ms, 300_ms)));
  }
  return {};
}

Result<std::unique_ptr<wire::PgClient>> WalCluster::connect_reader(Task& task, const std::string& safekeeper,
                                                                   const std::string& command) {
  TRY_ASSIGN(auto client, wire::PgClient::connect(task, Address::tcp(safekeeper, kWalPort),
                                                  {{"user", "test"}, {"replication", "true"}},
                                                  {{"tenant_id", to_string(timeline_id().tenant)},
                                                   {"timeline_id", to_string(timeline_id().timeline)}}));
  TRY(client->start_copy_both(task, command));
  return client;
}

// Over one connection, what comes at `at` and after.
Status WalCluster::read_on(Task& task, const std::string& host, Lsn& at, Lsn until, const Take& take) {
  TRY_ASSIGN(auto client, connect_reader(task, host, "START_REPLICATION PHYSICAL " + to_string(at)));
  while (at < until) {
    TRY_ASSIGN(auto chunk, client->read_copy(task));
    if (!chunk) return Error(Code::Disconnected, "the stream ended early");
    TRY_ASSIGN(auto message, wire::parse_replication_server_message(*chunk));
    if (auto* data = std::get_if<wire::XLogData>(&message)) {
      if (data->start != at) return Error(Code::Corrupt, "a gap at " + to_string(data->start));
      TRY(take(at, data->data));
      at += data->data.size();
    }
  }
  return {};
}

// All WAL from the start of the timeline's first segment, where stock walreceivers begin: one that is cut off
// connects again and goes on.
Status WalCluster::read_all(Task& task, const std::string& host, const Take& take) const {
  Deadline deadline(task, 30_s);
  Lsn at = kReadFrom;
  for (;;) {
    Status read = read_on(task, host, at, ledger_.acknowledged, take);
    if (!read.is(Code::Disconnected)) return read;
    TRY(task.sleep(100_ms));
  }
}

Result<nlohmann::json> WalCluster::status(Task& task, const std::string& safekeeper) const {
  Deadline deadline(task, 2_s);
  return http::fetch_json(
      task, Address::tcp(safekeeper, kHttpPort), "GET",
      "/v1/tenant/" + to_string(timeline_id().tenant) + "/timeline/" + to_string(timeline_id().timeline),
      nullptr);
}

Status WalCluster::read(Task& task, const std::string& safekeeper, Lsn until) const {
  Lsn at = kReadFrom;
  return read_on(task, safekeeper, at, until, [](Lsn, ByteView) { return Status(); });
}

// Before the timeline's first LSN there are pages without records: `page` is a whole one, or what lies on the
// page of that LSN before it.
Status WalCluster::check_empty_page(Lsn at, ByteView page) {
  size_t header = pg::page_header_size(at);
  TRY(pg::read_page_header(page.first(header), at, {kSystemId}));
  if (all_zeros(page.subspan(header))) return {};
  return Error(Code::Corrupt, "something lies before the first LSN, in the page at " + to_string(at));
}

Status WalCluster::check_bytes(Lsn at, ByteView wal, Bytes& page) const {
  while (!wal.empty() && at < WalLedger::kStart) {
    Lsn end = std::min(pg::page_start(at) + pg::kWalBlockSize, WalLedger::kStart);
    size_t n = std::min<uint64_t>(wal.size(), end - at);
    append(page, wal.first(n));
    wal = wal.subspan(n);
    at += n;
    if (at < end) continue;
    TRY(check_empty_page(at - page.size(), page));
    page.clear();
  }
  if (at >= ledger_.acknowledged) return {};
  wal = wal.first(std::min<uint64_t>(wal.size(), ledger_.acknowledged - at));
  if (std::equal(wal.begin(), wal.end(),
                 ledger_.log.begin() + static_cast<ptrdiff_t>(at - WalLedger::kStart)))
    return {};
  return Error(Code::Corrupt, "other WAL than was acknowledged, from " + to_string(at) + " on");
}

// Its hash chain is that of what was acknowledged, which is hashed here by other means.
Status WalCluster::check_chain(Task& task, const std::string& safekeeper) const {
  safekeeper::ChainLink wanted = safekeeper::first_link(timeline_id(), WalLedger::kStart);
  while (wanted.at < ledger_.acknowledged) {
    Lsn end = std::min(ledger_.acknowledged, pg::segment_start(wanted.at) + pg::kWalSegmentSize);
    ByteView wal = ByteView(ledger_.log).subspan(wanted.at - WalLedger::kStart, end - wanted.at);
    wanted = safekeeper::next_link(wanted, end, crc32c(wal));
  }
  std::optional<safekeeper::ChainLink> has;
  Deadline deadline(task, 30_s);
  while (!has) {
    TRY_ASSIGN(has, safekeeper::ask_chain(task, Address::tcp(safekeeper, kHttpPort), timeline_id(),
                                          ledger_.acknowledged));
    if (!has) TRY(task.sleep(100_ms));
  }
  if (*has == wanted) return {};
  return Error(Code::Corrupt, "its hash chain is not that of what was acknowledged");
}

Status WalCluster::check(Task& task, const std::string& safekeeper) const {
  Bytes page;
  TRY(read_all(task, safekeeper, [&](Lsn at, ByteView wal) { return check_bytes(at, wal, page); }));
  return check_chain(task, safekeeper);
}

}  // namespace argon::scenarios
