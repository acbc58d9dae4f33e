#include "scenarios/proxy.h"

#include <nlohmann/json.hpp>

#include "core/base/codec.h"
#include "core/env/io.h"
#include "core/http/client.h"
#include "core/proxy/proxy.h"
#include "core/tls/stream.h"
#include "core/tls/testing/certificate.h"
#include "core/wire/pg_messages.h"
#include "core/wire/pg_startup.h"
#include "scenarios/model_endpoint.h"

namespace argon::scenarios {
namespace {

using namespace argon::literals;

const std::vector<std::string> kEndpoints = {"ep-a", "ep-b"};
constexpr const char* kProxyHost = "proxy";
constexpr uint16_t kProxyPort = 4432;
constexpr uint16_t kHttpPort = 7000;
constexpr uint64_t kLargest = 200'000;  // letters of an answer: more than the network holds at once
constexpr Duration kPatience = 20_s;    // of a client, with one request
constexpr const char* kDomain = ".proxy.test";
constexpr const char* kCertificateFile = "/proxy.crt";
constexpr const char* kKeyFile = "/proxy.key";
constexpr const char* kNoName = "name an endpoint";

// What a run draws.
struct Encryption {
  bool offered = false;
  bool required = false;
};

// Endpoints by the hosts' names, woken over the network.
class NetworkEndpoints final : public proxy::Endpoints {
 public:
  explicit NetworkEndpoints(Run& run) : run_(run) {}

  Result<Address> address(Task&, const std::string& endpoint) override {
    if (std::find(kEndpoints.begin(), kEndpoints.end(), endpoint) == kEndpoints.end())
      return Error(Code::NotFound, "there is no endpoint " + endpoint);
    return Address::tcp(endpoint, kSqlPort);
  }
  Result<std::string> unnamed(Task&) override { return Error(Code::Invalid, kNoName); }
  Status wake(Task& task, const std::string& endpoint) override {
    if (waking_[endpoint]++ > 0)
      run_.fail("one wake at a time", "two wakes of " + endpoint + " are under way");
    Status woken = ask(task, endpoint);
    waking_[endpoint]--;
    return woken;
  }

 private:
  Status ask(Task& task, const std::string& endpoint) {
    Deadline deadline(task, 10_s);
    Bytes byte(1);
    TRY_ASSIGN(auto stream, task.env().network().connect(task, Address::tcp(endpoint, kWakePort)));
    TRY(write_all(task, *stream, byte));
    return read_exact(task, *stream, byte);
  }

  Run& run_;
  std::map<std::string, int> waking_;
};

Status proxy_main(Task& task, Env& env, Run& run, const Encryption& encryption) {
  NetworkEndpoints endpoints(run);
  proxy::ProxyConfig config;
  if (encryption.offered) {
    TRY(write_file_durably(task, env.disk(), kCertificateFile, as_bytes(tls::testing::kCertificate)));
    TRY(write_file_durably(task, env.disk(), kKeyFile, as_bytes(tls::testing::kKey)));
    config.tls = proxy::TlsConfig{kCertificateFile, kKeyFile, encryption.required};
  }
  config.listen = Address::tcp("0.0.0.0", kProxyPort);
  config.listen_http = Address::tcp("0.0.0.0", kHttpPort);
  config.startup_timeout = 5_s;
  config.wake_timeout = 15_s;
  return proxy::run_proxy(task, env, config, endpoints);
}

// How a client comes to the proxy.
struct Approach {
  enum class Tls { None, AskedFor, Direct } tls = Tls::None;
  std::string host;  // that the client believes to reach: the certificate's name, SNI
  std::vector<std::pair<std::string, std::string>> parameters;  // of the startup packet
};

// Names `endpoint` by what comes first, and where there is more to say, another one by what comes later.
Approach draw_approach(Random& random, const std::string& endpoint, const Encryption& encryption) {
  Approach approach;
  uint64_t tls = encryption.offered ? random.below(4) : 0;
  approach.tls = tls == 0 ? Approach::Tls::None : tls == 1 ? Approach::Tls::Direct : Approach::Tls::AskedFor;
  const std::string& other = kEndpoints[random.below(kEndpoints.size())];
  uint64_t by = random.below(tls == 0 ? 2 : 3);
  approach.host = (by == 2 ? endpoint : other) + kDomain;
  approach.parameters = {{"user", "u"}, {"database", by == 1 ? endpoint + "/db" : "db"}};
  if (by == 0) approach.parameters.emplace_back("options", "endpoint=" + endpoint);
  return approach;
}

Result<std::unique_ptr<Stream>> connect_plain(Task& task) {
  return task.env().network().connect(task, Address::tcp(kProxyHost, kProxyPort));
}

// Corrupt: the handshake failed for another reason than a connection that ends.
Result<std::unique_ptr<Stream>> connect_proxy(Task& task, const Approach& approach,
                                              const std::shared_ptr<const tls::Context>& context) {
  TRY_ASSIGN(auto stream, connect_plain(task));
  if (approach.tls == Approach::Tls::None) return stream;
  if (approach.tls == Approach::Tls::AskedFor) {
    TRY(write_all(task, *stream, wire::encode_ssl_request()));
    Bytes answer(1);
    TRY(read_exact(task, *stream, answer));
    if (answer[0] != 'S') return Error(Code::Corrupt, "TLS was refused");
  }
  TRY_ASSIGN(auto encrypted, tls::TlsStream::connect(task, context, std::move(stream), approach.host));
  return std::unique_ptr<Stream>(std::move(encrypted));
}

// A connection of a client, up to its first ReadyForQuery.
class Connection {
 public:
  // `early`, where it is not empty, is a query sent together with the startup packet: its answer is the next.
  static Result<std::unique_ptr<Connection>> open(Task& task, const Approach& approach,
                                                  const std::shared_ptr<const tls::Context>& context,
                                                  const std::string& early) {
    TRY_ASSIGN(auto stream, connect_proxy(task, approach, context));
    auto connection = std::unique_ptr<Connection>(new Connection(std::move(stream)));
    Bytes out = wire::encode_startup({wire::kProtocolVersion3, approach.parameters});
    if (!early.empty()) put_query(out, early);
    TRY(write_all(task, *connection->stream_, out));
    TRY(connection->read_answer(task));
    return connection;
  }

  // The one value of the answer; an error is the server's.
  Result<std::string> query(Task& task, const std::string& text) {
    Bytes out;
    put_query(out, text);
    TRY(write_all(task, *stream_, out));
    return read_answer(task);
  }
  const Bytes& key() const { return key_; }
  // The next answer that was asked for.
  Result<std::string> read_answer(Task& task) {
    std::string value;
    std::optional<Error> error;
    for (;;) {
      TRY_ASSIGN(wire::PgMessage message, messages_.read(task));
      if (message.type == 'K') key_ = to_bytes(message.body);
      if (message.type == 'D') value = as_text(message.body.subspan(6));
      if (message.type == 'E') {
        error =
            Error(wire::code_of(wire::sqlstate_in(message.body)), wire::parse_error(message.body).message());
        // FATAL: nothing follows.
        if (key_.empty()) return *error;
      }
      if (message.type == 'Z') break;
    }
    if (error) return *error;
    return value;
  }
  Status say_goodbye(Task& task) {
    Bytes out;
    wire::put_message(out, 'X', {});
    TRY(write_all(task, *stream_, out));
    return stream_->shutdown_write(task);
  }

 private:
  explicit Connection(std::unique_ptr<Stream> stream)
      : stream_(std::move(stream)), in_(*stream_), messages_(in_) {}

  static void put_query(Bytes& out, const std::string& text) {
    wire::put_message(out, 'Q', as_bytes(std::string_view(text.c_str(), text.size() + 1)));
  }

  std::unique_ptr<Stream> stream_;
  wire::BufferedReader in_;
  wire::PgMessageReader messages_;
  Bytes key_;
};

class Workload {
 public:
  Workload(Run& run, std::string name, const Encryption& encryption)
      : run_(run), name_(std::move(name)), encryption_(encryption) {}

  Status operator()(Task& task, Env& env) {
    Forgotten forgotten;
    auto library = std::make_shared<tls::Library>(env);
    TRY_ASSIGN(context_, tls::Context::client(library, as_bytes(tls::testing::kAuthority), "postgresql"));
    for (;;) {
      while (!run_.may_operate() || stopped_) TRY(task.sleep(100_ms));
      const std::string& endpoint = kEndpoints[env.random("endpoint").below(kEndpoints.size())];
      // How a connection ends says nothing: endpoints sleep when they like.
      if (encryption_.offered && env.random("stuffing").below(20) == 0)
        ignore_result(stuff(task, endpoint));
      else
        ignore_result(use(task, env, endpoint, forgotten));
      if (task.cancelled()) return Error(Code::Cancelled, "stopped");
      TRY(task.sleep(env.random("pause").exponential(200_ms)));
    }
  }
  uint64_t done() const { return done_; }
  void stop() { stopped_ = true; }

 private:
  struct Echo {
    std::string mark;
    uint64_t size = 0;
    std::string query() const { return "echo " + mark + " " + std::to_string(size); }
  };

  // As of an application that does not look at its connections, and does not close them.
  using Forgotten = std::vector<std::unique_ptr<Connection>>;
  static constexpr size_t kForgottenMax = 3;

  Status use(Task& task, Env& env, const std::string& endpoint, Forgotten& forgotten) {
    Deadline deadline(task, kPatience);
    Random& random = env.random("queries");
    std::optional<Echo> early;
    if (random.below(3) == 0) early = next_echo(random);
    Approach approach = draw_approach(random, endpoint, encryption_);
    Result<std::unique_ptr<Connection>> opened =
        Connection::open(task, approach, context_, early ? early->query() : "");
    check_opening(endpoint, approach, opened.ok() ? Status() : opened.error());
    TRY(opened);
    std::unique_ptr<Connection> connection = *std::move(opened);
    if (early) {
      TRY_ASSIGN(std::string answer, connection->read_answer(task));
      check(endpoint, *early, answer);
    }
    for (uint64_t left = 1 + random.below(4); left > 0; left--) {
      if (random.below(5) == 0)
        TRY(cancel(task, *connection, draw_approach(random, endpoint, encryption_)));
      else
        TRY(echo(task, *connection, endpoint, random));
    }
    if (forgotten.size() < kForgottenMax && random.below(20) == 0) {
      forgotten.push_back(std::move(connection));
      return {};
    }
    // Some say goodbye, others just go.
    return random.below(2) == 0 ? connection->say_goodbye(task) : Status();
  }

  void check_opening(const std::string& endpoint, const Approach& approach, const Status& opened) {
    bool encrypted = approach.tls != Approach::Tls::None;
    if (opened.ok() && encryption_.required && !encrypted)
      run_.fail("only encrypted connections", name_ + " was served without TLS");
    if (opened.ok()) return;
    const std::string& message = opened.error().message();
    if (message == kNotYet)
      run_.fail("a sleeping endpoint is not seen",
                name_ + " was told by " + endpoint + " that it is not up yet");
    if (message == kNoName)
      run_.fail("a name is heard", name_ + " named " + endpoint + " and was asked for a name");
    if (encrypted && opened.is(Code::Corrupt))
      run_.fail("a handshake succeeds or breaks off", name_ + " with TLS: " + message);
  }

  // As somebody between client and proxy who puts a startup packet of his own behind the client's request for
  // TLS.
  Status stuff(Task& task, const std::string& endpoint) {
    Deadline deadline(task, kPatience);
    TRY_ASSIGN(auto stream, connect_plain(task));
    Bytes out = wire::encode_ssl_request();
    append(out, wire::encode_startup(
                    {wire::kProtocolVersion3, {{"user", "u"}, {"database", endpoint + "/stuffed"}}}));
    TRY(write_all(task, *stream, out));
    Bytes answer(1);
    TRY(read_exact(task, *stream, answer));
    if (answer[0] != 'S') return {};
    auto shaken = tls::TlsStream::connect(task, context_, std::move(stream), endpoint + kDomain);
    if (shaken.ok())
      run_.fail("nothing is stuffed in", "bytes sent in the open behind a request for TLS passed unnoticed");
    return {};
  }

  Echo next_echo(Random& random) {
    uint64_t size = random.below(3) == 0 ? random.below(kLargest) : random.below(100);
    return {name_ + "-" + std::to_string(++asked_), size};
  }

  void check(const std::string& endpoint, const Echo& asked, const std::string& answer) {
    if (answer != endpoint + " db " + asked.mark + " " + std::string(asked.size, 'x'))
      run_.fail("the endpoint's own bytes", name_ + " asked " + endpoint + " for '" + asked.query() +
                                                "' and got " + answer.substr(0, 80));
    done_++;
    run_.work().commits_acked++;
  }

  Status echo(Task& task, Connection& connection, const std::string& endpoint, Random& random) {
    Echo asked = next_echo(random);
    TRY_ASSIGN(std::string answer, connection.query(task, asked.query()));
    check(endpoint, asked, answer);
    return {};
  }

  // A query that only a cancel request ends, sent over a connection of its own: with TLS or, where TLS is
  // required, too, without.
  Status cancel(Task& task, Connection& connection, const Approach& approach) {
    bool asked = false;
    Scope scope(task);
    scope.spawn("cancel", [&](Task& t) -> Status {
      TRY(t.sleep(t.env().random("cancel").exponential(50_ms)));
      asked = true;
      for (;;) {  // it may have come before the query did
        TRY_ASSIGN(auto stream, connect_proxy(t, approach, context_));
        TRY(write_all(t, *stream, wire::encode_cancel({connection.key()})));
        TRY(t.sleep(500_ms));
      }
    });
    Result<std::string> answer = connection.query(task, "wait");
    ignore_result(scope.stop(task));  // its end is the answer
    if (!answer.is(Code::Cancelled)) return answer.ok() ? Status() : answer.error();
    if (!asked)
      run_.fail("a cancel is for its query only", name_ + "'s query was cancelled, and nobody asked for it");
    done_++;
    // One more may still be on its way: the connection is of no use for other queries.
    return Error(Code::Disconnected, "enough");
  }

  Run& run_;
  std::string name_;
  const Encryption& encryption_;
  std::shared_ptr<const tls::Context> context_;
  uint64_t asked_ = 0;
  uint64_t done_ = 0;
  bool stopped_ = false;
};

// Once nobody uses it, the proxy has no connection left.
void check_nothing_left(Run& run, sim::Machine& from) {
  uint64_t left = 0;
  for (int tries = 0; tries < 12 && !run.failed(); tries++) {
    run.run_for(10_s);
    Status asked = run.world().run(from, [&](Task& task) -> Status {
      Deadline deadline(task, 10_s);
      TRY_ASSIGN(auto status,
                 http::fetch_json(task, Address::tcp(kProxyHost, kHttpPort), "GET", "/v1/status", {}));
      left = status.value("connections", uint64_t{999});
      return {};
    });
    if (asked.ok() && left == 0) return;
  }
  run.fail("no connection is kept", std::to_string(left) + " connections 120 s after the last client left");
}

void run_proxies(Run& run) {
  sim::World& world = run.world();
  Encryption encryption;
  encryption.offered = run.random().below(2) == 0;
  encryption.required = run.random().below(3) == 0 && encryption.offered;
  sim::Machine& proxy = world.add_machine(kProxyHost);
  proxy.supervise(200_ms);
  proxy.boot([&](Task& task, Env& env) { return proxy_main(task, env, run, encryption); });
  std::vector<ModelEndpointOptions> options(kEndpoints.size());
  for (size_t i = 0; i < kEndpoints.size(); i++) {
    options[i].name = kEndpoints[i];
    options[i].start = Duration::milliseconds(static_cast<int64_t>(10 + run.random().below(1500)));
    options[i].awake = Duration::milliseconds(static_cast<int64_t>(500 + run.random().below(20'000)));
    sim::Machine& machine = world.add_machine(kEndpoints[i]);
    machine.supervise(200_ms);
    machine.boot([&options, i](Task& task, Env& env) { return run_model_endpoint(task, env, options[i]); });
  }
  std::vector<std::shared_ptr<Workload>> clients;
  std::vector<std::string> names;
  for (uint64_t i = 1; i <= run.limited("clients", 2 + run.random().below(5)); i++) {
    names.push_back("client-" + std::to_string(i));
    clients.push_back(std::make_shared<Workload>(run, names.back(), encryption));
    world.add_machine(names.back()).boot([client = clients.back()](Task& task, Env& env) {
      return (*client)(task, env);
    });
  }
  run.start_faults({kProxyHost, kEndpoints[0], kEndpoints[1]}, run.options().length);
  run.run_for(run.options().length);
  run.heal();
  std::vector<uint64_t> before;
  for (auto& client : clients) before.push_back(client->done());
  bool all_get_on = run.run_until(
      [&] {
        for (size_t i = 0; i < clients.size(); i++)
          if (clients[i]->done() < before[i] + 3) return false;
        return true;
      },
      120_s);
  if (!all_get_on && !run.idles())
    run.fail("progress after healing", "a client had fewer than 3 answers in 120 s");
  for (auto& client : clients) client->stop();
  if (!run.failed()) check_nothing_left(run, *world.find_machine(names[0]));
}

}  // namespace

constinit const Scenario kProxy{
    "proxy",
    "clients reach the endpoint they name, asleep or not, and nobody else's bytes",
    run_proxies,
    {30, 0, 0},
    false};

}  // namespace argon::scenarios
