#include "daemons/posix/network.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/env/io.h"
#include "daemons/posix/port_holder.h"
#include "daemons/posix/sockaddr.h"

namespace argon::posix {
namespace {

Status check_task(Task& task) {
  if (task.cancelled()) return Error(Code::Cancelled, std::string(task.name()) + " was told to stop");
  if (task.deadline() != MonotonicTime::max() && task.env().now() >= task.deadline())
    return Error(Code::TimedOut, std::string(task.name()) + " reached its deadline");
  return {};
}

void set_no_delay(int fd, int family) {
  int one = 1;
  // Only a matter of latency, so a failure is no error.
  if (family != AF_UNIX) (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

class PosixListener final : public Listener {
 public:
  PosixListener(PosixReactor& reactor, Fd fd, Address address)
      : reactor_(reactor), fd_(std::move(fd)), watch_(reactor, fd_.get()), address_(std::move(address)) {}
  ~PosixListener() override { close(); }

  Result<std::unique_ptr<Stream>> accept(Task& task) override {
    TRY(check_task(task));
    for (;;) {
      if (!fd_.valid()) return Error(Code::Disconnected, "the listener is closed");
      SocketAddress from;
      from.length = sizeof from.storage;
      Fd fd(accept4(fd_.get(), from.get(), &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd.valid()) {
        set_no_delay(fd.get(), from.family());
        std::string peer = from.family() == AF_UNIX ? to_string(address_) : to_string(to_address(from));
        return std::unique_ptr<Stream>(
            new PosixStream(reactor_, std::move(fd), PosixStream::Kind::Socket, std::move(peer)));
      }
      if (errno == EAGAIN) {
        TRY(watch_.wait_readable(task));
        continue;
      }
      if (errno != EINTR && errno != ECONNABORTED) return os_error("accept on " + to_string(address_), errno);
    }
  }

  Address address() const override { return address_; }

  void close() override {
    if (!fd_.valid()) return;
    watch_.stop();
    if (address_.is_unix()) ::unlink(address_.unix_path.c_str());
    fd_.reset();
  }

 private:
  PosixReactor& reactor_;
  Fd fd_;
  IoWatch watch_;
  Address address_;
};

// True where a socket file is there but nobody listens on it: left over from a process that died.
bool abandoned(const SocketAddress& address) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return fd.valid() && connect(fd.get(), address.get(), address.length) != 0 && errno == ECONNREFUSED;
}

// A socket belongs to the owner of its directory: a daemon run by root serves a server that is not, and
// no other user can connect.
int give_to_owner_of_directory(const std::string& path) {
  struct stat directory{};
  if (geteuid() != 0) return 0;
  if (::stat(parent_path(path).c_str(), &directory) != 0) return -1;
  return ::lchown(path.c_str(), directory.st_uid, directory.st_gid);
}

Result<Fd> bind_and_listen(const SocketAddress& to, const Address& address) {
  std::string what = "listen on " + to_string(address);
  Fd fd(socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return os_error(what, errno);
  int one = 1;
  if (to.family() != AF_UNIX) (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  int rc = bind(fd.get(), to.get(), to.length);
  if (rc != 0 && errno == EADDRINUSE && address.is_unix() && abandoned(to)) {
    ::unlink(address.unix_path.c_str());
    rc = bind(fd.get(), to.get(), to.length);
  }
  if (rc == 0 && address.is_unix()) rc = give_to_owner_of_directory(address.unix_path);
  if (rc != 0 || ::listen(fd.get(), 1024) != 0) return os_error(what, errno);
  return fd;
}

// A port that is not free may soon be: a process that listened is still ending, or an outgoing connection was
// given the port while nobody listened on it (those from 32768 on are given out so). Who tells waits for it.
Result<Fd> listen_patiently(Task& task, const SocketAddress& to, const Address& address) {
  constexpr int kListenerTries = 5;
  constexpr int kTries = 100;
  constexpr Duration kPause = Duration::milliseconds(100);
  for (int i = 0;; i++) {
    Result<Fd> fd = bind_and_listen(to, address);
    if (fd.ok() || address.is_unix() || fd.error().os_error() != EADDRINUSE || i >= kTries) return fd;
    PortHolder holder = port_holder(address.host, address.port);
    if (holder == PortHolder::Listener && i >= kListenerTries) return fd;
    if (i == 0)
      Logger(task.env().log())
          .warn("{} is taken by {}: waiting for it", to_string(address),
                holder == PortHolder::Connection ? "an outgoing connection" : "another process");
    TRY(task.sleep(kPause));
  }
}

Result<Fd> connect_one(Task& task, PosixReactor& reactor, const SocketAddress& to, const std::string& what) {
  Fd fd(socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return os_error(what, errno);
  set_no_delay(fd.get(), to.family());
  int number = connect(fd.get(), to.get(), to.length) == 0 ? 0 : errno;
  if (number == EINPROGRESS) {
    IoWatch watch(reactor, fd.get());
    TRY(watch.wait_writable(task).with(what));
    socklen_t length = sizeof number;
    if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &number, &length) != 0) number = errno;
  }
  if (number == 0) return fd;
  return Error(Code::Unavailable, what + ": " + std::string(os_error_text(number)), number);
}

}  // namespace

PosixStream::PosixStream(PosixReactor& reactor, Fd fd, Kind kind, std::string peer)
    : fd_(std::move(fd)), watch_(reactor, fd_.get()), kind_(kind), peer_(std::move(peer)) {}

// A stream that is always ready must not keep the loop for itself.
Status PosixStream::begin(Task& task) {
  constexpr unsigned kCallsPerTurn = 32;
  TRY(check_task(task));
  if (++calls_ % kCallsPerTurn == 0) TRY(task.yield());
  return {};
}

Error PosixStream::failed(const char* what, int number) const {
  return Error(Code::Disconnected,
               std::string(what) + " " + peer_ + ": " + std::string(os_error_text(number)), number);
}

Result<size_t> PosixStream::read(Task& task, ByteSpan into) {
  CHECK(!into.empty());
  TRY(begin(task));
  for (;;) {
    if (!fd_.valid()) return Error(Code::Disconnected, "read from " + peer_ + ": the stream is closed");
    ssize_t n = ::read(fd_.get(), into.data(), into.size());
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EAGAIN) {
      TRY(watch_.wait_readable(task));
    } else if (errno != EINTR) {
      return failed("read from", errno);
    }
  }
}

Result<size_t> PosixStream::write(Task& task, ByteView from) {
  CHECK(!from.empty());
  TRY(begin(task));
  for (;;) {
    if (!fd_.valid()) return Error(Code::Disconnected, "write to " + peer_ + ": the stream is closed");
    ssize_t n = kind_ == Kind::Socket ? ::send(fd_.get(), from.data(), from.size(), MSG_NOSIGNAL)
                                      : ::write(fd_.get(), from.data(), from.size());
    if (n > 0) return static_cast<size_t>(n);
    if (n < 0 && errno == EAGAIN) {
      TRY(watch_.wait_writable(task));
    } else if (n == 0 || errno != EINTR) {
      return failed("write to", errno);
    }
  }
}

Status PosixStream::shutdown_write(Task&) {
  if (!fd_.valid()) return Error(Code::Disconnected, "shut down " + peer_ + ": the stream is closed");
  if (kind_ == Kind::Pipe) {
    close();
    return {};
  }
  if (::shutdown(fd_.get(), SHUT_WR) != 0) return failed("shut down", errno);
  return {};
}

void PosixStream::close() {
  watch_.stop();
  fd_.reset();
}

Result<std::unique_ptr<Listener>> PosixNetwork::listen(Task& task, const Address& address) {
  TRY_ASSIGN(std::vector<SocketAddress> found, resolve(task, reactor_, pool_, address));
  TRY_ASSIGN(Fd fd, listen_patiently(task, found.front(), address));
  Address bound = address;
  if (!address.is_unix()) {
    SocketAddress actual;
    actual.length = sizeof actual.storage;
    if (getsockname(fd.get(), actual.get(), &actual.length) != 0)
      return os_error("listen on " + to_string(address), errno);
    bound = to_address(actual);
  }
  return std::unique_ptr<Listener>(new PosixListener(reactor_, std::move(fd), std::move(bound)));
}

Result<std::unique_ptr<Stream>> PosixNetwork::connect(Task& task, const Address& address) {
  TRY(check_task(task));
  if (auto local = local_sockets_.find(address); local != local_sockets_.end()) {
    auto stream = connect(task, Address::unix_socket(local->second));
    if (stream.ok() || stream.is(Code::Cancelled)) return stream;
  }
  std::string what = "connect to " + to_string(address);
  TRY_ASSIGN(std::vector<SocketAddress> found, resolve(task, reactor_, pool_, address));
  Error last(Code::Unavailable, what);
  for (const SocketAddress& to : found) {
    Result<Fd> fd = connect_one(task, reactor_, to, what);
    if (fd.ok())
      return std::unique_ptr<Stream>(
          new PosixStream(reactor_, *std::move(fd), PosixStream::Kind::Socket, to_string(address)));
    last = fd.error();
    if (last.code() != Code::Unavailable) break;
  }
  return last;
}

}  // namespace argon::posix
