// Strong identifiers. Construction is explicit, so an LSN is never taken for a term.
//
// Text forms: Lsn "HI/LO" in upper-case hex as PostgreSQL prints it; TenantId and TimelineId
// 32 lower-case hex digits; numbers in decimal.

#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace argon {

// A position in a timeline's WAL, in bytes. 0 is "none".
struct Lsn {
  uint64_t value = 0;

  constexpr Lsn() = default;
  constexpr explicit Lsn(uint64_t v) : value(v) {}
  static constexpr Lsn max() { return Lsn(UINT64_MAX); }
  constexpr bool valid() const { return value != 0; }

  friend constexpr auto operator<=>(Lsn, Lsn) = default;
  friend constexpr Lsn operator+(Lsn l, uint64_t n) { return Lsn(l.value + n); }
  friend constexpr Lsn operator-(Lsn l, uint64_t n) { return Lsn(l.value - n); }
  friend constexpr uint64_t operator-(Lsn a, Lsn b) { return a.value - b.value; }
  Lsn& operator+=(uint64_t n) {
    value += n;
    return *this;
  }
};

// One per kind of number, so that they do not mix. Each has to_string() below.
template <typename Tag, typename Integer>
struct StrongNumber {
  Integer value = 0;

  constexpr StrongNumber() = default;
  constexpr explicit StrongNumber(Integer v) : value(v) {}
  friend constexpr auto operator<=>(StrongNumber, StrongNumber) = default;
};

using Term = StrongNumber<struct TermTag, uint64_t>;      // of a proposer; 0 is before the first election
using NodeId = StrongNumber<struct NodeIdTag, uint64_t>;  // of a safekeeper or pageserver; 0 is invalid
using Generation = StrongNumber<struct GenerationTag, uint32_t>;  // of a tenant's attachment to a pageserver

template <typename Tag>
struct Id128 {
  std::array<uint8_t, 16> bytes{};

  friend constexpr auto operator<=>(const Id128&, const Id128&) = default;
};

using TenantId = Id128<struct TenantIdTag>;
using TimelineId = Id128<struct TimelineIdTag>;

struct TenantTimelineId {
  TenantId tenant;
  TimelineId timeline;

  friend constexpr auto operator<=>(const TenantTimelineId&, const TenantTimelineId&) = default;
};

std::string to_string(Lsn lsn);
template <typename Tag, typename Integer>
std::string to_string(StrongNumber<Tag, Integer> n) {
  return std::to_string(n.value);
}
std::string to_hex(ByteView bytes);  // lower case
// With "=" at its end (RFC 4648 section 4).
std::string to_base64(ByteView bytes);
template <typename Tag>
std::string to_string(const Id128<Tag>& id) {
  return to_hex(id.bytes);
}
// "TENANT/TIMELINE".
std::string to_string(const TenantTimelineId& id);

// Code::Invalid with a message that shows the text and the form expected.
Result<Lsn> parse_lsn(std::string_view text);
Result<TenantId> parse_tenant_id(std::string_view text);
Result<TimelineId> parse_timeline_id(std::string_view text);
// A decimal number without sign, leading blanks or trailing characters.
Result<uint64_t> parse_u64(std::string_view text);

}  // namespace argon
