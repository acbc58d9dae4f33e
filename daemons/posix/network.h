// PosixNetwork: TCP and Unix sockets of the real world; and streams over any descriptor (pipes).

#pragma once

#include <map>

#include "core/env/network.h"
#include "daemons/posix/thread_pool.h"

namespace argon::posix {

// A socket, or one end of a pipe (then only one direction works).
class PosixStream final : public Stream {
 public:
  enum class Kind { Socket, Pipe };

  // Takes a non-blocking descriptor.
  PosixStream(PosixReactor& reactor, Fd fd, Kind kind, std::string peer);

  Result<size_t> read(Task& task, ByteSpan into) override;
  Result<size_t> write(Task& task, ByteView from) override;
  Status shutdown_write(Task& task) override;
  void close() override;
  std::string peer() const override { return peer_; }

 private:
  Status begin(Task& task);
  Error failed(const char* what, int number) const;

  Fd fd_;
  IoWatch watch_;
  Kind kind_;
  std::string peer_;
  unsigned calls_ = 0;
};

class PosixNetwork final : public Network {
 public:
  // Names are looked up on the pool's threads. Both outlive the network.
  PosixNetwork(PosixReactor& reactor, ThreadPool& pool, std::map<Address, std::string> local_sockets)
      : reactor_(reactor), pool_(pool), local_sockets_(std::move(local_sockets)) {}

  Result<std::unique_ptr<Listener>> listen(Task& task, const Address& address) override;
  Result<std::unique_ptr<Stream>> connect(Task& task, const Address& address) override;

 private:
  PosixReactor& reactor_;
  ThreadPool& pool_;
  const std::map<Address, std::string> local_sockets_;
};

}  // namespace argon::posix
