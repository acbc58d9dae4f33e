#include "core/pg/interpret/shard.h"

namespace argon::pg {

namespace {

// murmurhash32 and hash_combine of PostgreSQL's common/hashfn.h: a compute has them, too.
uint32_t murmur(uint32_t h) {
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  return h ^ (h >> 16);
}

}  // namespace

Status ShardIdentity::check() const {
  if (count < 1 || count > kShardsMax)
    return Error(Code::Invalid, "the number of shards is " + std::to_string(count) + ", not from 1 to " +
                                    std::to_string(kShardsMax));
  if (number >= count)
    return Error(Code::Invalid,
                 "there is no shard " + std::to_string(number) + " of " + std::to_string(count));
  if (stripe_blocks == 0) return Error(Code::Invalid, "a shard's stripes have no blocks");
  return {};
}

bool ShardIdentity::owns(const BlockTag& block) const {
  if (is_whole()) return true;
  uint32_t hash = murmur(block.rel.node.rel);
  hash ^= murmur(block.block / stripe_blocks) + 0x9e3779b9u + (hash << 6) + (hash >> 2);
  return hash % count == number;
}

}  // namespace argon::pg
