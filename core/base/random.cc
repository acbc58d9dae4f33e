#include "core/base/random.h"

#include <bit>

#include "core/base/checksum.h"

namespace argon {
namespace {

uint64_t splitmix64(uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// 65536 * -ln((i + 0.5) / 64) for i in 0..63: a table, so that no floating point enters a decision.
constexpr uint32_t kExponential[64] = {
    317983, 245984, 212507, 190455, 173985, 160834, 149886, 140508, 132305, 125016, 118457, 112495, 107030,
    101987, 97304,  92933,  88836,  84979,  81338,  77887,  74610,  71489,  68509,  65659,  62928,  60307,
    57786,  55358,  53017,  50757,  48572,  46458,  44410,  42424,  40496,  38624,  36803,  35032,  33307,
    31627,  29988,  28390,  26829,  25305,  23815,  22359,  20934,  19540,  18174,  16837,  15526,  14241,
    12981,  11744,  10530,  9339,   8169,   7019,   5889,   4778,   3686,   2611,   1554,   514};

}  // namespace

Random::Random(uint64_t seed) : seed_(seed) {
  uint64_t s = seed;
  for (uint64_t& word : state_) word = splitmix64(s);
}

uint64_t Random::next() {
  uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Random::below(uint64_t bound) {
  CHECK(bound > 0);
  // Lemire's multiplication; the bias (below 2^-32 for bounds below 2^32) does not matter here.
  return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
}

uint64_t Random::between(uint64_t low, uint64_t high) {
  CHECK(low <= high);
  if (low == 0 && high == UINT64_MAX) return next();
  return low + below(high - low + 1);
}

Duration Random::between(Duration low, Duration high) {
  CHECK(low <= high);
  return {low.ns + static_cast<int64_t>(below(static_cast<uint64_t>(high.ns - low.ns) + 1))};
}

bool Random::chance(Ratio ratio) {
  CHECK(ratio.d > 0);
  return below(ratio.d) < ratio.n;
}

uint64_t Random::log_uniform(uint64_t low, uint64_t high) {
  CHECK(low > 0 && low <= high);
  int low_bits = std::bit_width(low);
  int high_bits = std::bit_width(high);
  int bits = static_cast<int>(between(static_cast<uint64_t>(low_bits), static_cast<uint64_t>(high_bits)));
  uint64_t from = uint64_t{1} << (bits - 1);
  uint64_t to = from + (from - 1);
  return between(from < low ? low : from, to > high ? high : to);
}

Duration Random::exponential(Duration mean) {
  uint64_t draw = below(64);
  return {static_cast<int64_t>(static_cast<__int128>(mean.ns) * kExponential[draw] / 65536)};
}

void Random::fill(ByteSpan out) {
  size_t at = 0;
  while (at < out.size()) {
    uint64_t word = next();
    for (size_t i = 0; i < 8 && at < out.size(); i++, at++) out[at] = static_cast<uint8_t>(word >> (8 * i));
  }
}

Random Random::fork(std::string_view name) const {
  uint64_t s = seed_ ^ hash64(as_bytes(name));
  return Random(splitmix64(s));
}

TenantId random_tenant_id(Random& random) {
  TenantId id;
  random.fill(id.bytes);
  return id;
}

TimelineId random_timeline_id(Random& random) {
  TimelineId id;
  random.fill(id.bytes);
  return id;
}

}  // namespace argon
