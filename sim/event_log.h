// EventLog: everything that happens in a simulated run, as one rolling 128-bit hash.
//
// Two runs of one seed must have equal hashes. Events are gathered in blocks and hashed by the block;
// the hash after each block is kept as a checkpoint. With `keep_events` the events themselves are
// kept too, so that two runs can be compared to the first event that differs.

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

class EventLog {
 public:
  explicit EventLog(bool keep_events = false) : keep_(keep_events) { block_.reserve(kBlock); }

  void add(const Event& event) {
    count_++;
    block_.push_back(event);
    if (block_.size() == kBlock) [[unlikely]]
      flush();
  }
  // Lets events whose b is hash64(text) be printed with that text. Only where events are kept.
  void name(uint64_t hash, std::string_view text);
  bool keeps_events() const { return keep_; }

  uint64_t count() const { return count_; }
  // Of everything so far.
  Hash128 hash() const;
  const std::vector<Hash128>& checkpoints() const { return checkpoints_; }
  // All events, where they are kept.
  std::vector<Event> events() const;
  std::string describe(const Event& event) const;

 private:
  static constexpr size_t kBlock = 1024;
  void flush();

  bool keep_;
  uint64_t count_ = 0;
  Hash128 state_;
  std::vector<Event> block_;
  std::vector<Hash128> checkpoints_;
  std::vector<Event> kept_;
  std::map<uint64_t, std::string> names_;
};

// The first event that differs, with the few before it, as text; empty where the runs are equal.
std::string first_difference(const EventLog& a, const EventLog& b);

}  // namespace argon::sim
