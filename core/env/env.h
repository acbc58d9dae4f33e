// Env: everything a daemon may ask of the world. A daemon is a function of its Env.
//
// Two worlds implement it: daemons/posix (the real one) and sim (a made-up one, drawn from a seed).
// No code outside them calls the operating system for time, randomness, threads, processes, files or
// sockets, reads an environment variable, or keeps mutable global state. One Env per reactor and node.

#pragma once

#include <functional>
#include <string_view>

#include "core/base/random.h"
#include "core/env/disk.h"
#include "core/env/log.h"
#include "core/env/network.h"
#include "core/env/process.h"
#include "core/env/reactor.h"
#include "core/env/task.h"

namespace argon {

// Named in core/env/points.h.
enum class Probe : uint16_t;
enum class RareBranch : uint16_t;

class Env {
 public:
  virtual ~Env() = default;

  virtual Reactor& reactor() = 0;
  virtual Network& network() = 0;
  virtual Disk& disk() = 0;
  // Null in a world without processes.
  virtual Processes* processes() = 0;
  virtual LogSink& log() = 0;

  MonotonicTime now() { return reactor().now(); }
  virtual WallTime wall_now() = 0;

  // The generator of a named stream, independent of all others; the same object for the same name.
  // Streams are named after their use ("safekeeper.jitter"), so a new draw in one shifts no other.
  virtual Random& random(std::string_view stream) = 0;

  // Fills `out` with bytes that nobody can guess, for keys (the simulator's are of its seed). All else is
  // drawn from random().
  virtual void secure_random(ByteSpan out) = 0;

  // Runs CPU-heavy work that touches nothing else off the reactor (a thread in production; in the
  // simulator inline, at a drawn virtual cost). Not interrupted by cancellation once begun; returns
  // after it ended.
  virtual void offload(Task& task, const std::function<void()>& work) = 0;

  // A named rare branch: always false in production; in some simulated runs true, now and then.
  virtual bool buggify(RareBranch branch) {
    (void)branch;
    return false;
  }
  // "This rare path was hit": counted by the simulator.
  virtual void probe(Probe probe) { (void)probe; }
  // Tells the simulator that a value, or more, is durable from now on, until the key is claimed anew (it
  // may then be lower). It holds the code to its word. `key` is global to the cluster.
  virtual void durable_claim(std::string_view key, uint64_t value) {
    (void)key;
    (void)value;
  }
};

}  // namespace argon
