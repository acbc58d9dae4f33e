// EventLog: everything that happens in a simulated run, as one rolling 128-bit hash.
//
// Two runs of one seed must have equal hashes. Events are gathered in blocks and hashed by the block;
// the hash after each block is kept as a checkpoint. With `keep_events` the events themselves are
// kept too, so that two runs can be compared to the first event that differs; with them what caused
// each, and remarks (log lines, commits, probes). Causes and remarks are not hashed.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/checksum.h"

namespace argon::sim {

enum class EventKind : uint16_t {
  Run,            // a: ready tasks, b: hash of the task's name
  Timer,          // b: nothing
  Boot,           // a: incarnation
  PowerLoss,      // a: incarnation
  Exit,           // a: 1 where it ended with an error
  Connect,        // a: connection, b: target node and port
  ConnectFailed,  // b: target node and port
  Send,           // a: connection, b: hash of the bytes
  Deliver,        // a: connection, b: bytes readable
  Reset,          // a: connection
  Close,          // a: connection
  DiskOpen,       // b: hash of the path
  DiskRead,       // a: inode, b: hash of the bytes
  DiskWrite,      // a: inode, b: hash of the bytes
  DiskSync,       // a: inode, b: size
  DiskTruncate,   // a: inode, b: size
  DiskName,       // b: hash of the paths
  DiskCrash,      // a: sectors lost, b: names lost
  Fault,          // a: kind
  Note,           // a, b: as the scenario says
  Kill,           // a: incarnation
};

std::string_view to_string(EventKind kind);

// No padding: it is hashed as it lies in memory.
struct Event {
  int64_t time = 0;  // virtual nanoseconds
  uint64_t b = 0;
  uint32_t a = 0;
  EventKind kind = EventKind::Run;
  uint16_t node = 0;  // 0 is the world itself

  friend bool operator==(const Event&, const Event&) = default;
};
static_assert(sizeof(Event) == 24);

// What made an event happen: another event, perhaps by way of a timer that it set.
struct Cause {
  static constexpr uint32_t kNone = 0x7fffffff;  // the world itself, or whoever drives it
  uint32_t event : 31 = kNone;
  uint32_t by_timer : 1 = 0;

  friend bool operator==(const Cause&, const Cause&) = default;
};

// What the events do not say by themselves, for people.
struct Remark {
  uint64_t event;    // the latest one when it was made
  int64_t time;      // virtual nanoseconds
  uint16_t node;     // 0 is the world itself
  std::string kind;  // "log", "commit", "page", "elected", "probe", "claim", "fault", "violated"
  std::string text;
};

class EventLog {
 public:
  explicit EventLog(bool keep_events = false) : keep_(keep_events) { block_.reserve(kBlock); }

  // Its number, from 0. `size` is the bytes of a message or a disk access, for people.
  uint64_t add(const Event& event, Cause cause = {}, uint32_t size = 0) {
    block_.push_back(event);
    if (keep_) [[unlikely]] {
      causes_.push_back(cause);
      sizes_.push_back(size);
    }
    if (block_.size() == kBlock) [[unlikely]]
      flush();
    return count_++;
  }
  // Lets events whose b is hash64(text) be printed with that text. Only where events are kept.
  void name(uint64_t hash, std::string_view text);
  void remark(uint16_t node, int64_t time, std::string_view kind, std::string text);
  bool keeps_events() const { return keep_; }

  uint64_t count() const { return count_; }
  // Of everything so far.
  Hash128 hash() const;
  const std::vector<Hash128>& checkpoints() const { return checkpoints_; }
  // All events, where they are kept.
  std::vector<Event> events() const;
  std::string describe(const Event& event) const;
  // Of the event of that number; where events are kept.
  Cause cause(uint64_t event) const { return causes_[event]; }
  uint32_t size(uint64_t event) const { return sizes_[event]; }
  const std::vector<Remark>& remarks() const { return remarks_; }
  const std::map<uint64_t, std::string>& names() const { return names_; }

 private:
  static constexpr size_t kBlock = 1024;
  void flush();

  bool keep_;
  uint64_t count_ = 0;
  Hash128 state_;
  std::vector<Event> block_;
  std::vector<Hash128> checkpoints_;
  std::vector<Event> kept_;
  std::vector<Cause> causes_;
  std::vector<uint32_t> sizes_;
  std::vector<Remark> remarks_;
  std::map<uint64_t, std::string> names_;
};

// The first event that differs, with the few before it, as text; empty where the runs are equal.
std::string first_difference(const EventLog& a, const EventLog& b);

}  // namespace argon::sim
