// One timeline of a pageserver over an object store that carries changes out late: lives of the pageserver
// follow each other, with and without their disk, and indexes of earlier lives appear at any moment.
//
// What a life tells to be in the object store (remote_consistent) lets safekeepers forget WAL. So from then
// on the newest index there reaches it, whatever comes late, and all that it names is there.

#include <gtest/gtest.h>

#include "core/env/io.h"
#include "core/pageserver/tenants.h"
#include "core/pageserver/value.h"
#include "sim/bucket.h"
#include "sim/machine.h"
#include "sim/pageserver_services.h"

namespace argon::sim {
namespace {

using namespace argon::literals;
using pageserver::Tenants;
using pageserver::Timeline;

const TenantTimelineId kRoot{{{1}}, {{2}}};
constexpr Lsn kStart(0x2000000);
constexpr uint64_t kStep = 8;  // from record to record
constexpr int kSteps = 200;

// A record at each multiple of the step; everything is known of it from its LSN.
pageserver::Key key_of(Lsn lsn) {
  return {0, 1663, 5, static_cast<uint32_t>(lsn.value / kStep % 7), 0, 0};
}
Bytes value_of(Lsn lsn) {
  Bytes content(16);
  store_le<uint64_t>(content.data(), lsn.value);
  return pageserver::image_value(content);
}

class Lives {
 public:
  explicit Lives(uint64_t seed) : world_(options(seed)), random_(Random(seed).fork("lives")) {
    machine_ = &world_.add_machine("pageserver");
    machine_->boot([](Task& task, Env&) { return task.sleep(Duration::seconds(100'000)); });
  }
  ~Lives() { machine_->power_loss(); }

  Status run() {
    return world_.run(*machine_, [&](Task& task) -> Status {
      TRY(put_first_index(task));
      world_.faults.begin(faults::Kind::StoreLate, 2);
      for (int i = 0; i < kSteps; i++) {
        if (!tenants_)
          TRY(start(task));
        else
          TRY(step(task));
        TRY(check());
      }
      world_.faults.end(faults::Kind::StoreLate);
      TRY(task.sleep(31_s));  // nothing comes later than that
      TRY(check());
      return read_all(task);
    });
  }
  Lsn told() const { return told_; }

 private:
  static WorldOptions options(uint64_t seed) {
    WorldOptions options;
    options.seed = seed;
    return options;
  }

  Status put_first_index(Task& task) {
    pageserver::TimelineIndex index;
    index.id = kRoot;
    index.generation = Generation(1);
    index.sequence = 1;
    index.start_lsn = index.disk_consistent = kStart;
    std::string key = objstore::timeline_prefix(kRoot) + "index-00000001-0000000000000001";
    return store_.put(task, key, pageserver::encode_index(index), objstore::PutMode::Replace);
  }

  Status start(Task& task) {
    if (random_.chance({3, 4})) TRY(remove_tree(task, task.env().disk(), "/data"));
    lived_.emplace(task.env(), store_);
    pageserver::TimelineOptions options;
    options.store.compaction_threshold = 2;
    options.store.image_threshold = UINT32_MAX;  // these keys are no relation's
    tenants_.emplace(lived_->services, options, "/data", [](const std::shared_ptr<Timeline>&) {});
    TRY(tenants_->attach_all(task));
    TRY_ASSIGN(timeline_, tenants_->find(kRoot));
    return {};
  }

  Status step(Task& task) {
    uint64_t what = random_.below(12);
    if (what < 2) return write(task);
    if (what == 2) return timeline_->compact(task);
    if (what == 11) {
      ignore_result(lived_->deletions.flush(task));  // what fails stays in the queue
      return {};
    }
    if (what < 5) return task.sleep(random_.between(1_ms, 10_s));
    if (what < 8) {
      timeline_.reset();
      tenants_.reset();
      return {};
    }
    if (!timeline_->remote().behind(timeline_->store())) return {};
    Status uploaded = timeline_->upload(task);
    return uploaded.is(Code::MaybeApplied) ? Status() : uploaded;
  }

  Status write(Task& task) {
    pageserver::LayerStore& store = timeline_->store();
    for (uint64_t i = random_.between(1, 2); i > 0; i--) {
      Lsn lsn = store.last_record().value() + kStep;
      store.put(key_of(lsn), lsn, value_of(lsn));
      store.advance(lsn, lsn - kStep);
    }
    store.freeze();
    return store.flush_one(task).ok() ? Status() : Status(Error(Code::Io, "not flushed"));
  }

  Status check() {
    if (timeline_) {
      told_ = std::max(told_, timeline_->remote_consistent());
      if (timeline_->store().disk_consistent() < told_)
        return Error(Code::Corrupt, to_string(told_) + " was told, a life has layers up to " +
                                        to_string(timeline_->store().disk_consistent()));
    }
    std::string key = bucket_.last_key(objstore::timeline_prefix(kRoot) + "index-");
    TRY_ASSIGN(pageserver::TimelineIndex index, pageserver::decode_index(bucket_.find(key)->bytes(), key));
    if (index.disk_consistent < told_)
      return Error(Code::Corrupt,
                   to_string(told_) + " was told; " + key + " ends at " + to_string(index.disk_consistent));
    for (const auto& layer : index.layers)
      if (bucket_.find(objstore::timeline_prefix(kRoot) + to_string(layer.name)) == nullptr)
        return Error(Code::Corrupt, key + " names " + to_string(layer.name) + ", which is not there");
    return {};
  }

  // From the object store alone.
  Status read_all(Task& task) {
    timeline_.reset();
    tenants_.reset();
    TRY(remove_tree(task, task.env().disk(), "/data"));
    TRY(start(task));
    for (Lsn lsn = kStart + kStep; lsn <= timeline_->last_record(); lsn += kStep) {
      TRY_ASSIGN(pageserver::Chain chain, timeline_->store().collect(task, key_of(lsn), lsn));
      if (chain.versions.empty() || chain.versions[0].lsn != lsn || chain.versions[0].value != value_of(lsn))
        return Error(Code::Corrupt, "what was written at " + to_string(lsn) + " is not there");
    }
    return {};
  }

  World world_;
  Random random_;
  Machine* machine_ = nullptr;
  Bucket bucket_;
  BucketStore store_{bucket_, 1_ms};
  std::optional<PageserverServices> lived_;
  std::optional<Tenants> tenants_;
  std::shared_ptr<Timeline> timeline_;
  Lsn told_;
};

TEST(LateIndex, WhatWasToldStaysInTheNewestIndexWhateverComesLate) {
  int told = 0;
  for (uint64_t seed = 1; seed <= 400; seed++) {
    Lives lives(seed);
    Status held = lives.run();
    ASSERT_TRUE(held.ok()) << "seed " << seed << ": " << held.error().to_string();
    told += lives.told() > kStart ? 1 : 0;
  }
  EXPECT_GT(told, 300);
}

}  // namespace
}  // namespace argon::sim
