#include "core/pageserver/value.h"

#include "core/base/codec.h"

namespace argon::pageserver {

namespace {

Bytes with_kind(ValueKind kind, ByteView body) {
  Bytes value;
  value.reserve(body.size() + 1);
  value.push_back(static_cast<uint8_t>(kind));
  append(value, body);
  return value;
}

bool is_several(ByteView value) {
  return !value.empty() && (value[0] == static_cast<uint8_t>(ValueKind::Several) ||
                            value[0] == static_cast<uint8_t>(ValueKind::SeveralWillInit));
}

void append_parts(Bytes& to, ByteView value) {
  if (is_several(value)) {
    append(to, value.subspan(1));
    return;
  }
  Writer out(to);
  out.le(static_cast<uint32_t>(value.size())).bytes(value);
}

}  // namespace

Bytes image_value(ByteView image) {
  return with_kind(ValueKind::Image, image);
}
Bytes record_value(ByteView record, bool will_init) {
  return with_kind(will_init ? ValueKind::RecordWillInit : ValueKind::Record, record);
}
Bytes mutation_value(const pg::redo::Mutation& mutation) {
  bool init = pg::redo::will_init(mutation);
  Bytes value{static_cast<uint8_t>(init ? ValueKind::MutationWillInit : ValueKind::Mutation)};
  pg::redo::encode_mutation(mutation, value);
  return value;
}

Bytes join_values(ByteView earlier, ByteView later) {
  if (ends_chain(later)) return to_bytes(later);
  Bytes value{static_cast<uint8_t>(ends_chain(earlier) ? ValueKind::SeveralWillInit : ValueKind::Several)};
  append_parts(value, earlier);
  append_parts(value, later);
  return value;
}

bool ends_chain(ByteView value) {
  if (value.empty()) return false;
  switch (static_cast<ValueKind>(value[0])) {
    case ValueKind::Image:
    case ValueKind::RecordWillInit:
    case ValueKind::MutationWillInit:
    case ValueKind::SeveralWillInit:
      return true;
    default:
      return false;
  }
}

Result<std::vector<ValueView>> parts_of(ByteView value) {
  if (value.empty()) return Error(Code::Corrupt, "a stored value has no bytes");
  if (value[0] > static_cast<uint8_t>(ValueKind::SeveralWillInit))
    return Error(Code::Unsupported, "a stored value is of kind " + std::to_string(value[0]) +
                                        ", which this version does not know");
  if (!is_several(value)) return std::vector<ValueView>{{static_cast<ValueKind>(value[0]), value.subspan(1)}};
  std::vector<ValueView> parts;
  Reader in(value.subspan(1));
  while (in.remaining() > 0) {
    auto size = in.le<uint32_t>();
    ByteView part = in.bytes(size);
    if (in.failed() || part.empty() || part[0] >= static_cast<uint8_t>(ValueKind::Several))
      return Error(Code::Corrupt, "a stored value of several parts is malformed");
    parts.push_back({static_cast<ValueKind>(part[0]), part.subspan(1)});
  }
  if (parts.empty()) return Error(Code::Corrupt, "a stored value of several parts has none");
  return parts;
}

}  // namespace argon::pageserver
