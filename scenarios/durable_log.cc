#include "scenarios/durable_log.h"

#include "core/base/codec.h"
#include "core/env/io.h"
#include "core/fiber/sync.h"

namespace argon::scenarios {
namespace {

constexpr const char* kPath = "/log";
constexpr const char* kHost = "log-server";
constexpr uint16_t kPort = 4000;
constexpr size_t kRecord = 700;  // bytes: a record touches two sectors, and pages now and then

// Client and sequence number, then bytes that follow from them, and a CRC at the end.
Bytes make_record(uint64_t client, uint64_t sequence) {
  Bytes record;
  Writer writer(record);
  writer.le(client).le(sequence);
  Random filler(client * 1'000'003 + sequence);
  Bytes body(kRecord - 20);
  filler.fill(body);
  writer.bytes(body).le(crc32c(record));
  return record;
}

bool valid(ByteView record) {
  return record.size() == kRecord &&
         crc32c(record.first(kRecord - 4)) == load_le<uint32_t>(record.data() + kRecord - 4);
}

// Cuts what is behind the last whole record, and makes sure that it stays cut.
Result<uint64_t> recover(Task& task, Disk& disk) {
  TRY_ASSIGN(auto file, disk.open(task, kPath, OpenMode::CreateOrOpen));
  TRY(disk.sync_dir(task, "/"));
  TRY_ASSIGN(uint64_t size, file->size(task));
  uint64_t end = 0;
  Bytes record(kRecord);
  while (end + kRecord <= size) {
    TRY(read_exact_at(task, *file, end, record));
    if (!valid(record)) break;
    // Where a former process saw a sync fail, what reads well may not be on the medium: written once more.
    TRY(write_all_at(task, *file, end, record));
    end += kRecord;
  }
  TRY(file->truncate(task, end));
  TRY(file->fdatasync(task));
  return end;
}

struct Server {
  bool careless = false;  // does not sync
  std::unique_ptr<File> file;
  uint64_t end = 0;
  std::map<uint64_t, uint64_t> latest;  // sequence by client
  Mutex mutex;
  Status broken;  // a disk error ends the process
};

Status append_record(Task& task, Server& server, ByteView record) {
  Lock lock;
  TRY(lock.acquire(task, server.mutex));
  TRY(server.broken);
  uint64_t client = load_le<uint64_t>(record.data());
  uint64_t sequence = load_le<uint64_t>(record.data() + 8);
  uint64_t& latest = server.latest[client];
  if (sequence <= latest) return {};  // sent again since the answer was lost
  Status written = write_all_at(task, *server.file, server.end, record);
  if (written.ok() && !server.careless) written = server.file->fdatasync(task);
  if (!written.ok()) {
    server.broken = written;
    return written;
  }
  latest = sequence;
  server.end += kRecord;
  return {};
}

Status serve(Task& task, Server& server, Stream& stream) {
  Bytes record(kRecord);
  for (;;) {
    TRY(read_exact(task, stream, record));
    if (!valid(record)) return Error(Code::Corrupt, "a record's checksum is wrong");
    TRY(append_record(task, server, record));
    TRY(write_all(task, stream, ByteView(record).subspan(8, 8)));
  }
}

Status log_server(Task& task, Env& env, bool careless) {
  Server server;
  server.careless = careless;
  TRY_ASSIGN(server.end, recover(task, env.disk()));
  TRY_ASSIGN(server.file, env.disk().open(task, kPath, OpenMode::ReadWrite));
  Bytes record(kRecord);
  for (uint64_t at = 0; at < server.end; at += kRecord) {
    TRY(read_exact_at(task, *server.file, at, record));
    server.latest[load_le<uint64_t>(record.data())] = load_le<uint64_t>(record.data() + 8);
  }
  TRY_ASSIGN(auto listener, env.network().listen(task, Address::tcp("0.0.0.0", kPort)));
  Scope connections(task);
  Status ended;
  while (ended.ok()) {
    Result<std::unique_ptr<Stream>> accepted = listener->accept(task);
    if (!accepted.ok()) {
      ended = accepted.is(Code::Cancelled) ? Status() : accepted.error();
      break;
    }
    connections.spawn("connection",
                      [&, stream = std::shared_ptr<Stream>(std::move(*accepted))](Task& own) -> Status {
                        // How a connection ends matters to its client only, unless the disk failed.
                        ignore_result(serve(own, server, *stream));
                        if (!server.broken.ok()) listener->close();
                        return {};
                      });
  }
  TRY(connections.stop(task));
  return server.broken.ok() ? ended : server.broken;
}

Status send_until_acknowledged(Task& task, Env& env, std::unique_ptr<Stream>& stream, ByteView record) {
  for (;;) {
    Deadline deadline(task, Duration::seconds(2));
    if (stream == nullptr) {
      auto connected = env.network().connect(task, Address::tcp(kHost, kPort));
      if (connected.ok()) stream = std::move(*connected);
    }
    Status done = Error(Code::Unavailable, "not connected");
    Bytes answer(8);
    if (stream != nullptr) done = write_all(task, *stream, record);
    if (done.ok()) done = read_exact(task, *stream, answer);
    if (done.ok() && load_le<uint64_t>(answer.data()) == load_le<uint64_t>(record.data() + 8)) return {};
    if (task.cancelled()) return Error(Code::Cancelled, "stopped");
    stream.reset();
    ignore_result(task.sleep(Duration::milliseconds(50)));
  }
}

struct Ledger {
  std::vector<std::pair<uint64_t, uint64_t>> acknowledged;  // client, sequence
};

// After healing: everything acknowledged is there, in order per client.
void check_log(Run& run, sim::Machine& machine, const Ledger& ledger) {
  std::map<uint64_t, uint64_t> latest;
  Status status = run.world().run(machine, [&](Task& task) -> Status {
    TRY_ASSIGN(Bytes log, read_file(task, task.env().disk(), kPath));
    for (uint64_t at = 0; at + kRecord <= log.size(); at += kRecord) {
      ByteView record = ByteView(log).subspan(at, kRecord);
      if (!valid(record)) return Error(Code::Corrupt, "damaged record at " + std::to_string(at));
      uint64_t client = load_le<uint64_t>(record.data());
      uint64_t sequence = load_le<uint64_t>(record.data() + 8);
      if (sequence != latest[client] + 1)
        return Error(Code::Corrupt, "record " + std::to_string(sequence) + " follows " +
                                        std::to_string(latest[client]) + " of client " +
                                        std::to_string(client));
      latest[client] = sequence;
    }
    return {};
  });
  if (!status.ok()) return run.fail("log order", status.error().to_string());
  for (auto [client, sequence] : ledger.acknowledged)
    if (latest[client] < sequence)
      return run.fail("acknowledged is durable", "record " + std::to_string(sequence) + " of client " +
                                                     std::to_string(client) +
                                                     " was acknowledged and is gone");
}

void run_log(Run& run, bool careless) {
  sim::World& world = run.world();
  Ledger ledger;
  sim::Machine& server = world.add_machine(kHost);
  server.supervise(Duration::milliseconds(200));
  server.boot([careless](Task& task, Env& env) { return log_server(task, env, careless); });
  for (uint64_t client = 1; client <= 2; client++) {
    sim::Machine& machine = world.add_machine("client-" + std::to_string(client));
    machine.boot([&run, &ledger, client](Task& task, Env& env) -> Status {
      std::unique_ptr<Stream> stream;
      for (uint64_t sequence = 1;; sequence++) {
        while (!run.may_operate()) TRY(task.sleep(Duration::milliseconds(100)));
        TRY(send_until_acknowledged(task, env, stream, make_record(client, sequence)));
        ledger.acknowledged.emplace_back(client, sequence);
        run.work().commits_acked++;
        run.remark("client-" + std::to_string(client), "commit", "record " + std::to_string(sequence));
        TRY(task.sleep(env.random("pause").exponential(Duration::milliseconds(100))));
      }
    });
  }
  run.start_faults({kHost}, run.options().length);
  run.run_for(run.options().length);
  auto check_progress = [&](const std::string& which) {
    size_t before = ledger.acknowledged.size();
    if (!run.run_until([&] { return ledger.acknowledged.size() >= before + 10; }, Duration::seconds(60)))
      run.fail("progress " + which, "fewer than 10 records in 60 s");
  };
  uint64_t chosen = 1 + run.random().below(2);
  run.heal_core({kHost, "client-" + std::to_string(chosen)}, {"client-" + std::to_string(3 - chosen)}, {});
  check_progress("of a core");
  run.heal();
  check_progress("after healing");
  if (!run.failed()) check_log(run, server, ledger);
}

void durable_log(Run& run) {
  run_log(run, false);
}

void careless_log(Run& run) {
  run_log(run, true);
}

}  // namespace

constinit const Scenario kSelftestCareless{
    "selftest-careless",
    "the log server does not sync, on purpose: it must lose what it acknowledged",
    careless_log,
    {100, 0, 0},
    true};

constinit const Scenario kDurableLog{"durable-log",
                                     "a careful log server never loses or reorders what it acknowledged",
                                     durable_log,
                                     {100, 0, 0},
                                     false};

}  // namespace argon::scenarios
