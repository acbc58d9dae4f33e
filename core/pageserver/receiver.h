// Receiver: WAL from safekeepers into timelines.
//
// The broker tells where each safekeeper is with each timeline. A timeline reads from the one with the
// highest commit LSN, over PostgreSQL's replication protocol, from the end of what it has; it reports
// back what it has received, and what is durable. It changes over when the connection is silent or
// another safekeeper is ahead for some time. A safekeeper whose WAL is damaged, or from which an attempt got
// nothing, is avoided for some time, as long as there is another one.
//
// WAL comes as bytes, which are decoded here, or as batches of records that the safekeeper has decoded
// (core/pg/interpret), as the options say.
//
// Memory is bounded: ingest waits while memory layers wait to be flushed, and then nothing more is read
// from the connection.

#pragma once

#include <map>

#include "core/broker/messages.h"
#include "core/pageserver/timeline.h"

namespace argon::pageserver {

struct ReceiverOptions {
  Duration connect_timeout = Duration::seconds(5);
  Duration silence_timeout = Duration::seconds(10);  // nothing heard for so long: the connection is dropped
  Duration lag_timeout = Duration::seconds(3);       // another is ahead, and nothing came for so long
  Duration feedback_interval = Duration::seconds(1);
  Duration info_lifetime = Duration::seconds(10);      // of what a safekeeper said through the broker
  Duration damage_pause = Duration::seconds(60);       // a safekeeper with damaged WAL is avoided so long
  Duration retry_delay = Duration::milliseconds(100);  // doubles up to
  Duration retry_delay_max = Duration::seconds(3);
  bool interpreted_wal = false;  // let safekeepers decode WAL
  bool compressed_wal = false;   // and compress what comes of it
};

// What the broker told, newest per timeline and safekeeper.
class SafekeeperNews {
 public:
  struct Seen {
    broker::TimelineInfo info;
    MonotonicTime at;
    MonotonicTime avoided_until;
  };
  void note(const broker::TimelineInfo& info, MonotonicTime now);
  // The one with the highest commit LSN of those heard of at most `lifetime` ago; an avoided one only where
  // there is no other. Where nothing was heard for so long, as without a broker, one of which anything was
  // ever heard. Null: never of any.
  const broker::TimelineInfo* best(const TenantTimelineId& id, MonotonicTime now, Duration lifetime) const;
  void avoid(const TenantTimelineId& id, NodeId safekeeper, MonotonicTime until);
  bool avoids(const TenantTimelineId& id, NodeId safekeeper, MonotonicTime now);
  // Notified when something was told of the timeline.
  WaitList& changes(const TenantTimelineId& id) { return changes_[id]; }

 private:
  std::map<TenantTimelineId, std::map<NodeId, Seen>> seen_;
  std::map<TenantTimelineId, WaitList> changes_;
};

// Listens to the broker, for ever; reconnects. Ends with the task.
Status follow_broker(Task& task, const Address& broker, SafekeeperNews& news, const ReceiverOptions& options);
// Receives WAL of one timeline, for ever. Ends with the task. Errors of connections and of the WAL
// itself are logged and tried again, with another safekeeper where there is one.
Status receive_wal(Task& task, Timeline& timeline, SafekeeperNews& news, const ReceiverOptions& options);
// Makes layers anew that were damaged before they were uploaded (Timeline::rebuild), whenever the timeline
// wants it. Ends with the task. Errors are logged and tried again.
Status rebuild_layers(Task& task, Timeline& timeline, SafekeeperNews& news, const ReceiverOptions& options);

}  // namespace argon::pageserver
