// What a read looks at: the layers over its key, and of those only what may hold it.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "core/base/random.h"
#include "core/pageserver/bloom_filter.h"
#include "core/pageserver/layer_map.h"

namespace argon::pageserver {
namespace {

Key key_of(uint32_t number) {
  Key key;
  key.f2 = 1663;
  key.f3 = 5;
  key.f4 = 16384 + number / 100'000;
  key.f6 = number % 100'000;
  return key;
}

RC_GTEST_PROP(LayerMap, ShowsAllLayersOverAKeyAndNoOther, (uint64_t seed)) {
  Random random(seed);
  NodeCache cache(1);
  LayerMap map;
  std::set<LayerMap::LayerPtr> layers;
  auto number = [&] { return static_cast<uint32_t>(random.below(300'000)); };
  for (uint64_t steps = random.below(200), step = 0; step < steps; step++) {
    if (random.below(4) == 0 && !layers.empty()) {
      auto gone = std::next(layers.begin(), static_cast<ptrdiff_t>(random.below(layers.size())));
      map.erase(*gone);
      layers.erase(gone);
    } else {
      auto [from, to] = std::minmax({number(), number()});
      KeyRange keys = random.below(5) == 0 ? KeyRange::all() : KeyRange{key_of(from), key_of(to).next()};
      LayerName name{LayerKind::Delta, keys, Lsn(step), Lsn(step + 1), step, {}};
      auto layer = std::make_shared<LayerFile>(TenantTimelineId(), name, "", 0, cache);
      map.insert(layer);
      layers.insert(layer);
    }
    Key key = key_of(number());
    std::multiset<LayerMap::LayerPtr> shown;
    map.visit_at(key, [&](const LayerMap::LayerPtr& layer) { shown.insert(layer); });
    std::multiset<LayerMap::LayerPtr> over;
    for (const auto& layer : layers)
      if (layer->name().keys.contains(key)) over.insert(layer);
    RC_ASSERT(shown == over);
  }
  RC_ASSERT(std::ranges::is_sorted(map.all(), {}, [](const auto& layer) { return layer->name(); }));
}

RC_GTEST_PROP(BloomFilter, HoldsWhatWasAdded, (uint64_t seed)) {
  Random random(seed);
  BloomFilter filter(random.below(1000));
  std::vector<Key> keys;
  for (uint64_t count = random.below(2000), i = 0; i < count; i++) {
    Bytes key(kKeyBytes);
    random.fill(key);
    keys.push_back(load_key(key));
    filter.add(keys.back());
  }
  for (const Key& key : keys) RC_ASSERT(filter.may_hold(key));
}

// Keys as a database has them: few relations, blocks in a row.
TEST(BloomFilter, RefusesNearlyAllOthers) {
  for (uint32_t count : {1u, 100u, 10'000u, 200'000u}) {
    BloomFilter filter(count);
    for (uint32_t i = 0; i < count; i++) filter.add(key_of(2 * i));
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < 100'000; i++) wrong += filter.may_hold(key_of(2 * i + 1));
    EXPECT_LT(wrong, 2'000u) << count << " keys";
    EXPECT_LE(filter.bytes(), 64 + count * 3 / 2 + 64);
  }
}

}  // namespace
}  // namespace argon::pageserver
