// The HTTP server and client over the streams of every world.

#include <nlohmann/json.hpp>

#include "core/env/contract/contract.h"
#include "core/http/client.h"
#include "core/http/server.h"

namespace argon::contract {
namespace {

using nlohmann::json;

struct HttpServer : Contract {};

Status with_server(Contract& test, Task& task, Env& env, const std::function<Status(const Address&)>& use) {
  TRY_ASSIGN(auto listener, env.network().listen(task, test.world().any_address()));
  Metrics metrics;
  metrics.counter("argon_test_total", "Test.").add(5);
  http::Router router;
  router.add("GET", "/v1/tenant/:tenant/timeline/:timeline",
             [](Task&, const http::Request& r) -> Result<http::Response> {
               return http::json_response(
                   {{"tenant", r.parameter("tenant")}, {"timeline", r.parameter("timeline")}});
             });
  router.add("POST", "/v1/echo", [](Task&, const http::Request& r) -> Result<http::Response> {
    TRY_ASSIGN(json body, r.json());
    return http::json_response(body, 201);
  });
  router.add("GET", "/v1/broken", [](Task&, const http::Request&) -> Result<http::Response> {
    return Error(Code::Unavailable, "not now");
  });
  router.add_metrics(metrics);
  http::ServerLimits limits;
  limits.body_bytes = 100'000;
  Scope scope(task);
  scope.spawn("server", [&](Task& t) -> Status {
    ignore_result(http::serve(t, *listener, router, limits));
    return {};
  });
  Status used = use(listener->address());
  TRY(scope.stop(task));
  return used;
}

CONTRACT(HttpServer, RoutesTakeParametersAndJson) {
  return with_server(test, task, env, [&](const Address& at) -> Status {
    TRY_ASSIGN(json got, http::fetch_json(task, at, "GET", "/v1/tenant/a%20b/timeline/c?x=1", nullptr));
    EXPECT_EQ(got, (json{{"tenant", "a b"}, {"timeline", "c"}}));
    json big = {{"text", std::string(50'000, 'x')}};
    TRY_ASSIGN(json echoed, http::fetch_json(task, at, "POST", "/v1/echo", big));
    EXPECT_EQ(echoed, big);
    return {};
  });
}

CONTRACT(HttpServer, ErrorsHaveStatusAndText) {
  return with_server(test, task, env, [&](const Address& at) -> Status {
    auto broken = http::fetch_json(task, at, "GET", "/v1/broken", nullptr);
    EXPECT_EQ(outcome(broken), "unavailable");
    EXPECT_NE(broken.error().message().find("not now"), std::string::npos);
    EXPECT_EQ(outcome(http::fetch_json(task, at, "GET", "/v1/nothing", nullptr)), "not found");
    TRY_ASSIGN(http::Response wrong, http::fetch(task, at, {"POST", "/v1/broken", {}, "", ""}));
    EXPECT_EQ(wrong.status, 405);
    TRY_ASSIGN(http::Response bad, http::fetch(task, at, {"POST", "/v1/echo", {}, "{", ""}));
    EXPECT_EQ(bad.status, 400);
    TRY_ASSIGN(http::Response big,
               http::fetch(task, at, {"POST", "/v1/echo", {}, std::string(100'001, ' '), ""}));
    EXPECT_EQ(big.status, 413);
    return {};
  });
}

CONTRACT(HttpServer, MetricsAndHeadAreServed) {
  return with_server(test, task, env, [&](const Address& at) -> Status {
    TRY_ASSIGN(http::Response metrics, http::fetch(task, at, {"GET", "/metrics", {}, "", ""}));
    EXPECT_NE(metrics.body.find("argon_test_total 5\n"), std::string::npos);
    TRY_ASSIGN(http::Response head, http::fetch(task, at, {"HEAD", "/metrics", {}, "", ""}));
    EXPECT_EQ(head.status, 200);
    EXPECT_TRUE(head.body.empty());
    return {};
  });
}

class Zeros final : public http::BodySource {
 public:
  explicit Zeros(uint64_t size) : size_(size) {}
  uint64_t size() const override { return size_; }
  Status read(Task&, uint64_t, ByteSpan into) override {
    std::ranges::fill(into, uint8_t{'0'});
    return {};
  }

 private:
  uint64_t size_;
};

CONTRACT(HttpServer, KeptConnectionsCarryManyRequests) {
  return with_server(test, task, env, [&](const Address& at) -> Status {
    int connected = 0;
    auto connect = [&](Task& t) {
      connected++;
      return env.network().connect(t, at);
    };
    http::KeptConnections kept(connect, "a-name", Duration::seconds(10));
    for (int i = 0; i < 3; i++) {
      Zeros body(1);
      TRY_ASSIGN(http::Response echoed,
                 kept.fetch(task, {"POST", "/v1/echo", {}, "", "application/json", &body}, 1000));
      EXPECT_EQ(echoed.status, 201);
      EXPECT_EQ(echoed.body, "0\n");
    }
    TRY_ASSIGN(http::Response head, kept.fetch(task, {"HEAD", "/metrics", {}, "", "", nullptr}, 1000));
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(connected, 1);
    EXPECT_EQ(kept.idle(), 1u);
    // The server ends the connection; that is no reason for a GET to fail.
    Zeros too_much(100'001);
    TRY_ASSIGN(http::Response refused, kept.fetch(task, {"POST", "/v1/echo", {}, "", "", &too_much}, 1000));
    EXPECT_EQ(refused.status, 413);
    EXPECT_EQ(kept.idle(), 0u);
    TRY_ASSIGN(http::Response metrics, kept.fetch(task, {"GET", "/metrics", {}, "", "", nullptr}, 10'000));
    EXPECT_EQ(metrics.status, 200);
    EXPECT_EQ(connected, 2);
    return {};
  });
}

// A server that answers a connection's first request, and then closes it: at once, or when the next one
// comes.
Status with_closing_server(Contract& test, Task& task, Env& env, bool at_once,
                           const std::function<Status(http::KeptConnections&)>& use) {
  TRY_ASSIGN(auto listener, env.network().listen(task, test.world().any_address()));
  Scope scope(task);
  scope.spawn("server", [&](Task& t) -> Status {
    for (;;) {
      auto stream = listener->accept(t);
      if (!stream.ok()) return {};
      Bytes request(4096);
      TRY((*stream)->read(t, request));
      TRY(write_all(t, **stream, as_bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")));
      if (!at_once) ignore_result((*stream)->read(t, request));
    }
  });
  http::KeptConnections kept([&](Task& t) { return env.network().connect(t, listener->address()); }, "h",
                             Duration::seconds(10));
  Status used = use(kept);
  TRY(scope.stop(task));
  return used;
}

CONTRACT(HttpServer, AConnectionThatWasClosedIsNotUsedAgain) {
  return with_closing_server(test, task, env, true, [&](http::KeptConnections& kept) -> Status {
    for (int i = 0; i < 3; i++) {
      TRY_ASSIGN(http::Response put, kept.fetch(task, {"PUT", "/", {}, "x", "", nullptr}, 1000));
      EXPECT_EQ(put.status, 200);
      TRY(task.sleep(Duration::milliseconds(50)));
    }
    return {};
  });
}

CONTRACT(HttpServer, OnlyAReadIsRepeatedWhereAKeptConnectionBreaks) {
  return with_closing_server(test, task, env, false, [&](http::KeptConnections& kept) -> Status {
    for (int i = 0; i < 2; i++) {
      TRY_ASSIGN(http::Response got, kept.fetch(task, {"GET", "/", {}, "", "", nullptr}, 1000));
      EXPECT_EQ(got.status, 200);
    }
    // Whether this one was done nobody knows.
    EXPECT_EQ(outcome(kept.fetch(task, {"PUT", "/", {}, "x", "", nullptr}, 1000)), "disconnected");
    return {};
  });
}

CONTRACT(HttpServer, OneConnectionServesPipelinedRequests) {
  return with_server(test, task, env, [&](const Address& at) -> Status {
    TRY_ASSIGN(auto stream, env.network().connect(task, at));
    std::string one = "POST /v1/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}";
    TRY(write_all(task, *stream, as_bytes(one + one + "nonsense\r\n\r\n")));
    Bytes all;
    Bytes chunk(4096);
    while (true) {
      TRY_ASSIGN(size_t n, stream->read(task, chunk));
      if (n == 0) break;
      append(all, ByteView(chunk).first(n));
    }
    std::string text(as_text(all));
    EXPECT_EQ(text.find("HTTP/1.1 201 Created"), 0u);
    EXPECT_NE(text.find("HTTP/1.1 201 Created", 1), std::string::npos);
    EXPECT_NE(text.find("HTTP/1.1 400 Bad Request"), std::string::npos);
    return {};
  });
}

}  // namespace
}  // namespace argon::contract
