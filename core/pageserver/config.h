// What a pageserver is told at its start. Plain data.

#pragma once

#include <optional>
#include <string>

#include "core/base/ids.h"
#include "core/env/network.h"
#include "core/objstore/object_store.h"
#include "core/pageserver/eviction.h"
#include "core/pageserver/page_service.h"
#include "core/pageserver/receiver.h"
#include "core/pageserver/timeline.h"

namespace argon::pageserver {

struct PageserverConfig {
  NodeId id{1};
  std::string data_dir;  // layers of all timelines; made where it does not exist; may be emptied
  Address listen_pg;     // page service
  std::optional<Address> listen_local;       // page service for computes of this machine, where it can be had
  Address listen_http;                       // management and metrics
  std::optional<Address> broker;             // none: no WAL is received
  uint64_t checkpoint_distance = 64u << 20;  // bytes of changes in memory before a layer is flushed
  TimelineOptions timeline;                  // but for the checkpoint distance
  EvictionOptions eviction;
  SecondaryOptions secondary;
  ReceiverOptions receiver;
  PageServiceOptions pages;
  size_t index_blocks_cached = 8192;  // of all layers together
  size_t pages_cached = 8192;         // that reads made of records; of all timelines together
  size_t pages_cached_from = 16;      // versions on: redoing fewer takes no longer than to keep a page
  size_t uploads_at_once = 2;
  RedoProcessConfig redo_process;  // for records of extensions, where a tenant's configuration names them
};

}  // namespace argon::pageserver
