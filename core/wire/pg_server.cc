#include "core/base/codec.h"
#include "core/wire/pg_startup.h"
#include "core/wire/pg_wire.h"

namespace argon::wire {

namespace {

Result<Startup> startup_of(const StartupPacket& packet) {
  Startup startup;
  for (const auto& [name, value] : packet.parameters) startup.parameters[name] = value;
  if (const std::string* options = packet.find("options")) {
    TRY_ASSIGN(startup.options, parse_options(*options));
  }
  return startup;
}

std::string_view trim_query(std::string_view text) {
  while (!text.empty() &&
         (text.back() == ';' || text.back() == ' ' || text.back() == '\n' || text.back() == '\t'))
    text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\t'))
    text.remove_prefix(1);
  return text;
}

}  // namespace

Result<Startup> PgServer::accept(Task& task) {
  // A client may ask for each kind of encryption once before it starts in plain text.
  for (int attempt = 0; attempt < 3; attempt++) {
    Result<Opening> opening = read_opening(task, in_);
    if (opening.is(Code::Invalid) || opening.is(Code::Unsupported)) refuse(task, opening.error());
    TRY(opening);
    if (std::holds_alternative<EncryptionRequest>(*opening)) {
      out_.buffer().push_back('N');
      TRY(flush(task));
      continue;
    }
    if (std::holds_alternative<CancelRequest>(*opening))
      return Error(Code::Disconnected,
                   "cancel request from " + in_.stream().peer() + ": there is nothing to cancel");
    Result<Startup> startup = startup_of(std::get<StartupPacket>(*opening));
    if (!startup.ok()) refuse(task, startup.error());
    return startup;
  }
  return Error(Code::Corrupt, in_.stream().peer() + " keeps asking for encryption instead of starting");
}

Status PgServer::welcome(Task& task, std::string_view server_version) {
  Bytes& out = out_.buffer();
  const uint8_t auth_ok[4] = {0, 0, 0, 0};
  put_message(out, 'R', auth_ok);
  auto parameter = [&out](std::string_view name, std::string_view value) {
    PgMessageWriter message(out, 'S');
    Writer(out).cstring(name).cstring(value);
  };
  parameter("server_version", server_version);
  parameter("server_encoding", "UTF8");
  parameter("client_encoding", "UTF8");
  parameter("DateStyle", "ISO, MDY");
  parameter("integer_datetimes", "on");
  parameter("standard_conforming_strings", "on");
  parameter("TimeZone", "UTC");
  const uint8_t no_key[8] = {};
  put_message(out, 'K', no_key);
  put_ready();
  return flush(task);
}

void PgServer::refuse(Task& task, const Error& error) {
  wire::put_error(out_.buffer(), "FATAL", error);
  // The connection ends anyway; whether the peer still hears why does not matter.
  ignore_result(flush(task));
}

Result<std::optional<std::string>> PgServer::read_query(Task& task) {
  bool skip_to_sync = false;
  while (true) {
    TRY_ASSIGN(PgMessage message, messages_.read(task));
    switch (message.type) {
      case 'Q': {
        std::string_view text = as_text(message.body);
        if (!text.empty() && text.back() == '\0') text.remove_suffix(1);
        return std::optional<std::string>(trim_query(text));
      }
      case 'X':
        return std::optional<std::string>();
      case 'S':
        skip_to_sync = false;
        put_ready();
        TRY(flush(task));
        break;
      case 'H':
        break;  // Flush: everything is sent at once anyway
      case 'c':
      case 'd':
      case 'f':
        break;  // leftovers of a COPY that ended from this side
      default:
        if (skip_to_sync) break;
        skip_to_sync = true;
        put_error(Error(Code::Unsupported, std::string("message type '") + static_cast<char>(message.type) +
                                               "' is not supported here: use simple queries"));
        TRY(flush(task));
    }
  }
}

void PgServer::put_row_description(const std::vector<Column>& columns) {
  PgMessageWriter message(buffer(), 'T');
  Writer w(buffer());
  w.be(static_cast<uint16_t>(columns.size()));
  for (const Column& column : columns) {
    w.cstring(column.name).be<uint32_t>(0).be<uint16_t>(0).be(column.type_oid);
    w.be<int16_t>(column.type_oid == 25 ? -1 : 8).be<int32_t>(-1).be<uint16_t>(0);
  }
}

void PgServer::put_row(const Row& row) {
  PgMessageWriter message(buffer(), 'D');
  Writer w(buffer());
  w.be(static_cast<uint16_t>(row.size()));
  for (const auto& value : row) {
    w.be(value ? static_cast<int32_t>(value->size()) : -1);
    if (value) w.bytes(as_bytes(*value));
  }
}

void PgServer::put_command_complete(std::string_view tag) {
  PgMessageWriter message(buffer(), 'C');
  Writer(buffer()).cstring(tag);
}

void PgServer::put_ready() {
  const uint8_t idle = 'I';
  put_message(buffer(), 'Z', {&idle, 1});
}

void PgServer::put_copy_out_response() {
  const uint8_t text_without_columns[3] = {0, 0, 0};
  put_message(buffer(), 'H', text_without_columns);
}

void PgServer::put_copy_both_response() {
  const uint8_t text_without_columns[3] = {0, 0, 0};
  put_message(buffer(), 'W', text_without_columns);
}

void PgServer::put_copy_data(ByteView head, ByteView body) {
  put_message(buffer(), 'd', head, body);
}

void PgServer::put_copy_done() {
  put_message(buffer(), 'c', {});
}

Result<CopyChunk> PgServer::read_copy(Task& task) {
  while (true) {
    TRY_ASSIGN(PgMessage message, messages_.read(task));
    switch (message.type) {
      case 'd':
        return CopyChunk{CopyChunk::Kind::Data, message.body};
      case 'c':
        return CopyChunk{CopyChunk::Kind::Done, {}};
      case 'f':
        return CopyChunk{CopyChunk::Kind::Fail, message.body};
      case 'H':
      case 'S':
        break;
      case 'X':
        return Error(Code::Disconnected, in_.stream().peer() + " said goodbye");
      default:
        return Error(Code::Corrupt, "message of type " + std::to_string(message.type) +
                                        " inside COPY, from " + in_.stream().peer());
    }
  }
}

}  // namespace argon::wire
