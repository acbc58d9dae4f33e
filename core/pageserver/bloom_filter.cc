#include "core/pageserver/bloom_filter.h"

#include <algorithm>

namespace argon::pageserver {

namespace {

// The line is chosen by the upper half of the hash, the bits in it by nine bits of the lower at a time.
size_t line_of(uint64_t hash, size_t lines) {
  return static_cast<size_t>((hash >> 32) * lines >> 32);
}

}  // namespace

BloomFilter::BloomFilter(size_t keys) : lines_(std::max<size_t>(1, keys * kBitsPerKey / 512 + 1)) {}

void BloomFilter::add(const Key& key) {
  uint64_t hash = hash_of(key);
  Line& line = lines_[line_of(hash, lines_.size())];
  for (int i = 0; i < kProbes; i++, hash = hash >> 9 | hash << 55)
    line.words[hash >> 6 & 7] |= uint64_t{1} << (hash & 63);
}

bool BloomFilter::may_hold(const Key& key) const {
  uint64_t hash = hash_of(key);
  const Line& line = lines_[line_of(hash, lines_.size())];
  for (int i = 0; i < kProbes; i++, hash = hash >> 9 | hash << 55)
    if ((line.words[hash >> 6 & 7] >> (hash & 63) & 1) == 0) return false;
  return true;
}

}  // namespace argon::pageserver
