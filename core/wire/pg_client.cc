#include "core/base/codec.h"
#include "core/wire/pg_wire.h"

namespace argon::wire {

namespace {

Error unexpected(uint8_t type, std::string_view where, const Stream& stream) {
  return Error(Code::Corrupt, "message of type " + std::to_string(type) + " " + std::string(where) +
                                  ", from " + stream.peer());
}

Result<std::vector<std::string>> parse_row_description(ByteView body) {
  Reader r(body);
  std::vector<std::string> columns;
  for (auto n = r.be<uint16_t>(); n > 0 && !r.failed(); n--) {
    columns.emplace_back(r.cstring());
    r.skip(18);
  }
  if (!r.finished()) return Error(Code::Corrupt, "malformed RowDescription");
  return columns;
}

Result<Row> parse_data_row(ByteView body) {
  Reader r(body);
  Row row;
  for (auto n = r.be<uint16_t>(); n > 0 && !r.failed(); n--) {
    auto length = r.be<int32_t>();
    if (length < 0)
      row.emplace_back();
    else
      row.emplace_back(as_text(r.bytes(static_cast<size_t>(length))));
  }
  if (!r.finished()) return Error(Code::Corrupt, "malformed DataRow");
  return row;
}

}  // namespace

PgClient::PgClient(std::unique_ptr<Stream> stream)
    : stream_(std::move(stream)), in_(*stream_, kPgMessageMax + 5), messages_(in_), out_(*stream_) {}

Result<std::unique_ptr<PgClient>> PgClient::connect(Task& task, const Address& address,
                                                    const Parameters& parameters, const Parameters& options) {
  TRY_ASSIGN(std::unique_ptr<Stream> stream, task.env().network().connect(task, address));
  return start(task, std::move(stream), parameters, options);
}

Result<std::unique_ptr<PgClient>> PgClient::connect_to_wal(Task& task, const Address& safekeeper,
                                                           const TenantTimelineId& id) {
  return connect(task, safekeeper, {{"user", "argon"}, {"replication", "true"}},
                 {{"tenant_id", to_string(id.tenant)}, {"timeline_id", to_string(id.timeline)}});
}

Result<std::unique_ptr<PgClient>> PgClient::start(Task& task, std::unique_ptr<Stream> stream,
                                                  const Parameters& parameters, const Parameters& options) {
  std::unique_ptr<PgClient> client(new PgClient(std::move(stream)));
  Bytes& out = client->out_.buffer();
  out.resize(4);
  Writer w(out);
  w.be(kProtocolVersion3);
  for (const auto& [name, value] : parameters) w.cstring(name).cstring(value);
  if (!options.empty()) w.cstring("options").cstring(format_options(options));
  w.u8(0);
  store_be(out.data(), static_cast<uint32_t>(out.size()));
  TRY(client->flush(task));
  TRY(client->wait_until_ready(task));
  return client;
}

Status PgClient::wait_until_ready(Task& task) {
  Status result;
  while (true) {
    TRY_ASSIGN(PgMessage message, messages_.read(task));
    Reader r(message.body);
    switch (message.type) {
      case 'Z':
        return result;
      case 'R':
        if (auto method = r.be<uint32_t>(); method != 0)
          return Error(Code::Unsupported, stream_->peer() + " asks for authentication method " +
                                              std::to_string(method) + "; only trust is supported");
        break;
      case 'S': {
        std::string name(r.cstring());
        server_parameters_[name] = r.cstring();
        break;
      }
      case 'E':
        // Before the first ReadyForQuery, and when FATAL, the server closes after it: the next read would
        // only say "disconnected" and hide the reason.
        result = parse_error(message.body);
        if (!server_parameters_.contains("server_version")) return result;
        if (as_text(message.body).find("FATAL") != std::string_view::npos) return result;
        break;
      case 'K':
      case 'N':
      case 'C':
      case 'c':
      case 'd':
      case 'v':
        break;
      default:
        return unexpected(message.type, "while waiting for ReadyForQuery", *stream_);
    }
  }
}

void PgClient::put_query(std::string_view text) {
  PgMessageWriter message(out_.buffer(), 'Q');
  Writer(out_.buffer()).cstring(text);
}

Result<QueryResult> PgClient::query(Task& task, std::string_view text, size_t row_limit) {
  put_query(text);
  TRY(flush(task));
  QueryResult result;
  Status failure;
  while (true) {
    TRY_ASSIGN(PgMessage message, messages_.read(task));
    switch (message.type) {
      case 'T': {
        TRY_ASSIGN(result.columns, parse_row_description(message.body));
        break;
      }
      case 'D': {
        TRY_ASSIGN(Row row, parse_data_row(message.body));
        if (result.rows.size() == row_limit)
          return Error(Code::Unsupported, "more than " + std::to_string(row_limit) + " rows");
        result.rows.push_back(std::move(row));
        break;
      }
      case 'C':
        result.tag = Reader(message.body).cstring();
        break;
      case 'E':
        if (failure.ok()) failure = parse_error(message.body);
        if (as_text(message.body).find("FATAL") != std::string_view::npos) return failure.error();
        break;
      case 'S': {
        Reader r(message.body);
        std::string name(r.cstring());
        server_parameters_[name] = r.cstring();
        break;
      }
      case 'N':
      case 'I':
      case 'A':
        break;
      case 'Z':
        if (!failure.ok()) return failure.error();
        return result;
      default:
        return unexpected(message.type, "in answer to a query", *stream_);
    }
  }
}

Status PgClient::start_copy(Task& task, std::string_view text, uint8_t response) {
  put_query(text);
  TRY(flush(task));
  while (true) {
    TRY_ASSIGN(PgMessage message, messages_.read(task));
    if (message.type == response) return {};
    if (message.type == 'E') {
      Error error = parse_error(message.body);
      bool fatal = as_text(message.body).find("FATAL") != std::string_view::npos;
      if (!fatal) TRY(wait_until_ready(task));
      return error;
    }
    if (message.type != 'N' && message.type != 'S')
      return unexpected(message.type, "instead of the start of COPY", *stream_);
  }
}

Status PgClient::start_copy_out(Task& task, std::string_view text) {
  return start_copy(task, text, 'H');
}

Status PgClient::start_copy_both(Task& task, std::string_view text) {
  return start_copy(task, text, 'W');
}

Result<std::optional<ByteView>> PgClient::read_copy(Task& task) {
  while (true) {
    TRY_ASSIGN(PgMessage message, messages_.read(task));
    switch (message.type) {
      case 'd':
        return std::optional<ByteView>(message.body);
      case 'c':
        return std::optional<ByteView>();
      case 'E':
        return parse_error(message.body);
      case 'N':
      case 'S':
        break;
      default:
        return unexpected(message.type, "inside COPY", *stream_);
    }
  }
}

Status PgClient::finish_copy(Task& task) {
  return wait_until_ready(task);
}

void PgClient::put_copy_data(ByteView head, ByteView body) {
  put_message(out_.buffer(), 'd', head, body);
}

void PgClient::put_copy_done() {
  put_message(out_.buffer(), 'c', {});
}

void PgClient::put_terminate() {
  put_message(out_.buffer(), 'X', {});
}

}  // namespace argon::wire
