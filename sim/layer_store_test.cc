// The pageserver's storage engine against a model, on a disk that loses power.
//
// Values stand for what they do: an image replaces the content, a record appends to it. The model
// keeps every version; whatever the engine did meanwhile (flush, compaction, image layers, garbage
// collection, eviction, power loss), what it reads at any LSN that it keeps must be what the model says. It
// keeps all at and above its GC cutoff, and what was held when that moved.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/env/io.h"
#include "core/env/points.h"
#include "core/pageserver/layer_store.h"
#include "core/pageserver/materialized_pages.h"
#include "core/pageserver/value.h"
#include "sim/machine.h"

namespace argon::pageserver {
namespace {

const TenantTimelineId kId{{{1}}, {{2}}};
const TenantTimelineId kBranch{{{1}}, {{3}}};
constexpr char kFolder[] = "/data/timeline";

constexpr uint64_t kPages = 40;    // keys that may have records
constexpr uint64_t kEntries = 10;  // of a directory: images, that may be taken back

Key key_of(uint64_t n) {
  if (n >= kPages) return {0x61, 1663, 5, static_cast<uint32_t>(n), 0, 0};
  return {static_cast<uint8_t>(n % 2),  1663, 5,
          static_cast<uint32_t>(n / 4), 0,    static_cast<uint32_t>(n % 4)};
}

class Model {
 public:
  void put(const Key& key, Lsn lsn, Bytes value) { versions_[key][lsn] = std::move(value); }
  void forget_above(Lsn lsn) {
    for (auto& [key, versions] : versions_) versions.erase(versions.upper_bound(lsn), versions.end());
  }
  bool changed_at(const Key& key, Lsn lsn) const {
    auto found = versions_.find(key);
    return found != versions_.end() && found->second.contains(lsn);
  }
  std::optional<Bytes> read(const Key& key, Lsn lsn) const {
    auto found = versions_.find(key);
    if (found == versions_.end()) return {};
    std::optional<Bytes> content;
    for (const auto& [at, value] : found->second) {
      if (at > lsn) break;
      if (ends_chain(value) || !content) content.emplace();
      content->insert(content->end(), value.begin() + 1, value.end());
    }
    if (content && content->empty() && is_sparse(key)) return {};
    return content;
  }
  std::vector<Key> keys(const KeyRange& range, Lsn lsn) const {
    std::vector<Key> out;
    for (const auto& [key, versions] : versions_)
      if (range.contains(key) && read(key, lsn)) out.push_back(key);
    return out;
  }

 private:
  std::map<Key, std::map<Lsn, Bytes>> versions_;
};

// Of a timeline that begins at 100.
TimelineIndex fresh_index() {
  TimelineIndex fresh;
  fresh.id = kId;
  fresh.start_lsn = fresh.disk_consistent = Lsn(100);
  return fresh;
}

// What `body` comes to on a machine of the world, within ten virtual seconds.
Status on_a_machine(sim::World& world, const std::function<Status(Task&, Env&, sim::Machine&)>& body) {
  sim::Machine& machine = world.add_machine("pageserver");
  Status done = Error(Code::Unavailable, "it did not end");
  machine.boot([&](Task& task, Env& env) -> Status {
    done = body(task, env, machine);
    return {};
  });
  world.run_for(Duration::seconds(10));
  return done;
}

// What a chain adds to `content`.
Bytes added(Bytes content, const Chain& chain) {
  for (auto version = chain.versions.rbegin(); version != chain.versions.rend(); ++version)
    content.insert(content.end(), version->value.begin() + 1, version->value.end());
  return content;
}

Result<Bytes> content_of(const Key& key, const Chain& chain) {
  if (chain.versions.empty()) return Error(Code::NotFound, "nothing");
  Bytes content = added({}, chain);
  if (content.empty() && is_sparse(key)) return Error(Code::NotFound, "taken back");
  return content;
}

Result<Bytes> read(Task& task, LayerStore& store, const Key& key, Lsn lsn) {
  TRY_ASSIGN(Chain chain, store.collect(task, key, lsn));
  return content_of(key, chain);
}

struct Run {
  uint64_t seed = 0;
  Model model;
  Lsn last{100};
  Lsn promised{100};  // a flush up to here returned ok
  uint64_t lives = 0;
  uint64_t reads = 0;
  uint64_t compactions = 0;
  uint64_t images = 0;
  uint64_t collected = 0;              // layers
  uint64_t evicted = 0;                // layers
  std::set<Lsn> held;                  // as by branches and leases
  std::map<LayerName, Bytes> objects;  // layers in the object store
  bool finish = false;
  std::map<Key, MaterializedPages::Page> kept;  // of reads in this life
  uint64_t read_from_kept = 0;
  std::string failure;
};

// From a content that an earlier read found, and the versions since.
Status compare_with_kept(Task& task, LayerStore& store, Run& run, const Key& key, Lsn lsn,
                         const Bytes& expected) {
  auto kept = run.kept.find(key);
  if (kept == run.kept.end() || lsn < kept->second.since) return {};
  TRY_ASSIGN(Chain chain, store.collect(task, key, lsn, std::min(lsn, kept->second.until)));
  run.read_from_kept++;
  if (added(chain.complete ? Bytes() : kept->second.content, chain) == expected) return {};
  return Error(Code::Corrupt, "key " + to_string(key) + " at " + to_string(lsn) +
                                  " reads differently from what was kept at " +
                                  to_string(kept->second.until));
}

Status compare(Task& task, LayerStore& store, Run& run, const Key& key, Lsn lsn) {
  auto expected = run.model.read(key, lsn);
  TRY_ASSIGN(Chain chain, store.collect(task, key, lsn));
  auto found = content_of(key, chain);
  if (found.ok() != expected.has_value() || (found.ok() && *found != *expected))
    return Error(Code::Corrupt,
                 "key " + to_string(key) + " at " + to_string(lsn) + " reads differently from the model");
  if (!found.ok()) return {};
  TRY(compare_with_kept(task, store, run, key, lsn, *found));
  MaterializedPages::Page& kept = run.kept[key];
  if (kept.until < lsn) kept = {chain.versions.front().lsn, lsn, *found};
  return {};
}

// Some LSN that the store keeps.
Lsn some_lsn(const LayerStore& store, Random& random, const Run& run) {
  Lsn low = std::max(store.gc_cutoff(), Lsn(100));
  if (run.held.empty() || random.chance({3, 4})) return Lsn(random.between(low.value, run.last.value));
  return *std::next(run.held.begin(), static_cast<ptrdiff_t>(random.below(run.held.size())));
}

// The directory as a whole.
Status compare_scan(Task& task, LayerStore& store, const Run& run, Lsn lsn) {
  KeyRange entries{key_of(kPages), key_of(kPages + kEntries)};
  TRY_ASSIGN(auto found, store.scan(task, entries, lsn));
  std::vector<Key> keys;
  for (const auto& [key, content] : found) {
    keys.push_back(key);
    if (run.model.read(key, lsn) != content)
      return Error(Code::Corrupt, "a scan at " + to_string(lsn) + " differs at " + to_string(key));
  }
  if (keys == run.model.keys(entries, lsn)) return {};
  return Error(Code::Corrupt, "a scan at " + to_string(lsn) + " finds other keys than there are");
}

Status make_image(Task& task, LayerStore& store, const LayerStore::ImageNeed& need, Run& run) {
  auto make = [&](Task& t, const Key& key, Lsn lsn) { return read(t, store, key, lsn); };
  TRY(store.create_image(task, need, run.model.keys(need.keys, need.lsn), make));
  run.images++;
  return {};
}

Status collect_garbage(Task& task, LayerStore& store, Random& random, Run& run) {
  Lsn low = std::max(store.gc_cutoff(), Lsn(100));
  Lsn cutoff = random.chance({1, 4}) ? low : Lsn(random.between(low.value, store.disk_consistent().value));
  store.set_gc_cutoff(cutoff, {run.held.begin(), run.held.lower_bound(cutoff)});
  for (bool more = true; more;) {
    TRY_ASSIGN(more, store.compact_l0_below(task, cutoff));
  }
  TRY_ASSIGN(LayerStore::Coverable history, store.coverable(task));
  for (const KeyRange& keys : history.keys)
    if (random.chance({3, 4})) TRY(make_image(task, store, {keys, cutoff}, run));
  TRY_ASSIGN(std::vector<LayerStore::LayerPtr> garbage, store.garbage(task));
  run.collected += garbage.size();
  return store.remove(task, std::move(garbage));
}

LayerFile::Fetch fetch_from(const Run& run) {
  return [&run](Task& task, const LayerFile& layer) {
    return write_file_durably(task, task.env().disk(), layer.path(), run.objects.at(layer.name()));
  };
}

Status upload(Task& task, LayerStore& store, Run& run) {
  std::set<LayerName> names;
  for (const LayerStore::LayerPtr& layer : store.layers()) {
    names.insert(layer->name());
    if (run.objects.contains(layer->name())) continue;
    TRY_ASSIGN(run.objects[layer->name()], read_file(task, task.env().disk(), layer->path()));
  }
  store.set_uploaded(names, fetch_from(run));
  return {};
}

Status evict_some(Task& task, LayerStore& store, Random& random, Run& run) {
  for (const LayerStore::LayerPtr& layer : store.layers()) {
    if (!layer->uploaded() || !layer->resident() || random.chance({1, 2})) continue;
    TRY(layer->evict(task));
    if (layer->resident() || task.env().disk().stat(task, layer->path()).ok())
      return Error(Code::Corrupt, layer->path() + " is still there after its eviction");
    run.evicted++;
  }
  return {};
}

// Two flushes at once, as class Timeline does: how many failed.
Result<int> flush_two(Task& task, LayerStore& store) {
  int failed = 0;
  Scope flushes(task);
  for (int i = 0; i < 2; i++)
    flushes.spawn("flush", [&](Task& t) -> Status {
      if (!store.flush_one(t).ok()) failed++;
      return {};
    });
  TRY(flushes.join(task));
  return failed;
}

Status one_step(Task& task, LayerStore& store, Random& random, Run& run) {
  uint64_t what = random.below(24);
  if (what == 22) return upload(task, store, run);
  if (what == 23) return evict_some(task, store, random, run);
  if (what == 20) return collect_garbage(task, store, random, run);
  if (what == 21) {
    if (run.held.size() < 4)
      run.held.insert(some_lsn(store, random, run));
    else
      run.held.erase(std::next(run.held.begin(), static_cast<ptrdiff_t>(random.below(4))));
    return {};
  }
  if (what < 10) {
    TRY(store.wait_for_room(task));
    run.last += random.between(1, 20);
    uint64_t n = random.between(1, 4);
    for (uint64_t i = 0; i < n; i++) {
      Key key = key_of(random.below(kPages + kEntries));
      Bytes value(is_sparse(key) && random.chance({1, 2}) ? 1 : random.between(1, 300));
      random.fill(value);
      bool image = is_sparse(key) || random.chance({1, 4}) || !run.model.read(key, run.last);
      value[0] = image ? 0 : 1;
      if (run.model.changed_at(key, run.last)) continue;  // once a record
      run.model.put(key, run.last, value);
      store.put(key, run.last, value);
    }
    store.advance(run.last, run.last - 1);
  } else if (what < 12) {
    store.freeze();
    if (random.chance({1, 3})) return {};  // more than one for the next
    TRY_ASSIGN(int failed, flush_two(task, store));
    if (failed > 0) return Error(Code::Io, "a flush failed");
    run.promised = std::max(run.promised, store.disk_consistent());
  } else if (what == 12) {
    TRY_ASSIGN(bool done, store.compact_l0(task));
    if (done) run.compactions++;
  } else if (what == 13) {
    std::optional<LayerStore::ImageNeed> need = store.image_need();
    if (random.chance({1, 2})) {
      KeyRange upper{key_of(random.below(kPages)), Key::max()};
      TRY_ASSIGN(need, store.changed_by_compaction(task, upper));
    }
    if (!need) return {};
    TRY(make_image(task, store, *need, run));
  } else if (what == 14) {
    TRY(store.sweep(task));
  } else {
    run.reads++;
    Key key = key_of(random.below(kPages + kEntries));
    Lsn lsn = some_lsn(store, random, run);
    TRY(compare(task, store, run, key, lsn));
    if (random.chance({1, 4})) TRY(compare_scan(task, store, run, lsn));
  }
  return {};
}

// Everything at some LSNs, on the timeline and on a branch of it.
Status check_all(Task& task, Env& env, LayerStore& store, Random& random, Run& run) {
  NodeCache cache(100);
  LayerStore branch(env, kBranch, "/data/branch", {}, cache);
  TimelineIndex index;
  index.id = kBranch;
  index.ancestor = kId.timeline;
  index.ancestor_lsn = index.start_lsn = index.disk_consistent = some_lsn(store, random, run);
  TRY(remove_tree(task, env.disk(), "/data/branch"));
  TRY(branch.create(task, index));
  branch.set_ancestor(&store);
  Key changed = key_of(7);
  branch.put(changed, index.ancestor_lsn + 10, image_value(as_bytes("branch")));
  branch.advance(index.ancestor_lsn + 10, index.ancestor_lsn);
  TRY(compare_scan(task, store, run, run.last));
  TRY(compare_scan(task, branch, run, index.ancestor_lsn));
  for (uint64_t n = 0; n < kPages + kEntries; n++) {
    TRY(compare(task, store, run, key_of(n), run.last));
    TRY(compare(task, store, run, key_of(n), some_lsn(store, random, run)));
    TRY(compare(task, branch, run, key_of(n), index.ancestor_lsn));
    if (key_of(n) == changed) continue;
    auto there = read(task, branch, key_of(n), index.ancestor_lsn + 10);
    auto expected = run.model.read(key_of(n), index.ancestor_lsn);
    if (there.ok() != expected.has_value() || (there.ok() && *there != *expected))
      return Error(Code::Corrupt, "the branch reads differently from the branch point");
  }
  TRY_ASSIGN(Bytes own, read(task, branch, changed, index.ancestor_lsn + 10));
  if (own != to_bytes("branch")) return Error(Code::Corrupt, "the branch's own change is not there");
  return {};
}

Status live(Task& task, Env& env, Run& run) {
  run.lives++;
  run.kept.clear();
  Random random = Random(run.seed).fork(std::to_string(run.lives));
  StoreOptions options;
  options.compaction_target = random.log_uniform(200, 100'000);
  options.image_threshold = static_cast<uint32_t>(random.between(1, 4));
  options.compaction_limit = static_cast<uint32_t>(random.between(2, 8));
  options.max_frozen = 100;
  NodeCache cache(random.between(1, 50));
  LayerStore store(env, kId, kFolder, options, cache);
  auto index = LayerStore::read_index(task, env.disk(), kFolder);
  if (index.ok()) {
    TRY(store.open(task, *index));
  } else {
    if (!index.is(Code::NotFound)) return index.error();
    if (run.promised > Lsn(100)) return Error(Code::Corrupt, "the index is gone");
    TRY(store.create(task, fresh_index()));
  }
  std::set<LayerName> uploaded;
  for (const auto& [name, bytes] : run.objects) uploaded.insert(name);
  store.set_uploaded(uploaded, fetch_from(run));
  if (store.disk_consistent() < run.promised) return Error(Code::Corrupt, "a flush that returned ok is lost");
  run.last = store.disk_consistent();
  run.model.forget_above(run.last);
  run.held.erase(run.held.upper_bound(run.last), run.held.end());
  for (Lsn lsn : run.held)
    if (!store.keeps(lsn))
      return Error(Code::Corrupt, to_string(lsn) + " was held, and is gone after a restart");
  while (!run.finish) {
    TRY(one_step(task, store, random, run));
    if (random.chance({1, 50})) TRY(task.sleep(Duration::milliseconds(1)));
  }
  return check_all(task, env, store, random, run);
}

RC_GTEST_PROP(LayerStore, ReadsWhatTheModelSaysWhateverTheEngineDid, (uint64_t seed)) {
  Run run;
  run.seed = seed;
  Random random(seed);
  sim::WorldOptions options;
  options.seed = seed;
  options.buggify = random.chance({1, 2});
  sim::World world(options);
  sim::Machine& machine = world.add_machine("pageserver");
  machine.faults.begin(faults::Kind::UnsyncedDataLost, 0);
  machine.faults.begin(faults::Kind::TornSectors, 0);
  machine.faults.begin(faults::Kind::UnsyncedNamesLost, 0);
  bool ended = false;
  machine.boot([&](Task& task, Env& env) {
    Status status = live(task, env, run);
    if (!status.ok()) run.failure = status.error().to_string();
    ended = true;
    return Status();
  });
  for (int life = 0; life < 4 && !ended; life++) {
    world.run_for(random.between(Duration::milliseconds(5), Duration::milliseconds(80)));
    if (ended) break;
    machine.power_loss();
    machine.restart();
  }
  world.run_for(Duration::milliseconds(40));
  run.finish = true;
  world.run_until([&] { return ended; }, Duration::seconds(60));
  RC_ASSERT(run.failure == std::string());
  RC_ASSERT(ended);
  RC_CLASSIFY(run.compactions > 0);
  RC_CLASSIFY(run.images > 0);
  RC_CLASSIFY(run.collected > 0);
  RC_CLASSIFY(run.evicted > 0);
  RC_CLASSIFY(run.reads > 50);
  RC_CLASSIFY(run.read_from_kept > 10);
}

// Overwrites all keys again and again, with a window of two rounds; bytes of layers after each round.
Result<std::vector<uint64_t>> overwrite(Task& task, Env& env, int rounds, bool collect) {
  constexpr uint64_t kKeys = 200;
  constexpr uint64_t kValue = 2000;
  NodeCache cache(100);
  StoreOptions options;
  options.compaction_target = 100'000;
  options.compress = false;  // the values are zeros
  LayerStore store(env, kId, kFolder, options, cache);
  TRY(store.create(task, fresh_index()));
  auto make = [&](Task& t, const Key& key, Lsn lsn) { return read(t, store, key, lsn); };
  std::vector<Key> keys;
  for (uint64_t n = 0; n < kKeys; n++) keys.push_back({0, 1663, 5, 16384, 0, static_cast<uint32_t>(n)});
  std::vector<uint64_t> sizes;
  std::vector<Lsn> ends{Lsn(100), Lsn(100)};
  for (int round = 0; round < rounds; round++) {
    Lsn lsn = store.last_record().value() + 8;
    for (const Key& key : keys) store.put(key, lsn, Bytes(kValue));
    store.advance(lsn, lsn - 8);
    store.freeze();
    TRY(store.flush_one(task));
    if (store.wants_compaction()) TRY(store.compact_l0(task));
    if (collect) {
      store.set_gc_cutoff(std::max(store.gc_cutoff(), ends[ends.size() - 2]), {});
      TRY_ASSIGN(LayerStore::Coverable history, store.coverable(task));
      if (history.bytes >= kKeys * kValue)
        for (const KeyRange& range : history.keys)
          TRY(store.create_image(task, {range, store.gc_cutoff()}, keys, make));
      TRY_ASSIGN(std::vector<LayerStore::LayerPtr> garbage, store.garbage(task));
      TRY(store.remove(task, std::move(garbage)));
      TRY(store.sweep(task));
    }
    ends.push_back(lsn);
    sizes.push_back(store.layer_bytes());
  }
  return sizes;
}

std::vector<uint64_t> overwritten(int rounds, bool collect) {
  sim::World world({});
  sim::Machine& machine = world.add_machine("pageserver");
  std::vector<uint64_t> sizes;
  machine.boot([&](Task& task, Env& env) -> Status {
    TRY_ASSIGN(sizes, overwrite(task, env, rounds, collect));
    return {};
  });
  world.run_for(Duration::seconds(3600));
  return sizes;
}

// Two compactions, of which the second changes the keys from `first_changed` on.
Status look_for_changes(Task& task, Env& env, uint64_t first_changed) {
  NodeCache cache(100);
  LayerStore store(env, kId, kFolder, {}, cache);
  TRY(store.create(task, fresh_index()));
  auto key = [](uint64_t n) { return Key{0, 1663, 5, 16384, 0, static_cast<uint32_t>(n)}; };
  for (uint64_t from : {uint64_t{0}, first_changed}) {
    for (int layer = 0; layer < 2; layer++) {
      Lsn lsn = store.last_record().value() + 8;
      for (uint64_t n = from; n < 100; n++) store.put(key(n), lsn, image_value(as_bytes("page")));
      store.advance(lsn, lsn - 8);
      store.freeze();
      TRY(store.flush_one(task));
    }
    TRY(store.compact_l0(task));
  }
  TRY_ASSIGN(auto changed, store.changed_by_compaction(task, {key(10), key(90)}));
  EXPECT_TRUE(changed.has_value());
  if (changed) {
    EXPECT_EQ(changed->keys, (KeyRange{key(std::max<uint64_t>(10, first_changed)), key(90)}));
    EXPECT_EQ(changed->lsn, store.last_record().value());
  }
  TRY_ASSIGN(auto untouched, store.changed_by_compaction(task, {key(0), key(first_changed)}));
  EXPECT_FALSE(untouched.has_value());
  return {};
}

// Whether it was never uploaded, or its object is gone too.
Status read_what_is_nowhere(Task& task, Env& env, bool uploaded) {
  NodeCache cache(100);
  LayerStore store(env, kId, kFolder, {}, cache);
  TRY(store.create(task, fresh_index()));
  store.put(key_of(1), Lsn(108), image_value(as_bytes("page")));
  store.advance(Lsn(108), Lsn(100));
  store.freeze();
  TRY(store.flush_one(task));
  LayerStore::LayerPtr layer = store.layers().front();
  auto nowhere = [](Task&, const LayerFile&) -> Status { return Error(Code::NotFound, "no such object"); };
  if (uploaded) store.set_uploaded({layer->name()}, nowhere);
  layer->close();
  TRY(env.disk().unlink(task, layer->path()));
  auto content = read(task, store, key_of(1), Lsn(108));
  return content.ok() ? Status() : content.error();
}

TEST(LayerStore, WhatACompactionChangedIsTheFirstKeyToTheEnd) {
  for (uint64_t first_changed : {uint64_t{5}, uint64_t{42}}) {
    sim::World world({});
    Status looked = on_a_machine(world, [&](Task& task, Env& env, sim::Machine&) {
      return look_for_changes(task, env, first_changed);
    });
    EXPECT_TRUE(looked.ok()) << looked.error().to_string();
  }
}

TEST(LayerStore, ALayerThatIsNowhereIsNoKeyThatDoesNotExist) {
  for (bool uploaded : {false, true}) {
    sim::World world({});
    Status read = on_a_machine(world, [&](Task& task, Env& env, sim::Machine&) {
      return read_what_is_nowhere(task, env, uploaded);
    });
    ASSERT_TRUE(read.is(Code::Corrupt)) << (read.ok() ? "ok" : read.error().to_string());
  }
}

// Two layers of several pieces, flushed at once until the disk lets them.
Status flush_in_pieces(Task& task, Env& env, sim::Machine& machine) {
  NodeCache cache(100);
  LayerStore store(env, kId, kFolder, {}, cache);
  TRY(store.create(task, fresh_index()));
  constexpr uint32_t kKeys = 3 * LayerBuilder::kPieceBytes / 8000;
  auto key = [](uint32_t n) { return Key{0, 1663, 5, 1, 0, n}; };
  auto content = [](Lsn lsn, uint32_t n) { return Bytes(8000, static_cast<uint8_t>(lsn.value + n)); };
  const Lsn lsns[] = {Lsn(108), Lsn(116)};
  for (Lsn lsn : lsns) {
    for (uint32_t n = 0; n < kKeys; n++) store.put(key(n), lsn, image_value(content(lsn, n)));
    store.advance(lsn, lsn - 8);
    store.freeze();
  }
  machine.faults.begin(faults::Kind::WriteError, 6);
  while (store.frozen() > 0) {
    TRY(flush_two(task, store));
    size_t flushed = 2 - store.frozen();
    if (store.layers().size() != flushed || store.disk_consistent() != Lsn(100 + 8 * flushed))
      return Error(Code::Corrupt, "what counts as flushed is not the oldest layers");
    TRY_ASSIGN(auto files, env.disk().list(task, kFolder));
    size_t others = static_cast<size_t>(
        std::ranges::count_if(files, [](const DirEntry& file) { return file.name.starts_with("index"); }));
    if (files.size() != flushed + others)
      return Error(Code::Corrupt, "something of a layer that was not flushed is left");
  }
  machine.faults.end(faults::Kind::WriteError);
  for (Lsn lsn : lsns) {
    for (uint32_t n = 0; n < kKeys; n++) {
      TRY_ASSIGN(Bytes found, read(task, store, key(n), lsn));
      if (found != content(lsn, n)) return Error(Code::Corrupt, "key " + std::to_string(n) + " is another");
    }
  }
  return {};
}

TEST(LayerStore, FlushesTakeEffectInOrderAndLeaveNothingWhereTheyFail) {
  uint64_t gave_up = 0;
  for (uint64_t seed = 0; seed < 20; seed++) {
    sim::WorldOptions options;
    options.seed = seed;
    sim::World world(options);
    Status flushed = on_a_machine(world, flush_in_pieces);
    ASSERT_TRUE(flushed.ok()) << flushed.error().to_string();
    EXPECT_GT(world.probes()[static_cast<size_t>("pageserver.layer-in-pieces"_probe)], 0u);
    gave_up += world.probes()[static_cast<size_t>("pageserver.flush-behind-a-failed-one"_probe)];
  }
  EXPECT_GT(gave_up, 0u);
}

constexpr uint32_t kRow = 60;
Key key_in_row(uint32_t n) {
  return {0, 1663, 5, 1, 0, n};
}
Bytes value_in_row(uint32_t n) {
  return image_value(Bytes(7000, static_cast<uint8_t>(n)));
}

// A row of keys in one layer, read in order, whose block `damaged` is wrong: the keys that could be read.
Status read_row(Task& task, Env& env, uint32_t damaged, std::vector<uint32_t>& readable) {
  NodeCache cache(100);
  LayerStore store(env, kId, kFolder, {}, cache);
  TRY(store.create(task, fresh_index()));
  for (uint32_t n = 0; n < kRow; n++) store.put(key_in_row(n), Lsn(108), value_in_row(n));
  store.advance(Lsn(108), Lsn(100));
  store.freeze();
  TRY(store.flush_one(task));
  LayerStore::LayerPtr layer = store.layers().front();
  TRY_ASSIGN(auto file, env.disk().open(task, layer->path(), OpenMode::ReadWrite));
  Bytes byte(1);
  uint64_t offset = uint64_t{damaged} * kLayerBlock + 2000;
  TRY(read_exact_at(task, *file, offset, byte));
  byte[0] ^= 1;
  TRY(write_all_at(task, *file, offset, byte));
  for (uint32_t n = 0; n < kRow; n++) {
    auto chain = store.collect(task, key_in_row(n), Lsn(108));
    if (!chain.ok() && chain.is(Code::Corrupt)) continue;
    TRY(chain);
    if (chain->versions.size() != 1 || chain->versions[0].value != value_in_row(n))
      return Error(Code::Corrupt, "key " + std::to_string(n) + " has another value");
    readable.push_back(n);
  }
  return {};
}

// What is read ahead of a sequential reader may be damaged without harm to what he asks for.
TEST(LayerStore, DamageAheadOfASequentialReaderIsNotHis) {
  constexpr uint32_t kDamaged = 20;
  sim::World world({});
  std::vector<uint32_t> readable;
  Status read = on_a_machine(
      world, [&](Task& task, Env& env, sim::Machine&) { return read_row(task, env, kDamaged, readable); });
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  std::vector<uint32_t> expected;
  for (uint32_t n = 0; n < kRow; n++) {
    uint64_t length = value_in_row(n).size();
    uint64_t first = n * length / kLayerPayload + 1, last = ((n + 1) * length - 1) / kLayerPayload + 1;
    if (kDamaged < first || kDamaged > last) expected.push_back(n);
  }
  ASSERT_LT(expected.size(), size_t{kRow});
  EXPECT_EQ(readable, expected);
}

TEST(LayerStore, SpaceStaysBoundedUnderSteadyOverwriting) {
  constexpr int kRounds = 200;
  std::vector<uint64_t> without = overwritten(kRounds, false);
  std::vector<uint64_t> with = overwritten(kRounds, true);
  ASSERT_EQ(without.size(), size_t{kRounds});
  ASSERT_EQ(with.size(), size_t{kRounds});
  uint64_t early = *std::max_element(with.begin(), with.begin() + kRounds / 4);
  uint64_t late = *std::max_element(with.begin() + kRounds / 2, with.end());
  EXPECT_LE(late, early + early / 10);
  EXPECT_GT(without.back(), 10 * late);
  RecordProperty("bytes_without_gc", std::to_string(without.back()));
  RecordProperty("most_bytes_with_gc", std::to_string(late));
}

}  // namespace
}  // namespace argon::pageserver
