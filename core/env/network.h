// Network: listeners and byte streams. Framing, checksums and retries are above this seam.

#pragma once

#include <compare>
#include <memory>
#include <string>

#include "core/base/bytes.h"
#include "core/env/task.h"

namespace argon {

// "HOST:PORT" or "unix:PATH". Hosts are names or literal addresses; the world resolves them.
struct Address {
  std::string host;       // empty for a Unix socket
  uint16_t port = 0;      // 0 when listening: any free one
  std::string unix_path;  // empty for TCP

  static Address tcp(std::string host, uint16_t port) { return {std::move(host), port, {}}; }
  static Address unix_socket(std::string path) { return {{}, 0, std::move(path)}; }
  bool is_unix() const { return !unix_path.empty(); }
  friend auto operator<=>(const Address&, const Address&) = default;
};

std::string to_string(const Address& address);
Result<Address> parse_address(std::string_view text);

// A connection. One task may read while another writes; no more than one of each at a time.
// Destroying it closes it.
class Stream {
 public:
  virtual ~Stream() = default;

  // At least one byte, maybe fewer than asked for; 0 means the peer shut down its writing side.
  // Errors: Disconnected (reset, or close() by us), Cancelled, TimedOut. REQUIRES: into is not empty.
  virtual Result<size_t> read(Task& task, ByteSpan into) = 0;
  // Hands over at least one byte, maybe fewer than given. Success says nothing of delivery.
  // Errors: Disconnected, Cancelled, TimedOut. REQUIRES: from is not empty.
  virtual Result<size_t> write(Task& task, ByteView from) = 0;
  // Sends end-of-stream after what was written; reading goes on. Counts as a write, and may suspend as one.
  virtual Status shutdown_write(Task& task) = 0;
  // Ends both directions at once; waits in progress fail with Disconnected. Idempotent.
  virtual void close() = 0;
  // For messages and logs.
  virtual std::string peer() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;

  // Errors: Cancelled, TimedOut, Disconnected (closed), Io (out of descriptors: pause, then go on).
  virtual Result<std::unique_ptr<Stream>> accept(Task& task) = 0;
  // The address actually bound (with the port chosen).
  virtual Address address() const = 0;
  virtual void close() = 0;
};

class Network {
 public:
  virtual ~Network() = default;

  // Errors: AlreadyExists (the port is taken), Invalid (no such address here), Io.
  virtual Result<std::unique_ptr<Listener>> listen(Task& task, const Address& address) = 0;
  // May hang until the task's deadline. Errors: Unavailable (refused, unreachable, no such name), TimedOut,
  // Cancelled.
  virtual Result<std::unique_ptr<Stream>> connect(Task& task, const Address& address) = 0;
};

}  // namespace argon
