// TLS over the streams of every world: both directions at once, its end, and what must not be believed.

#include <gmock/gmock.h>

#include "core/env/contract/contract.h"
#include "core/tls/stream.h"
#include "core/tls/testing/certificate.h"

namespace argon::contract {
namespace {

using namespace literals;
using tls::Context;
using tls::TlsStream;

struct Tls : Contract {};

constexpr const char* kHost = "main.proxy.test";

struct Contexts {
  std::shared_ptr<const Context> server;
  std::shared_ptr<const Context> client;
};

Result<Contexts> contexts(Env& env, std::string_view authority = tls::testing::kAuthority,
                          const std::string& offered = "postgresql") {
  Contexts made;
  auto library = std::make_shared<tls::Library>(env);
  TRY_ASSIGN(made.server, Context::server(library, as_bytes(tls::testing::kCertificate),
                                          as_bytes(tls::testing::kKey), "postgresql"));
  TRY_ASSIGN(made.client, Context::client(library, as_bytes(authority), offered));
  return made;
}

struct Ends {
  Result<std::unique_ptr<TlsStream>> client = Error(Code::Unavailable, "not tried");
  Result<std::unique_ptr<TlsStream>> server = Error(Code::Unavailable, "not tried");
};

Result<std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>>> plain_pair(Contract& test, Task& task) {
  TRY_ASSIGN(auto listener, task.env().network().listen(task, test.world().any_address()));
  TRY_ASSIGN(auto client, task.env().network().connect(task, listener->address()));
  TRY_ASSIGN(auto server, listener->accept(task));
  return std::pair(std::move(client), std::move(server));
}

// Both ends of a handshake, whatever became of it.
Result<Ends> shake(Contract& test, Task& task, const Contexts& contexts, const std::string& host = kHost) {
  TRY_ASSIGN(auto pair, plain_pair(test, task));
  Ends ends;
  Scope scope(task);
  auto theirs = std::make_shared<std::unique_ptr<Stream>>(std::move(pair.second));
  scope.spawn("server", [&ends, &contexts, theirs](Task& t) -> Status {
    ends.server = TlsStream::accept(t, contexts.server, std::move(*theirs));
    return {};
  });
  ends.client = TlsStream::connect(task, contexts.client, std::move(pair.first), host);
  TRY(scope.join(task));
  return ends;
}

struct Streams {
  std::unique_ptr<TlsStream> client;
  std::unique_ptr<TlsStream> server;
};

// Both ends of a handshake that went well.
Result<Streams> connected(Contract& test, Task& task) {
  TRY_ASSIGN(Contexts both, contexts(task.env()));
  TRY_ASSIGN(Ends ends, shake(test, task, both));
  TRY(ends.client);
  TRY(ends.server);
  return Streams{*std::move(ends.client), *std::move(ends.server)};
}

Bytes pattern(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; i++) bytes[i] = static_cast<uint8_t>(i * 7 + i / 255);
  return bytes;
}

CONTRACT(Tls, BothSidesKnowWhatTheyAgreedOn) {
  TRY_ASSIGN(Contexts both, contexts(env));
  EXPECT_EQ(both.server->about(), "/CN=proxy.test, valid until 9999-12-31");
  TRY_ASSIGN(Ends ends, shake(test, task, both));
  TRY(ends.client);
  TRY(ends.server);
  EXPECT_EQ((*ends.server)->server_name(), kHost);
  EXPECT_TRUE((*ends.server)->protocol_agreed());
  EXPECT_TRUE((*ends.client)->protocol_agreed());
  return {};
}

CONTRACT(Tls, ManyBytesPassBothWaysAtOnce) {
  TRY_ASSIGN(Streams ends, connected(test, task));
  Bytes sent = pattern(2'000'000);
  Scope scope(task);
  std::vector<Bytes> got(2);
  for (int side = 0; side < 2; side++) {
    Stream* stream = side == 0 ? ends.client.get() : ends.server.get();
    scope.spawn("writer", [&sent, stream](Task& t) -> Status {
      TRY(write_all(t, *stream, sent));
      return stream->shutdown_write(t);
    });
    scope.spawn("reader", [&got, stream, side](Task& t) -> Status {
      Bytes chunk(side == 0 ? 50'000 : 1000);
      for (;;) {
        TRY_ASSIGN(size_t n, stream->read(t, chunk));
        if (n == 0) return {};
        append(got[side], ByteView(chunk).first(n));
      }
    });
  }
  TRY(scope.join(task));
  EXPECT_TRUE(got[0] == sent);
  EXPECT_TRUE(got[1] == sent);
  return {};
}

CONTRACT(Tls, TheEndOfOneDirectionLeavesTheOther) {
  TRY_ASSIGN(Streams ends, connected(test, task));
  TRY(write_all(task, *ends.client, as_bytes("last")));
  TRY(ends.client->shutdown_write(task));
  EXPECT_EQ(outcome(ends.client->write(task, as_bytes("x"))), "disconnected");
  Bytes got(4);
  TRY(read_exact(task, *ends.server, got));
  for (int i = 0; i < 2; i++) {
    TRY_ASSIGN(size_t end, ends.server->read(task, got));
    EXPECT_EQ(end, 0u);
  }
  TRY(write_all(task, *ends.server, as_bytes("late")));
  TRY(read_exact(task, *ends.client, got));
  EXPECT_EQ(as_text(got), "late");
  return {};
}

CONTRACT(Tls, AStreamThatJustEndsIsNotBelieved) {
  TRY_ASSIGN(Streams ends, connected(test, task));
  TRY(write_all(task, *ends.client, as_bytes("half")));
  ends.client.reset();
  Bytes got(4);
  TRY(read_exact(task, *ends.server, got));
  EXPECT_EQ(outcome(ends.server->read(task, got)), "disconnected");
  return {};
}

CONTRACT(Tls, AReadThatTimesOutLosesNothing) {
  TRY_ASSIGN(Streams ends, connected(test, task));
  Bytes got(4);
  {
    Deadline soon(task, 5_ms);
    EXPECT_EQ(outcome(ends.server->read(task, got)), "timed out");
  }
  TRY(write_all(task, *ends.client, as_bytes("last")));
  TRY(read_exact(task, *ends.server, got));
  EXPECT_EQ(as_text(got), "last");
  return {};
}

// Nobody reads: the writer's deadline ends the write in the middle of a record. What was given is then sent
// by whoever writes next.
CONTRACT(Tls, AWriteThatTimesOutLeavesTheRecordsWhole) {
  TRY_ASSIGN(Streams ends, connected(test, task));
  Bytes sent = pattern(64u << 20);
  Status full;
  {
    Deadline soon(task, 50_ms);
    full = write_all(task, *ends.client, sent);
  }
  EXPECT_EQ(outcome(full), "timed out");
  Scope scope(task);
  scope.spawn("end", [&](Task& t) { return ends.client->shutdown_write(t); });
  Bytes chunk(20'000), got;
  for (;;) {
    TRY_ASSIGN(size_t n, ends.server->read(task, chunk));
    if (n == 0) break;
    append(got, ByteView(chunk).first(n));
  }
  EXPECT_TRUE(got.size() > 0 && std::equal(got.begin(), got.end(), sent.begin()));
  return scope.join(task);
}

CONTRACT(Tls, OnlyTheAuthoritysServerOfThatNameIsBelieved) {
  TRY_ASSIGN(Contexts other, contexts(env, tls::testing::kOtherAuthority));
  TRY_ASSIGN(Ends ends, shake(test, task, other));
  EXPECT_EQ(outcome(ends.client), "corrupt");
  EXPECT_EQ(outcome(ends.server), "corrupt");
  EXPECT_NE(ends.client.error().message().find("unable to get local issuer certificate"), std::string::npos)
      << ends.client.error().message();
  EXPECT_NE(ends.server.error().message().find("unknown ca"), std::string::npos)
      << ends.server.error().message();
  TRY_ASSIGN(Contexts both, contexts(env));
  TRY_ASSIGN(ends, shake(test, task, both, "elsewhere.test"));
  EXPECT_EQ(outcome(ends.client), "corrupt");
  EXPECT_NE(ends.client.error().message().find("ostname mismatch"), std::string::npos)
      << ends.client.error().message();
  return {};
}

CONTRACT(Tls, AnotherProtocolIsRefused) {
  TRY_ASSIGN(Contexts both, contexts(env, tls::testing::kAuthority, "h2"));
  TRY_ASSIGN(Ends ends, shake(test, task, both));
  EXPECT_EQ(outcome(ends.client), "corrupt");
  EXPECT_EQ(outcome(ends.server), "corrupt");
  return {};
}

CONTRACT(Tls, BytesInTheOpenEndTheHandshake) {
  TRY_ASSIGN(Contexts both, contexts(env));
  TRY_ASSIGN(auto pair, plain_pair(test, task));
  TRY(write_all(task, *pair.first, as_bytes("GET / HTTP/1.1\r\nHost: h\r\n\r\n")));
  EXPECT_EQ(outcome(TlsStream::accept(task, both.server, std::move(pair.second))), "corrupt");
  TRY_ASSIGN(pair, plain_pair(test, task));
  EXPECT_EQ(outcome(TlsStream::accept(task, both.server, std::move(pair.second), as_bytes("GET / HTTP"))),
            "corrupt");
  TRY_ASSIGN(pair, plain_pair(test, task));
  pair.first.reset();
  EXPECT_EQ(outcome(TlsStream::accept(task, both.server, std::move(pair.second))), "disconnected");
  return {};
}

CONTRACT(Tls, WhatWasReadBeforeTheHandshakeBelongsToIt) {
  TRY_ASSIGN(Contexts both, contexts(env));
  TRY_ASSIGN(auto pair, plain_pair(test, task));
  Scope scope(task);
  auto theirs = std::make_shared<std::unique_ptr<Stream>>(std::move(pair.first));
  scope.spawn("client", [&both, theirs](Task& t) -> Status {
    TRY_ASSIGN(auto client, TlsStream::connect(t, both.client, std::move(*theirs), kHost));
    TRY(write_all(t, *client, as_bytes("hello")));
    return client->shutdown_write(t);
  });
  Bytes early(100);
  TRY(read_exact(task, *pair.second, early));
  EXPECT_EQ(early[0], tls::kFirstByte);
  TRY_ASSIGN(auto server, TlsStream::accept(task, both.server, std::move(pair.second), early));
  TRY_ASSIGN(std::string got, read_to_end(task, *server, 100));
  EXPECT_EQ(got, "hello");
  return scope.join(task);
}

CONTRACT(Tls, BadInputIsNamed) {
  auto library = std::make_shared<tls::Library>(env);
  std::string certificate(tls::testing::kCertificate), key(tls::testing::kKey);
  auto refused = [&](const std::string& c, const std::string& k) {
    auto made = Context::server(library, as_bytes(c), as_bytes(k), "postgresql");
    EXPECT_EQ(outcome(made), "invalid");
    return made.ok() ? "" : made.error().message();
  };
  EXPECT_THAT(refused("", key), testing::StartsWith("the certificate: there is none in PEM form"));
  EXPECT_THAT(refused(key, key), testing::StartsWith("the certificate: there is none in PEM form"));
  std::string damaged = certificate;
  damaged.replace(100, 20, 20, 'A');
  EXPECT_THAT(refused(damaged, key), testing::StartsWith("the certificate: number 1 cannot be read"));
  EXPECT_THAT(refused(certificate + damaged, key),
              testing::StartsWith("the certificate: number 2 cannot be read"));
  EXPECT_THAT(refused(certificate.substr(0, 300), key),
              testing::StartsWith("the certificate: number 1 cannot be read"));
  EXPECT_THAT(refused(certificate, certificate), testing::StartsWith("the key: there is none in PEM form"));
  EXPECT_THAT(refused(std::string(tls::testing::kAuthority), key),
              testing::StartsWith("the key: it is not the certificate's"));
  const std::string locked =
      "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
      "AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAAAAAAAAAAAAAAAAAAAA==\n-----END EC PRIVATE "
      "KEY-----\n";
  EXPECT_THAT(refused(certificate, locked), testing::StartsWith("the key: it has a passphrase"));
  return {};
}

}  // namespace
}  // namespace argon::contract
