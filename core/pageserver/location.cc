#include "core/pageserver/location.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/http/json_fields.h"

namespace argon::pageserver {

namespace {

using nlohmann::json;

constexpr std::string_view kLocationMagic = "ARGLOCAT";
constexpr uint32_t kLocationVersion = 1;
constexpr size_t kLocationHeader = 16;
constexpr size_t kLocationBytes = kLocationHeader + 1 + 4 + 4;

struct NamedMode {
  LocationMode mode;
  std::string_view name;
};
constexpr NamedMode kModes[] = {{LocationMode::AttachedSingle, "AttachedSingle"},
                                {LocationMode::AttachedMulti, "AttachedMulti"},
                                {LocationMode::AttachedStale, "AttachedStale"},
                                {LocationMode::Secondary, "Secondary"},
                                {LocationMode::Detached, "Detached"}};

// Of all but itself: a flipped bit in the version is damage, not another version.
uint32_t location_checksum(ByteView file) {
  return crc32c_extend(crc32c(file.first(kLocationHeader - 4)), file.subspan(kLocationHeader));
}

}  // namespace

std::string_view to_string(LocationMode mode) {
  for (const NamedMode& one : kModes)
    if (one.mode == mode) return one.name;
  return "Detached";
}

Result<LocationMode> parse_location_mode(std::string_view text) {
  std::string names;
  for (const NamedMode& one : kModes) {
    if (one.name == text) return one.mode;
    names += (names.empty() ? "" : ", ") + std::string(one.name);
  }
  return Error(Code::Invalid, "'" + std::string(text) + "' is no mode of a location; there are " + names);
}

Bytes encode_location(const Location& location) {
  Bytes bytes;
  Writer out(bytes);
  out.bytes(as_bytes(kLocationMagic)).le(kLocationVersion).le(uint32_t{0});
  out.u8(static_cast<uint8_t>(location.mode)).le(location.generation.value).le(location.asked.value);
  store_le(bytes.data() + kLocationHeader - 4, location_checksum(bytes));
  return bytes;
}

Result<Location> decode_location(ByteView bytes, std::string_view where) {
  auto bad = [&](const std::string& what) {
    return Error(Code::Corrupt, "location file " + std::string(where) + ": " + what);
  };
  if (bytes.size() < kLocationHeader || as_text(bytes.first(8)) != kLocationMagic) return bad("no such file");
  Reader in(bytes.subspan(8));
  auto version = in.le<uint32_t>();
  if (in.le<uint32_t>() != location_checksum(bytes)) return bad("wrong checksum");
  if (version != kLocationVersion)
    return Error(Code::Unsupported,
                 "location file " + std::string(where) + " has version " + std::to_string(version));
  if (bytes.size() != kLocationBytes) return bad("wrong length");
  Location location;
  auto mode = in.u8();
  if (mode > static_cast<uint8_t>(LocationMode::AttachedSingle)) return bad("unknown mode");
  location.mode = static_cast<LocationMode>(mode);
  location.generation = Generation(in.le<uint32_t>());
  location.asked = Generation(in.le<uint32_t>());
  return location;
}

std::string claim_text(const Claim& claim) {
  return json{{"pageserver", claim.pageserver.value},
              {"life", fmt::format("{:016x}", claim.life)},
              {"mode", std::string(to_string(claim.mode))},
              {"asked", claim.asked.value}}
      .dump();
}

Claim parse_claim(std::string_view text) {
  json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return {};
  auto mode = parse_location_mode(http::text_at(parsed, "mode"));
  std::string life = http::text_at(parsed, "life");
  if (!mode.ok() || life.size() != 16 || life.find_first_not_of("0123456789abcdef") != std::string::npos)
    return {};
  Claim claim;
  claim.pageserver = NodeId(http::number_at(parsed, "pageserver"));
  claim.life = std::stoull(life, nullptr, 16);
  claim.mode = *mode;
  claim.asked = Generation(static_cast<uint32_t>(http::number_at(parsed, "asked")));
  return claim;
}

}  // namespace argon::pageserver
