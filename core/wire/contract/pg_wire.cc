// PostgreSQL's wire protocol, our client against our server, over the streams of every world.

#include "core/wire/pg_wire.h"

#include "core/base/codec.h"
#include "core/env/contract/contract.h"

namespace argon::contract {
namespace {

struct PgWire : Contract {};

using Serve = std::function<Status(Task&, wire::PgServer&, const wire::Startup&)>;
using Use = std::function<Status(Task&, wire::PgClient&)>;

Status conversation(Contract& test, Task& task, Env& env, const Serve& serve, const Use& use) {
  TRY_ASSIGN(auto listener, env.network().listen(task, test.world().any_address()));
  Scope scope(task);
  scope.spawn("server", [&](Task& t) -> Status {
    TRY_ASSIGN(auto stream, listener->accept(t));
    wire::BufferedReader in(*stream);
    wire::PgServer server(in, *stream);
    TRY_ASSIGN(wire::Startup startup, server.accept(t));
    TRY(server.welcome(t, "15.20"));
    return serve(t, server, startup);
  });
  auto client = wire::PgClient::connect(task, listener->address(), {{"user", "u"}, {"database", "d"}},
                                        {{"tenant_id", "a b"}, {"x", "1"}});
  Status used = client.ok() ? use(task, **client) : Status(client.error());
  if (client.ok()) (*client)->stream().close();
  Status served = scope.join(task);
  EXPECT_TRUE(served.ok() || served.is(Code::Disconnected)) << served.error().to_string();
  return used;
}

CONTRACT(PgWire, StartupCarriesParametersAndOptions) {
  return conversation(
      test, task, env,
      [](Task&, wire::PgServer&, const wire::Startup& startup) -> Status {
        EXPECT_EQ(startup.user(), "u");
        EXPECT_EQ(startup.database(), "d");
        EXPECT_EQ(startup.options, (wire::Parameters{{"tenant_id", "a b"}, {"x", "1"}}));
        return {};
      },
      [](Task&, wire::PgClient& client) -> Status {
        EXPECT_EQ(client.server_parameters().at("server_version"), "15.20");
        return {};
      });
}

CONTRACT(PgWire, QueriesGiveRowsAndErrorsKeepTheConnection) {
  return conversation(
      test, task, env,
      [](Task& t, wire::PgServer& server, const wire::Startup&) -> Status {
        while (true) {
          TRY_ASSIGN(std::optional<std::string> query, server.read_query(t));
          if (!query) return {};
          if (*query == "rows") {
            server.put_row_description({{"a"}, {"b"}});
            server.put_row({"1", std::nullopt});
            server.put_row({"", "x"});
            server.put_command_complete("SELECT 2");
          } else {
            server.put_error(Error(Code::Stale, "no " + *query));
          }
          server.put_ready();
          TRY(server.flush(t));
        }
      },
      [](Task& t, wire::PgClient& client) -> Status {
        auto failed = client.query(t, "nonsense; ");
        EXPECT_EQ(outcome(failed), "stale");
        EXPECT_EQ(failed.error().message(), "no nonsense");
        TRY_ASSIGN(wire::QueryResult result, client.query(t, "rows"));
        EXPECT_EQ(result.columns, (std::vector<std::string>{"a", "b"}));
        EXPECT_EQ(result.rows, (std::vector<wire::Row>{{"1", std::nullopt}, {"", "x"}}));
        EXPECT_EQ(result.tag, "SELECT 2");
        EXPECT_EQ(outcome(client.query(t, "rows", 1)), "unsupported");
        return {};
      });
}

CONTRACT(PgWire, CopyBothCarriesPagesBothWays) {
  return conversation(
      test, task, env,
      [](Task& t, wire::PgServer& server, const wire::Startup&) -> Status {
        TRY(server.read_query(t));
        server.put_copy_both_response();
        TRY(server.flush(t));
        Bytes page(8192, 7);
        for (int n = 0; n < 100; n++) {
          TRY_ASSIGN(wire::CopyChunk chunk, server.read_copy(t));
          EXPECT_EQ(as_text(chunk.data), std::to_string(n));
          server.put_copy_data(chunk.data, page);
          if (!server.copy_ready()) TRY(server.flush(t));
        }
        TRY_ASSIGN(wire::CopyChunk end, server.read_copy(t));
        EXPECT_TRUE(end.kind == wire::CopyChunk::Kind::Done);
        server.put_copy_done();
        server.put_command_complete("COPY");
        server.put_ready();
        return server.flush(t);
      },
      [](Task& t, wire::PgClient& client) -> Status {
        TRY(client.start_copy_both(t, "pagestream_v3"));
        for (int n = 0; n < 100; n++) client.put_copy_data(as_bytes(std::to_string(n)));
        client.put_copy_done();
        TRY(client.flush(t));
        for (int n = 0; n < 100; n++) {
          TRY_ASSIGN(std::optional<ByteView> data, client.read_copy(t));
          std::string number = std::to_string(n);
          EXPECT_TRUE(data && data->size() == number.size() + 8192 &&
                      as_text(data->first(number.size())) == number);
        }
        TRY_ASSIGN(std::optional<ByteView> end, client.read_copy(t));
        EXPECT_FALSE(end.has_value());
        return client.finish_copy(t);
      });
}

CONTRACT(PgWire, AnErrorInsideCopyReachesTheClient) {
  return conversation(
      test, task, env,
      [](Task& t, wire::PgServer& server, const wire::Startup&) -> Status {
        TRY(server.read_query(t));
        server.put_error(Error(Code::NotFound, "not here"));
        server.put_ready();
        TRY(server.flush(t));
        TRY(server.read_query(t));
        server.put_copy_out_response();
        server.put_copy_data(as_bytes("first"));
        server.put_error(Error(Code::Corrupt, "rotten"));
        return server.flush(t);
      },
      [](Task& t, wire::PgClient& client) -> Status {
        EXPECT_EQ(outcome(client.start_copy_out(t, "a")), "not found");
        TRY(client.start_copy_out(t, "b"));
        TRY(client.read_copy(t));
        EXPECT_EQ(outcome(client.read_copy(t)), "corrupt");
        return {};
      });
}

CONTRACT(PgWire, EncryptionIsRefusedAndOtherVersionsAreToldSo) {
  TRY_ASSIGN(auto listener, env.network().listen(task, test.world().any_address()));
  for (uint32_t version : {wire::kProtocolVersion3, 2u << 16}) {
    Scope scope(task);
    scope.spawn("server", [&](Task& t) -> Status {
      TRY_ASSIGN(auto stream, listener->accept(t));
      wire::BufferedReader in(*stream);
      wire::PgServer server(in, *stream);
      EXPECT_EQ(outcome(server.accept(t)), version == wire::kProtocolVersion3 ? "ok" : "unsupported");
      return {};
    });
    TRY_ASSIGN(auto stream, env.network().connect(task, listener->address()));
    for (uint32_t code : {wire::kGssEncRequestCode, wire::kSslRequestCode}) {
      Bytes request;
      Writer(request).be<uint32_t>(8).be(code);
      TRY(write_all(task, *stream, request));
      Bytes answer(1);
      TRY(read_exact(task, *stream, answer));
      EXPECT_EQ(answer[0], 'N');
    }
    Bytes startup;
    Writer(startup).be<uint32_t>(9).be(version).u8(0);
    TRY(write_all(task, *stream, startup));
    TRY(scope.join(task));
  }
  return {};
}

CONTRACT(PgWire, ExtendedQueriesGetOneErrorUpToSync) {
  return conversation(
      test, task, env,
      [](Task& t, wire::PgServer& server, const wire::Startup&) -> Status {
        TRY_ASSIGN(std::optional<std::string> query, server.read_query(t));
        EXPECT_EQ(query, "after");
        server.put_command_complete("OK");
        server.put_ready();
        return server.flush(t);
      },
      [](Task& t, wire::PgClient& client) -> Status {
        wire::put_message(client.buffer(), 'P', as_bytes("parse"));
        wire::put_message(client.buffer(), 'B', as_bytes("bind"));
        wire::put_message(client.buffer(), 'S', {});
        TRY(client.flush(t));
        EXPECT_EQ(outcome(client.finish_copy(t)), "unsupported");
        TRY_ASSIGN(wire::QueryResult result, client.query(t, "after"));
        EXPECT_EQ(result.tag, "OK");
        return {};
      });
}

}  // namespace
}  // namespace argon::contract
