// Listeners and streams: short reads, half-close, reset, refusal, deadlines, cancellation.

#include "core/env/contract/contract.h"

namespace argon::contract {
namespace {

using namespace literals;

struct Streams : Contract {};
struct Listeners : Contract {};
struct Addresses : Contract {};

struct Pair {
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
};

Result<Pair> connected_at(Task& task, Env& env, const Address& where) {
  Pair pair;
  TRY_ASSIGN(pair.listener, env.network().listen(task, where));
  Scope scope(task);
  scope.spawn("connect", [&](Task& t) -> Status {
    TRY_ASSIGN(pair.client, env.network().connect(t, pair.listener->address()));
    return {};
  });
  TRY_ASSIGN(pair.server, pair.listener->accept(task));
  TRY(scope.join(task));
  return pair;
}

Result<Pair> connected(Contract& test, Task& task, Env& env) {
  return connected_at(task, env, test.world().any_address());
}

Bytes pattern(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; i++) bytes[i] = static_cast<uint8_t>(i * 31 + i / 251);
  return bytes;
}

CONTRACT(Streams, CarryBytesBothWays) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  TRY(write_all(task, *pair.client, as_bytes("question")));
  Bytes got(8);
  TRY(read_exact(task, *pair.server, got));
  EXPECT_EQ(as_text(got), "question");
  TRY(write_all(task, *pair.server, as_bytes("answer")));
  got.resize(6);
  TRY(read_exact(task, *pair.client, got));
  EXPECT_EQ(as_text(got), "answer");
  return {};
}

CONTRACT(Streams, ManyBytesArriveWholeAndInOrder) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  Bytes sent = pattern(3'000'000);
  Scope scope(task);
  scope.spawn("writer", [&](Task& t) -> Status {
    TRY(write_all(t, *pair.client, sent));
    return pair.client->shutdown_write(t);
  });
  Bytes got;
  Bytes chunk(50'000);
  for (;;) {
    TRY_ASSIGN(size_t n, pair.server->read(task, chunk));
    if (n == 0) break;
    append(got, ByteView(chunk).first(n));
  }
  TRY(scope.join(task));
  EXPECT_TRUE(got == sent);
  return {};
}

CONTRACT(Streams, AReadReturnsWhatIsThereWithoutWaitingForMore) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  TRY(write_all(task, *pair.client, as_bytes("abc")));
  Bytes got(1000);
  TRY_ASSIGN(size_t n, pair.server->read(task, got));
  EXPECT_GE(n, 1u);
  EXPECT_LE(n, 3u);
  EXPECT_EQ(as_text(ByteView(got).first(n)), std::string_view("abc").substr(0, n));
  return {};
}

CONTRACT(Streams, SmallReadsTakeOneWriteApart) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  TRY(write_all(task, *pair.client, as_bytes("abcdef")));
  std::string got;
  for (int i = 0; i < 6; i++) {
    Bytes one(1);
    TRY(read_exact(task, *pair.server, one));
    got += static_cast<char>(one[0]);
  }
  EXPECT_EQ(got, "abcdef");
  return {};
}

CONTRACT(Streams, HalfCloseEndsOneDirectionOnly) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  TRY(write_all(task, *pair.client, as_bytes("last")));
  TRY(pair.client->shutdown_write(task));
  Bytes got(4);
  TRY(read_exact(task, *pair.server, got));
  TRY_ASSIGN(size_t end, pair.server->read(task, got));
  EXPECT_EQ(end, 0u);
  TRY(write_all(task, *pair.server, as_bytes("late")));
  TRY(read_exact(task, *pair.client, got));
  EXPECT_EQ(as_text(got), "late");
  return {};
}

CONTRACT(Streams, TheEndIsReadAgainAndAgain) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  TRY(pair.client->shutdown_write(task));
  Bytes got(4);
  for (int i = 0; i < 3; i++) {
    TRY_ASSIGN(size_t n, pair.server->read(task, got));
    EXPECT_EQ(n, 0u);
  }
  return {};
}

CONTRACT(Streams, WritingAfterHalfCloseFails) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  TRY(pair.client->shutdown_write(task));
  EXPECT_TRUE(pair.client->write(task, as_bytes("x")).is(Code::Disconnected));
  return {};
}

CONTRACT(Streams, DestroyingOneEndIsSeenByTheOther) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  pair.client.reset();
  Bytes got(4);
  Result<size_t> n = pair.server->read(task, got);
  EXPECT_TRUE((n.ok() && *n == 0) || n.is(Code::Disconnected));
  return {};
}

CONTRACT(Streams, WritingToAPeerThatIsGoneFailsInTheEnd) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  pair.client.reset();
  Bytes data(10'000);
  Status status;
  for (int i = 0; i < 1000 && status.ok(); i++) {
    status = write_all(task, *pair.server, data);
    if (status.ok()) TRY(task.sleep(1_ms));
  }
  EXPECT_TRUE(status.is(Code::Disconnected)) << outcome(status);
  return {};
}

CONTRACT(Streams, CloseEndsAReadInProgress) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  Scope scope(task);
  scope.spawn("reader", [&](Task& t) -> Status {
    Bytes got(4);
    EXPECT_TRUE(pair.server->read(t, got).is(Code::Disconnected));
    return {};
  });
  TRY(task.sleep(2_ms));
  pair.server->close();
  return scope.join(task);
}

CONTRACT(Streams, CloseEndsAWriteInProgress) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  Scope scope(task);
  scope.spawn("writer", [&](Task& t) -> Status {
    Bytes data(1'000'000);
    Status status;
    while (status.ok()) status = write_all(t, *pair.client, data);
    EXPECT_TRUE(status.is(Code::Disconnected)) << outcome(status);
    return {};
  });
  TRY(task.sleep(20_ms));
  pair.client->close();
  return scope.join(task);
}

CONTRACT(Streams, CloseIsIdempotentAndFailsLaterCalls) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  pair.client->close();
  pair.client->close();
  Bytes got(4);
  EXPECT_TRUE(pair.client->read(task, got).is(Code::Disconnected));
  EXPECT_TRUE(pair.client->write(task, as_bytes("x")).is(Code::Disconnected));
  EXPECT_TRUE(pair.client->shutdown_write(task).is(Code::Disconnected));
  return {};
}

CONTRACT(Streams, AReadTimesOutAndTheStreamGoesOn) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  Bytes got(2);
  {
    Deadline soon(task, 5_ms);
    EXPECT_TRUE(pair.server->read(task, got).is(Code::TimedOut));
  }
  TRY(write_all(task, *pair.client, as_bytes("ok")));
  TRY(read_exact(task, *pair.server, got));
  EXPECT_EQ(as_text(got), "ok");
  return {};
}

CONTRACT(Streams, AReadIsCancelled) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  Scope scope(task);
  scope.spawn("reader", [&](Task& t) -> Status {
    Bytes got(2);
    EXPECT_TRUE(pair.server->read(t, got).is(Code::Cancelled));
    return {};
  });
  TRY(task.sleep(2_ms));
  return scope.stop(task);
}

CONTRACT(Streams, AWriterThatNobodyReadsWaitsAndTimesOut) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  Bytes data(1'000'000);
  Deadline soon(task, 50_ms);
  Status status;
  for (int i = 0; i < 1000 && status.ok(); i++) status = write_all(task, *pair.client, data);
  EXPECT_TRUE(status.is(Code::TimedOut)) << outcome(status);
  return {};
}

CONTRACT(Streams, OneTaskReadsWhileAnotherWrites) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  Bytes data = pattern(500'000);
  Scope scope(task);
  for (Stream* stream : {pair.client.get(), pair.server.get()}) {
    scope.spawn("writer", [&data, stream](Task& t) { return write_all(t, *stream, data); });
    scope.spawn("reader", [&data, stream](Task& t) -> Status {
      Bytes got(data.size());
      TRY(read_exact(t, *stream, got));
      EXPECT_TRUE(got == data);
      return {};
    });
  }
  return scope.join(task);
}

CONTRACT(Streams, ABusyOneLetsOtherTasksRun) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  Scope scope(task);
  bool stop = false;
  scope.spawn("writer", [&](Task& t) -> Status {
    Bytes data(100'000);
    while (!stop) TRY(write_all(t, *pair.client, data));
    return pair.client->shutdown_write(t);
  });
  scope.spawn("reader", [&](Task& t) -> Status {
    Bytes got(64);
    for (;;) {
      TRY_ASSIGN(size_t n, pair.server->read(t, got));
      if (n == 0) return {};
    }
  });
  TRY(task.sleep(10_ms));
  stop = true;
  return scope.join(task);
}

CONTRACT(Streams, ReadExactSaysWhenThePeerStopsEarly) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  TRY(write_all(task, *pair.client, as_bytes("ab")));
  TRY(pair.client->shutdown_write(task));
  Bytes got(4);
  EXPECT_TRUE(read_exact(task, *pair.server, got).is(Code::Disconnected));
  return {};
}

CONTRACT(Streams, KnowTheirPeer) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  EXPECT_FALSE(pair.client->peer().empty());
  EXPECT_FALSE(pair.server->peer().empty());
  return {};
}

CONTRACT(Streams, ManyAtOnce) {
  TRY_ASSIGN(std::unique_ptr<Listener> listener, env.network().listen(task, test.world().any_address()));
  constexpr int kCount = 50;
  Scope scope(task);
  scope.spawn("server", [&](Task& t) -> Status {
    Scope sessions(t);
    for (int i = 0; i < kCount; i++) {
      TRY_ASSIGN(std::unique_ptr<Stream> accepted, listener->accept(t));
      sessions.spawn("session", [stream = std::shared_ptr<Stream>(std::move(accepted))](Task& s) -> Status {
        Bytes got(4);
        TRY(read_exact(s, *stream, got));
        return write_all(s, *stream, got);
      });
    }
    return sessions.join(t);
  });
  for (int i = 0; i < kCount; i++)
    scope.spawn("client", [&, i](Task& t) -> Status {
      TRY_ASSIGN(std::unique_ptr<Stream> stream, env.network().connect(t, listener->address()));
      Bytes sent(4);
      store_be(sent.data(), static_cast<uint32_t>(i));
      TRY(write_all(t, *stream, sent));
      Bytes got(4);
      TRY(read_exact(t, *stream, got));
      EXPECT_EQ(got, sent);
      return {};
    });
  return scope.join(task);
}

CONTRACT(Streams, WorkOverUnixSockets) {
  if (!test.world().has_unix_sockets()) return {};
  TRY_ASSIGN(Pair pair, connected_at(task, env, Address::unix_socket(test.path("sock"))));
  TRY(write_all(task, *pair.client, as_bytes("hello")));
  Bytes got(5);
  TRY(read_exact(task, *pair.server, got));
  EXPECT_EQ(as_text(got), "hello");
  return {};
}

CONTRACT(Listeners, BindToAFreePortWhenAskedForNone) {
  TRY_ASSIGN(std::unique_ptr<Listener> one, env.network().listen(task, test.world().any_address()));
  TRY_ASSIGN(std::unique_ptr<Listener> two, env.network().listen(task, test.world().any_address()));
  EXPECT_NE(one->address().port, 0);
  EXPECT_NE(one->address().port, two->address().port);
  return {};
}

CONTRACT(Listeners, ATakenPortIsRefused) {
  TRY_ASSIGN(std::unique_ptr<Listener> one, env.network().listen(task, test.world().any_address()));
  EXPECT_TRUE(env.network().listen(task, one->address()).is(Code::AlreadyExists));
  return {};
}

CONTRACT(Listeners, APortIsFreeAgainAfterClose) {
  TRY_ASSIGN(std::unique_ptr<Listener> one, env.network().listen(task, test.world().any_address()));
  Address address = one->address();
  one.reset();
  TRY_ASSIGN(std::unique_ptr<Listener> two, env.network().listen(task, address));
  EXPECT_EQ(two->address().port, address.port);
  return {};
}

CONTRACT(Listeners, ConnectingToNobodyIsRefused) {
  TRY_ASSIGN(std::unique_ptr<Listener> one, env.network().listen(task, test.world().any_address()));
  Address address = one->address();
  one.reset();
  EXPECT_TRUE(env.network().connect(task, address).is(Code::Unavailable));
  return {};
}

CONTRACT(Listeners, AcceptTimesOut) {
  TRY_ASSIGN(std::unique_ptr<Listener> one, env.network().listen(task, test.world().any_address()));
  Deadline soon(task, 3_ms);
  EXPECT_TRUE(one->accept(task).is(Code::TimedOut));
  return {};
}

CONTRACT(Listeners, AcceptIsCancelled) {
  TRY_ASSIGN(std::unique_ptr<Listener> one, env.network().listen(task, test.world().any_address()));
  Scope scope(task);
  scope.spawn("acceptor", [&](Task& t) -> Status {
    EXPECT_TRUE(one->accept(t).is(Code::Cancelled));
    return {};
  });
  TRY(task.sleep(2_ms));
  return scope.stop(task);
}

CONTRACT(Listeners, CloseEndsAccept) {
  TRY_ASSIGN(std::unique_ptr<Listener> one, env.network().listen(task, test.world().any_address()));
  Scope scope(task);
  scope.spawn("acceptor", [&](Task& t) -> Status {
    EXPECT_TRUE(one->accept(t).is(Code::Disconnected));
    EXPECT_TRUE(one->accept(t).is(Code::Disconnected));
    return {};
  });
  TRY(task.sleep(2_ms));
  one->close();
  one->close();
  return scope.join(task);
}

CONTRACT(Listeners, AcceptedStreamsOutliveTheListener) {
  TRY_ASSIGN(Pair pair, connected(test, task, env));
  pair.listener.reset();
  TRY(write_all(task, *pair.client, as_bytes("still")));
  Bytes got(5);
  TRY(read_exact(task, *pair.server, got));
  EXPECT_EQ(as_text(got), "still");
  return {};
}

CONTRACT(Listeners, AConnectionMadeBeforeAcceptIsKept) {
  TRY_ASSIGN(std::unique_ptr<Listener> one, env.network().listen(task, test.world().any_address()));
  TRY_ASSIGN(std::unique_ptr<Stream> client, env.network().connect(task, one->address()));
  TRY(write_all(task, *client, as_bytes("early")));
  TRY(task.sleep(2_ms));
  TRY_ASSIGN(std::unique_ptr<Stream> server, one->accept(task));
  Bytes got(5);
  TRY(read_exact(task, *server, got));
  EXPECT_EQ(as_text(got), "early");
  return {};
}

CONTRACT(Listeners, ASocketFileLeftBehindStopsNobody) {
  if (!test.world().has_unix_sockets()) return {};
  Address address = Address::unix_socket(test.path("sock"));
  for (int i = 0; i < 2; i++) {
    TRY_ASSIGN(std::unique_ptr<Listener> one, env.network().listen(task, address));
    EXPECT_TRUE(env.network().listen(task, address).is(Code::AlreadyExists));
  }
  return {};
}

CONTRACT(Listeners, ConnectingInACancelledTaskFails) {
  TRY_ASSIGN(std::unique_ptr<Listener> one, env.network().listen(task, test.world().any_address()));
  Scope scope(task);
  scope.cancel();
  scope.spawn("client", [&](Task& t) -> Status {
    EXPECT_TRUE(env.network().connect(t, one->address()).is(Code::Cancelled));
    return {};
  });
  return scope.join(task);
}

CONTRACT(Addresses, AreReadAndPrinted) {
  for (std::string text : {"127.0.0.1:5432", "host.example:1", "unix:/tmp/a b"}) {
    Result<Address> address = parse_address(text);
    EXPECT_TRUE(address.ok());
    EXPECT_EQ(to_string(*address), text);
  }
  for (std::string text : {"", "host", ":1", "host:", "host:70000", "host:-1", "unix:"})
    EXPECT_TRUE(parse_address(text).is(Code::Invalid)) << text;
  return {};
}

}  // namespace
}  // namespace argon::contract
