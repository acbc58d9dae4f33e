// Which of several pageservers keeps a block.
//
// The key space of relation blocks is cut into stripes of consecutive blocks, which are dealt out by a hash.
// Only relation and block count: blocks of the same number of a relation's forks, and of the copy that CREATE
// DATABASE makes of it in another database, lie on one shard, so that such a copy needs no other shard.
// Everything that is not a relation's block is kept by all shards.

#pragma once

#include <compare>

#include "core/base/result.h"
#include "core/pg/rel.h"

namespace argon::pg {

inline constexpr uint32_t kShardsMax = 255;
inline constexpr uint32_t kStripeBlocks = 2048;  // 16 MiB

struct ShardIdentity {
  uint32_t number = 0;
  uint32_t count = 1;
  uint32_t stripe_blocks = kStripeBlocks;

  // Invalid says which number is out of its range.
  Status check() const;
  bool is_whole() const { return count <= 1; }
  bool owns(const BlockTag& block) const;
  friend constexpr auto operator<=>(const ShardIdentity&, const ShardIdentity&) = default;
};

}  // namespace argon::pg
