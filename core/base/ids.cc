#include "core/base/ids.h"

#include <charconv>
#include <cstdio>

namespace argon {
namespace {

template <typename Integer>
bool parse_all(std::string_view text, int base, Integer& out) {
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return ec == std::errc() && end == text.data() + text.size() && !text.empty();
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <typename Id>
Result<Id> parse_id(std::string_view text, const char* what) {
  auto invalid = [&] {
    return Error(Code::Invalid,
                 "'" + std::string(text) + "' is not a " + what + " id: expected 32 hexadecimal digits");
  };
  Id id;
  if (text.size() != 2 * id.bytes.size()) return invalid();
  for (size_t i = 0; i < id.bytes.size(); i++) {
    int high = hex_digit(text[2 * i]);
    int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return invalid();
    id.bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return id;
}

}  // namespace

std::string to_string(Lsn lsn) {
  char text[32];
  std::snprintf(text, sizeof text, "%X/%X", static_cast<uint32_t>(lsn.value >> 32),
                static_cast<uint32_t>(lsn.value));
  return text;
}

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (uint8_t b : bytes) {
    text += kDigits[b >> 4];
    text += kDigits[b & 15];
  }
  return text;
}

std::string to_base64(ByteView bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve(bytes.size() / 3 * 4 + 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; k++) group = group << 8 | (k < n ? bytes[i + k] : 0u);
    for (size_t k = 0; k < 4; k++) text += k <= n ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::string to_string(const TenantTimelineId& id) {
  return to_string(id.tenant) + "/" + to_string(id.timeline);
}

Result<Lsn> parse_lsn(std::string_view text) {
  size_t slash = text.find('/');
  uint32_t high = 0;
  uint32_t low = 0;
  if (slash == std::string_view::npos || slash > 8 || text.size() - slash - 1 > 8 ||
      !parse_all(text.substr(0, slash), 16, high) || !parse_all(text.substr(slash + 1), 16, low))
    return Error(Code::Invalid, "'" + std::string(text) +
                                    "' is not an LSN: expected two hexadecimal numbers as in 0/16F9A00");
  return Lsn(static_cast<uint64_t>(high) << 32 | low);
}

Result<TenantId> parse_tenant_id(std::string_view text) {
  return parse_id<TenantId>(text, "tenant");
}
Result<TimelineId> parse_timeline_id(std::string_view text) {
  return parse_id<TimelineId>(text, "timeline");
}

Result<uint64_t> parse_u64(std::string_view text) {
  uint64_t value = 0;
  if (!parse_all(text, 10, value))
    return Error(Code::Invalid, "'" + std::string(text) + "' is not a number: expected decimal digits");
  return value;
}

}  // namespace argon
