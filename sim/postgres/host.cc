#include "sim/postgres/host.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/base/check.h"
#include "core/base/codec.h"
#include "sim/postgres/launcher.h"

namespace argon::sim {
namespace {

void send_all(ByteView bytes) {
  while (!bytes.empty()) {
    ssize_t n = write(kPostgresHostFd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    CHECK(n > 0, "the launcher of PostgreSQL servers is gone");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void receive_all(ByteSpan bytes) {
  while (!bytes.empty()) {
    ssize_t n = read(kPostgresHostFd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    CHECK(n > 0, "the launcher of PostgreSQL servers is gone");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

}  // namespace

PostgresHost::PostgresHost(const PostgresFiles& files, Bytes template_tar)
    : template_tar_(std::move(template_tar)) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    throw std::system_error(errno, std::generic_category(), "socketpair");
  pid_t launcher = fork();
  if (launcher < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (launcher == 0) {
    close(pair[0]);
    run_launcher(pair[1], files);
  }
  close(pair[1]);
  if (dup3(pair[0], kPostgresHostFd, O_CLOEXEC) < 0)
    throw std::system_error(errno, std::generic_category(), "dup3");
  close(pair[0]);
}

Bytes PostgresHost::ask(uint32_t what, uint32_t server, ByteView body) {
  LauncherHeader header{what, server, static_cast<uint32_t>(body.size())};
  send_all({reinterpret_cast<const uint8_t*>(&header), sizeof header});
  send_all(body);
  receive_all({reinterpret_cast<uint8_t*>(&header), sizeof header});
  Bytes answer(header.bytes);
  receive_all(answer);
  return answer;
}

void PostgresHost::add_to_archive(uint32_t archive, ByteView bytes) {
  ask(LauncherHeader::Add, archive, bytes);
}

uint32_t PostgresHost::start(uint64_t seed, uint32_t archive, ByteView more) {
  Bytes body;
  Writer(body).le(seed).le(archive).bytes(more);
  uint32_t server = new_number();
  ask(LauncherHeader::Start, server, body);
  return server;
}

Bytes PostgresHost::run(uint32_t server, ByteView answer) {
  return ask(LauncherHeader::Run, server, answer);
}

void PostgresHost::end(uint32_t server) {
  ask(LauncherHeader::End, server, {});
}

}  // namespace argon::sim
