#include "core/wire/pg_messages.h"

#include <array>
#include <utility>

#include "core/base/codec.h"

namespace argon::wire {

namespace {

constexpr std::array<std::pair<Code, std::string_view>, 13> kStates = {{
    {Code::NotFound, "42704"},       // undefined_object
    {Code::AlreadyExists, "42710"},  // duplicate_object
    {Code::Invalid, "22023"},        // invalid_parameter_value
    {Code::Corrupt, "XX001"},        // data_corrupted
    {Code::Unsupported, "0A000"},    // feature_not_supported
    {Code::Unavailable, "57P03"},    // cannot_connect_now
    {Code::Disconnected, "08006"},   // connection_failure
    {Code::TimedOut, "57014"},       // query_canceled
    {Code::Cancelled, "57P01"},      // admin_shutdown
    {Code::MaybeApplied, "08007"},   // transaction_resolution_unknown
    {Code::Stale, "55000"},          // object_not_in_prerequisite_state
    {Code::NoSpace, "53100"},        // disk_full
    {Code::Io, "58030"},             // io_error
}};

}  // namespace

Result<PgMessage> PgMessageReader::read(Task& task) {
  in_.consume(pending_);
  pending_ = 0;
  TRY_ASSIGN(ByteView header, in_.peek(task, 5));
  uint8_t type = header[0];
  size_t length = load_be<uint32_t>(header.data() + 1);
  if (length < 4 || length > kPgMessageMax)
    return Error(Code::Corrupt, "message of type " + std::to_string(type) + " from " + in_.stream().peer() +
                                    " claims " + std::to_string(length) + " bytes");
  TRY_ASSIGN(ByteView whole, in_.peek(task, 1 + length));
  pending_ = 1 + length;
  return PgMessage{type, whole.subspan(5)};
}

bool PgMessageReader::ready() const {
  ByteView bytes = in_.buffered().subspan(pending_);
  return bytes.size() >= 5 && bytes.size() - 1 >= load_be<uint32_t>(bytes.data() + 1);
}

PgMessageWriter::PgMessageWriter(Bytes& out, uint8_t type) : out_(out) {
  out_.push_back(type);
  at_ = out_.size();
  out_.resize(at_ + 4);
}

PgMessageWriter::~PgMessageWriter() {
  store_be(out_.data() + at_, static_cast<uint32_t>(out_.size() - at_));
}

void put_message(Bytes& out, uint8_t type, ByteView head, ByteView body) {
  out.reserve(out.size() + 5 + head.size() + body.size());
  PgMessageWriter message(out, type);
  append(out, head);
  append(out, body);
}

std::string_view sqlstate_of(Code code) {
  for (const auto& [known, state] : kStates)
    if (known == code) return state;
  return "XX000";
}

Code code_of(std::string_view sqlstate) {
  for (const auto& [code, known] : kStates)
    if (known == sqlstate) return code;
  return sqlstate == "42601" ? Code::Invalid : Code::Io;
}

void put_error(Bytes& out, std::string_view severity, const Error& error) {
  PgMessageWriter message(out, 'E');
  Writer w(out);
  // A message may quote input; a zero byte in it would end the field early.
  std::string text = error.message();
  for (char& c : text)
    if (c == '\0') c = '?';
  w.u8('S').cstring(severity).u8('V').cstring(severity);
  w.u8('C').cstring(sqlstate_of(error.code())).u8('M').cstring(text).u8(0);
}

std::string_view sqlstate_in(ByteView body) {
  Reader r(body);
  while (uint8_t field = r.u8()) {
    std::string_view value = r.cstring();
    if (field == 'C') return value;
  }
  return {};
}

Error parse_error(ByteView body) {
  Reader r(body);
  std::string state, message = "(no message)";
  while (uint8_t field = r.u8()) {
    std::string_view value = r.cstring();
    if (field == 'C') state = value;
    if (field == 'M') message = value;
  }
  // That the peer's task was told to stop, or ran out of time, says nothing of ours.
  Code code = code_of(state);
  if (code == Code::Cancelled || code == Code::TimedOut) code = Code::Unavailable;
  return Error(code, message);
}

}  // namespace argon::wire
