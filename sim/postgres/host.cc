#include "sim/postgres/host.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/base/check.h"
#include "core/base/codec.h"
#include "sim/postgres/launcher.h"

namespace argon::sim {
namespace {

constexpr uint32_t kFrameMax = 256u << 20;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// At once: who reads is not woken for a part.
void send_all(int fd, ByteView header, ByteView body) {
  Bytes message;
  message.reserve(header.size() + body.size());
  Writer(message).bytes(header).bytes(body);
  for (ByteView bytes = message; !bytes.empty();) {
    ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    CHECK(n > 0, "the launcher of PostgreSQL servers is gone");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void receive_all(int fd, ByteSpan bytes) {
  while (!bytes.empty()) {
    ssize_t n = read(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    CHECK(n > 0, "the launcher of PostgreSQL servers is gone");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

int lane_fd(size_t lane) {
  return kPostgresSockets + 1 + static_cast<int>(lane);
}

Bytes receive_frame(size_t lane) {
  uint32_t bytes = 0;
  receive_all(lane_fd(lane), {reinterpret_cast<uint8_t*>(&bytes), sizeof bytes});
  CHECK(bytes <= kFrameMax, "a server's frame is too long");
  Bytes frame(bytes);
  receive_all(lane_fd(lane), frame);
  return frame;
}

// One end becomes `fd` of this process, the other is returned.
int make_pair(int fd) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) fail("socketpair");
  if (dup3(pair[0], fd, O_CLOEXEC) < 0) fail("dup3");
  close(pair[0]);
  return pair[1];
}

}  // namespace

PostgresHost::PostgresHost(const PostgresFiles& files, Bytes template_tar)
    : template_tar_(std::move(template_tar)) {
  cpu_set_t here;
  CPU_ZERO(&here);
  if (int processor = sched_getcpu(); processor >= 0) {
    CPU_SET(static_cast<size_t>(processor), &here);
    sched_setaffinity(0, sizeof here, &here);  // where it may not be, it is only slower
  }
  std::vector<int> theirs;
  for (int fd = kPostgresSockets; fd < kPostgresSockets + kPostgresSocketCount; fd++)
    theirs.push_back(make_pair(fd));
  pid_t launcher = fork();
  if (launcher < 0) fail("fork");
  if (launcher == 0) {
    close_range(kPostgresSockets, kPostgresSockets + kPostgresSocketCount - 1, 0);
    int socket = theirs.front();
    theirs.erase(theirs.begin());
    run_launcher(socket, std::move(theirs), files);
  }
  for (int fd : theirs) close(fd);
}

Bytes PostgresHost::ask(uint32_t what, uint32_t server, ByteView body) {
  LauncherHeader header{what, server, static_cast<uint32_t>(body.size())};
  send_all(kPostgresSockets, {reinterpret_cast<const uint8_t*>(&header), sizeof header}, body);
  receive_all(kPostgresSockets, {reinterpret_cast<uint8_t*>(&header), sizeof header});
  Bytes answer(header.bytes);
  receive_all(kPostgresSockets, answer);
  return answer;
}

size_t PostgresHost::lane_of(uint32_t server) const {
  auto lane = std::ranges::find(lanes_, server);
  CHECK(lane != lanes_.end(), server == 0 ? "too many PostgreSQL servers at once" : "no such server");
  return static_cast<size_t>(lane - lanes_.begin());
}

void PostgresHost::add_to_archive(uint32_t archive, ByteView bytes) {
  ask(LauncherHeader::Add, archive, bytes);
}

void PostgresHost::forget_archive(uint32_t archive) {
  ask(LauncherHeader::Forget, archive, {});
}

uint32_t PostgresHost::start(uint64_t seed, uint32_t archive, ByteView more) {
  size_t lane = lane_of(0);
  lanes_[lane] = new_number();
  Bytes body;
  Writer(body).le(seed).le(archive).le(static_cast<uint32_t>(lane)).bytes(more);
  ask(LauncherHeader::Start, lanes_[lane], body);
  return lanes_[lane];
}

Bytes PostgresHost::run(uint32_t server, ByteView answer) {
  size_t lane = lane_of(server);
  if (!answer.empty()) {
    auto bytes = static_cast<uint32_t>(answer.size());
    send_all(lane_fd(lane), {reinterpret_cast<const uint8_t*>(&bytes), sizeof bytes}, answer);
  }
  return receive_frame(lane);
}

void PostgresHost::end(uint32_t server, bool told) {
  size_t lane = lane_of(server);
  Bytes by_itself = ask(LauncherHeader::End, server, {});
  CHECK(by_itself.size() == 1);
  if (by_itself[0] != 0 && !told) receive_frame(lane);  // its last, which nobody waited for
  lanes_[lane] = 0;
}

}  // namespace argon::sim
