// An address of this machine that has a Unix socket, too.

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <filesystem>

#include "daemons/posix/fd.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace argon::posix {
namespace {

class LocalSockets : public testing::Test {
 protected:
  LocalSockets() {
    CHECK(mkdtemp(folder_.data()) != nullptr, "cannot make a temporary directory");
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t length = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    CHECK(bind(tcp_.get(), plain, length) == 0 && getsockname(tcp_.get(), plain, &length) == 0);
    address_ = Address::tcp("127.0.0.1", ntohs(address.sin_port));
    options_.local_sockets[address_] = folder_ + "/socket";
  }
  ~LocalSockets() override { std::filesystem::remove_all(folder_); }

  void run(const std::function<Status(Task&, Env&)>& body) {
    LogFile log("test", "", LogLevel::Error, read_wall_clock);
    PosixEnv env(log, options_);
    Status done = env.run("test", [&](Task& task) { return body(task, env); });
    EXPECT_TRUE(done.ok()) << done.error().to_string();
  }

  std::string folder_ = (std::filesystem::temp_directory_path() / "argon-sockets-XXXXXX").string();
  Fd tcp_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};  // bound; listens where a test says so
  Address address_;
  PosixOptions options_;
};

TEST_F(LocalSockets, AreTriedFirst) {
  run([&](Task& task, Env& env) -> Status {
    TRY_ASSIGN(auto listener, env.network().listen(task, Address::unix_socket(folder_ + "/socket")));
    TRY_ASSIGN(auto stream, env.network().connect(task, address_));
    TRY_ASSIGN(auto accepted, listener->accept(task));
    TRY(stream->write(task, as_bytes("x")));
    Bytes got(1);
    TRY_ASSIGN(size_t n, accepted->read(task, got));
    EXPECT_EQ(n, 1u);
    return {};
  });
}

TEST_F(LocalSockets, GiveWayToTheAddressWhereNobodyListens) {
  ASSERT_EQ(::listen(tcp_.get(), 1), 0);
  run([&](Task& task, Env& env) -> Status {
    TRY(env.network().connect(task, address_));
    // As a process that was killed leaves it.
    TRY_ASSIGN(auto listener, env.network().listen(task, Address::unix_socket(folder_ + "/socket")));
    listener->close();
    TRY(env.network().connect(task, address_));
    return {};
  });
}

TEST_F(LocalSockets, HideNoError) {
  run([&](Task& task, Env& env) -> Status {
    auto refused = env.network().connect(task, address_);
    EXPECT_TRUE(refused.is(Code::Unavailable));
    std::string said = refused.ok() ? "" : refused.error().message();
    EXPECT_NE(said.find(to_string(address_)), std::string::npos) << said;
    return {};
  });
}

}  // namespace
}  // namespace argon::posix
