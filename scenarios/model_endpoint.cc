#include "scenarios/model_endpoint.h"

#include <map>

#include "core/base/codec.h"
#include "core/env/io.h"
#include "core/fiber/scope.h"
#include "core/wire/pg_messages.h"
#include "core/wire/pg_startup.h"

namespace argon::scenarios {
namespace {

// A connection, as cancel requests find it.
struct Session {
  bool cancelled = false;
  WaitList waiting;
};

class ModelEndpoint {
 public:
  ModelEndpoint(Env& env, const ModelEndpointOptions& options) : env_(env), options_(options) {}

  Status run(Task& task);

 private:
  enum class State { Asleep, Changing, Up };

  Status accept_loop(Task& task, Listener& listener, Status (ModelEndpoint::*serve)(Task&, Stream&));
  Status serve_wake(Task& task, Stream& stream);
  Status live(Task& task);
  Status serve_sql(Task& task, Stream& stream);
  Status serve_session(Task& task, wire::BufferedReader& in, const std::string& database);
  Status answer(Task& task, Session& session, const std::string& database, std::string_view query,
                Bytes& out);
  Status put_echo(const std::string& database, std::string_view query, Bytes& out);
  Duration drawn(Duration mean) { return env_.random("endpoint").exponential(mean); }

  Env& env_;
  const ModelEndpointOptions& options_;
  State state_ = State::Asleep;
  WaitList changed_;
  std::map<Bytes, Session*> sessions_;
};

Status ModelEndpoint::run(Task& task) {
  TRY_ASSIGN(auto wakes, env_.network().listen(task, Address::tcp("0.0.0.0", kWakePort)));
  Scope scope(task);
  scope.spawn("wakes", [&](Task& t) { return accept_loop(t, *wakes, &ModelEndpoint::serve_wake); });
  scope.spawn("life", [&](Task& t) { return live(t); });
  return scope.join(task);
}

Status ModelEndpoint::accept_loop(Task& task, Listener& listener,
                                  Status (ModelEndpoint::*serve)(Task&, Stream&)) {
  Scope connections(task);
  Status ended;
  while (ended.ok()) {
    auto accepted = listener.accept(task);
    if (!accepted.ok()) {
      ended = accepted.error();
      break;
    }
    connections.spawn(
        "connection",
        [this, serve, stream = std::shared_ptr<Stream>(std::move(*accepted))](Task& t) -> Status {
          ignore_result((this->*serve)(t, *stream));  // matters to its client only
          return {};
        });
  }
  TRY(connections.stop(task));
  return ended;
}

Status ModelEndpoint::serve_wake(Task& task, Stream& stream) {
  Bytes byte(1);
  TRY(read_exact(task, stream, byte));
  if (state_ == State::Asleep) {
    state_ = State::Changing;
    changed_.notify_all();
  }
  while (state_ != State::Up) TRY(changed_.wait(task));
  return write_all(task, stream, byte);
}

// Asleep, starting, up, stopping, and again.
Status ModelEndpoint::live(Task& task) {
  for (;;) {
    while (state_ == State::Asleep) TRY(changed_.wait(task));
    TRY(task.sleep(drawn(options_.start)));
    TRY_ASSIGN(auto listener, env_.network().listen(task, Address::tcp("0.0.0.0", kSqlPort)));
    Scope serving(task);
    serving.spawn("sql", [&](Task& t) { return accept_loop(t, *listener, &ModelEndpoint::serve_sql); });
    Status slept = task.sleep(drawn(options_.start));
    state_ = State::Up;
    changed_.notify_all();
    if (slept.ok()) slept = task.sleep(drawn(options_.awake));
    state_ = State::Changing;
    if (slept.ok()) slept = task.sleep(drawn(options_.start));
    ignore_result(serving.stop(task));  // whoever is connected is cut off
    TRY(slept);
    state_ = State::Asleep;
  }
}

Status ModelEndpoint::serve_sql(Task& task, Stream& stream) {
  wire::BufferedReader in(stream);
  TRY_ASSIGN(wire::Opening opening, wire::read_opening(task, in));
  if (auto* cancel = std::get_if<wire::CancelRequest>(&opening)) {
    auto found = sessions_.find(cancel->key);
    if (found == sessions_.end()) return {};
    found->second->cancelled = true;
    found->second->waiting.notify_all();
    return {};
  }
  auto* packet = std::get_if<wire::StartupPacket>(&opening);
  if (packet == nullptr) return Error(Code::Unsupported, "no encryption here");
  if (state_ != State::Up) {
    const std::string fields = std::string("SFATAL\0C57P03\0M", 15) + kNotYet + std::string(2, '\0');
    Bytes out;
    wire::put_message(out, 'E', as_bytes(fields));
    return write_all(task, stream, out);
  }
  const std::string* database = packet->find("database");
  return serve_session(task, in, database == nullptr ? "" : *database);
}

Status ModelEndpoint::serve_session(Task& task, wire::BufferedReader& in, const std::string& database) {
  Bytes key(8);
  env_.random("keys").fill(key);
  Session session;
  struct Registered {
    ~Registered() { sessions.erase(key); }
    std::map<Bytes, Session*>& sessions;
    const Bytes& key;
  } registered{sessions_, key};
  sessions_[key] = &session;
  Bytes out;
  const uint8_t ok[4] = {};
  const uint8_t idle = 'I';
  wire::put_message(out, 'R', ok);
  wire::put_message(out, 'K', key);
  wire::put_message(out, 'Z', {&idle, 1});
  TRY(write_all(task, in.stream(), out));
  wire::PgMessageReader messages(in);
  for (;;) {
    TRY_ASSIGN(wire::PgMessage message, messages.read(task));
    if (message.type == 'X') return {};
    if (message.type != 'Q') return Error(Code::Corrupt, "only simple queries here");
    std::string query(as_text(message.body));
    out.clear();
    TRY(answer(task, session, database, query.c_str(), out));
    wire::put_message(out, 'Z', {&idle, 1});
    TRY(write_all(task, in.stream(), out));
  }
}

Status ModelEndpoint::answer(Task& task, Session& session, const std::string& database,
                             std::string_view query, Bytes& out) {
  if (query != "wait") return put_echo(database, query, out);
  while (!session.cancelled) TRY(session.waiting.wait(task));
  session.cancelled = false;
  wire::put_error(out, "ERROR", Error(Code::Cancelled, "canceling statement due to user request"));
  return {};
}

// One row, one column.
Status ModelEndpoint::put_echo(const std::string& database, std::string_view query, Bytes& out) {
  size_t blank = query.rfind(' ');
  if (!query.starts_with("echo ") || blank < 5) return Error(Code::Corrupt, "no such query");
  TRY_ASSIGN(uint64_t size, parse_u64(query.substr(blank + 1)));
  std::string text = options_.name + " " + database + " " + std::string(query.substr(5, blank - 5)) + " ";
  text.append(size, 'x');
  wire::PgMessageWriter message(out, 'D');
  Writer(out).be<uint16_t>(1).be(static_cast<uint32_t>(text.size())).bytes(as_bytes(text));
  return {};
}

}  // namespace

Status run_model_endpoint(Task& task, Env& env, const ModelEndpointOptions& options) {
  return ModelEndpoint(env, options).run(task);
}

}  // namespace argon::scenarios
