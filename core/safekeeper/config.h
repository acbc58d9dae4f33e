// What a safekeeper is told at its start.

#pragma once

#include <optional>
#include <string>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/env/network.h"
#include "core/safekeeper/decoded_wal.h"

namespace argon::safekeeper {

constexpr Duration kStoreTimeout = Duration::seconds(30);  // of one request to the object store

struct SafekeeperConfig {
  NodeId id;                            // not 0, unique in the cluster
  std::string data_dir;                 // made where it does not exist
  Address listen_wal;                   // frames and PostgreSQL's protocol
  std::optional<Address> listen_local;  // as listen_wal, for processes of this machine
  Address listen_http;                  // management and metrics
  std::string advertise_wal;            // HOST:PORT told to others; empty: listen_wal
  std::string advertise_http;           // the same of listen_http
  std::optional<Address> broker;        // none: positions are not exchanged
  std::string availability_zone;
  bool allow_creation = true;  // by a proposer's greeting that asks for it

  Duration broker_interval = Duration::seconds(1);  // between publications of positions
  Duration peer_timeout = Duration::seconds(5);     // a peer not heard of for so long is gone
  Duration catch_up_pause = Duration::seconds(3);   // without a proposer, before a peer is asked for WAL
  Duration manage_interval = Duration::seconds(1);  // between looks at what to save, upload, remove
  Duration save_interval = Duration::seconds(30);   // control file, where only positions moved
  Duration partial_upload_pause = Duration::seconds(15);  // last segment, unchanged for so long
  Duration keepalive_interval = Duration::seconds(1);     // to readers without news
  Duration idle_timeout = Duration::seconds(30);          // a proposer not heard of for so long is gone
  Duration sleep_after =
      Duration::seconds(60);  // a timeline that nobody has used for so long gives up memory
  // One that nobody has used for so long gives up its WAL on the disk, where all of it is in the object
  // store (eviction.cc); 0: never.
  Duration evict_after = Duration::seconds(900);
  DecodeOptions decode;
  size_t connections_max = 1000;
};

}  // namespace argon::safekeeper
