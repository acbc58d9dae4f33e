// PostgreSQL's wire protocol v3 over Env streams: the server's and the client's side.
//
// Trust authentication, no TLS: SSLRequest and GSSENCRequest are answered 'N'. Simple queries, COPY OUT
// and COPY BOTH; a client's extended-protocol messages get an error. In COPY BOTH one task may read
// while another writes. Nothing put is sent before flush(); pages are copied once, into the send buffer.
//
// The caller owes: put_* calls in the order the protocol asks for; a bound on what it puts before it
// flushes (see pending()).

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/env/env.h"
#include "core/wire/pg_messages.h"
#include "core/wire/pg_options.h"

namespace argon::wire {

struct Column {
  std::string name;
  uint32_t type_oid = 25;  // text
};
using Row = std::vector<std::optional<std::string>>;

struct CopyChunk {
  enum class Kind { Data, Done, Fail } kind = Kind::Data;
  ByteView data;  // borrowed until the next read; of Fail the client's reason
};

// A client's connection, seen from the server.
class PgServer {
 public:
  // Borrows both. `in` may hold bytes already (a port that takes two protocols peeked at them).
  PgServer(BufferedReader& in, Stream& stream) : in_(in), messages_(in), out_(stream) {}

  // Reads the startup packet (after refusing encryption, if asked). Errors: Disconnected for a cancel
  // request, Unsupported for another protocol version, Invalid for malformed parameters (told to the client).
  Result<Startup> accept(Task& task);
  // AuthenticationOk, ParameterStatus, BackendKeyData, ReadyForQuery; sent. `server_version` as "15.20".
  Status welcome(Task& task, std::string_view server_version);
  // Instead of welcome(), or at any later time: FATAL error, sent, best effort.
  void refuse(Task& task, const Error& error);

  // The next simple query, without trailing blanks and semicolons; nothing once the client said goodbye.
  // Answers other messages itself (an error up to the next Sync).
  Result<std::optional<std::string>> read_query(Task& task);

  void put_row_description(const std::vector<Column>& columns);
  void put_row(const Row& row);
  void put_command_complete(std::string_view tag);
  void put_error(const Error& error) { wire::put_error(out_.buffer(), "ERROR", error); }
  void put_ready();
  void put_copy_out_response();
  void put_copy_both_response();
  void put_copy_data(ByteView head, ByteView body = {});
  void put_copy_done();
  // To build one CopyData in place: PgMessageWriter(buffer(), 'd').
  Bytes& buffer() { return out_.buffer(); }
  size_t pending() const { return out_.pending(); }
  Status flush(Task& task) { return out_.flush(task); }

  // In COPY BOTH: what the client sends. Terminate and other messages end in Disconnected or Corrupt.
  Result<CopyChunk> read_copy(Task& task);
  // A whole message has arrived, so read_copy() would not wait.
  bool copy_ready() const {
    return messages_.ready() && messages_.ready_type() != 'H' && messages_.ready_type() != 'S';
  }

 private:
  BufferedReader& in_;
  PgMessageReader messages_;
  BufferedWriter out_;
};

struct QueryResult {
  std::vector<std::string> columns;
  std::vector<Row> rows;
  std::string tag;
};

// A connection to a PostgreSQL-speaking server.
class PgClient {
 public:
  // Connects, sends the startup packet, waits for ReadyForQuery. `options` go into "options" as -c words.
  // Errors: Unavailable, TimedOut (give the task a Deadline), what the server answered, Unsupported for
  // authentication other than trust.
  static Result<std::unique_ptr<PgClient>> connect(Task& task, const Address& address,
                                                   const Parameters& parameters,
                                                   const Parameters& options = {});
  // To a safekeeper's WAL service, for one timeline.
  static Result<std::unique_ptr<PgClient>> connect_to_wal(Task& task, const Address& safekeeper,
                                                          const TenantTimelineId& id);
  // The same as connect() over a stream that is connected already.
  static Result<std::unique_ptr<PgClient>> start(Task& task, std::unique_ptr<Stream> stream,
                                                 const Parameters& parameters,
                                                 const Parameters& options = {});

  // At most `row_limit` rows (Unsupported beyond). A server's error leaves the connection usable.
  Result<QueryResult> query(Task& task, std::string_view text, size_t row_limit = 100'000);
  // Sends the query and waits for CopyOutResponse / CopyBothResponse.
  Status start_copy_out(Task& task, std::string_view text);
  Status start_copy_both(Task& task, std::string_view text);
  // The next CopyData, borrowed until the next read; nothing at CopyDone. A server's error is the result.
  Result<std::optional<ByteView>> read_copy(Task& task);
  bool copy_ready() const { return messages_.ready(); }
  // After COPY OUT's CopyDone: reads up to ReadyForQuery.
  Status finish_copy(Task& task);

  void put_copy_data(ByteView head, ByteView body = {});
  void put_copy_done();
  void put_terminate();
  Bytes& buffer() { return out_.buffer(); }
  Status flush(Task& task) { return out_.flush(task); }

  // ParameterStatus values the server told ("server_version").
  const Parameters& server_parameters() const { return server_parameters_; }
  Stream& stream() { return *stream_; }

 private:
  explicit PgClient(std::unique_ptr<Stream> stream);
  Status wait_until_ready(Task& task);
  Status start_copy(Task& task, std::string_view text, uint8_t response);
  void put_query(std::string_view text);

  std::unique_ptr<Stream> stream_;
  BufferedReader in_;
  PgMessageReader messages_;
  BufferedWriter out_;
  Parameters server_parameters_;
};

}  // namespace argon::wire
