// Child processes, where the world has them.

#include <csignal>

#include "core/env/contract/contract.h"

namespace argon::contract {
namespace {

constexpr size_t kSaidMax = 1u << 20;

using namespace literals;

struct Children : Contract {
  void SetUp() override {
    if (!world().has_processes()) GTEST_SKIP() << "this world has no processes";
  }
};

SpawnOptions shell(std::string script) {
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", std::move(script)};
  options.environment = {{"PATH", "/usr/bin:/bin"}};
  return options;
}

CONTRACT(Children, TellTheirExitStatus) {
  for (int code : {0, 1, 42}) {
    TRY_ASSIGN(auto child, env.processes()->spawn(task, shell("exit " + std::to_string(code))));
    TRY_ASSIGN(ExitStatus status, child->wait(task));
    EXPECT_EQ(status.code, code);
    EXPECT_EQ(status.signal, 0);
    EXPECT_EQ(status.clean(), code == 0);
  }
  return {};
}

CONTRACT(Children, TheAnswerOfWaitStays) {
  TRY_ASSIGN(auto child, env.processes()->spawn(task, shell("exit 3")));
  TRY(child->wait(task));
  TRY_ASSIGN(ExitStatus again, child->wait(task));
  EXPECT_EQ(again.code, 3);
  return child->kill(SIGTERM);
}

CONTRACT(Children, TellTheSignalThatEndedThem) {
  TRY_ASSIGN(auto child, env.processes()->spawn(task, shell("sleep 100")));
  TRY(child->kill(SIGKILL));
  TRY_ASSIGN(ExitStatus status, child->wait(task));
  EXPECT_EQ(status.signal, SIGKILL);
  EXPECT_FALSE(status.clean());
  return {};
}

CONTRACT(Children, StartWithNothingBlockedOrIgnored) {
  TRY_ASSIGN(auto child, env.processes()->spawn(task, shell("kill -PIPE $$; exit 0")));
  TRY_ASSIGN(ExitStatus status, child->wait(task));
  EXPECT_EQ(status.signal, SIGPIPE);
  return {};
}

CONTRACT(Children, WriteToTheirPipes) {
  SpawnOptions options = shell("echo out; echo err >&2");
  options.out = ChildStream::pipe();
  options.err = ChildStream::pipe();
  TRY_ASSIGN(auto child, env.processes()->spawn(task, options));
  TRY_ASSIGN(std::string out, read_to_end(task, *child->out(), kSaidMax));
  TRY_ASSIGN(std::string err, read_to_end(task, *child->err(), kSaidMax));
  EXPECT_EQ(out, "out\n");
  EXPECT_EQ(err, "err\n");
  EXPECT_EQ(child->in(), nullptr);
  TRY(child->wait(task));
  return {};
}

CONTRACT(Children, ReadFromTheirPipeToItsEnd) {
  SpawnOptions options = shell("cat");
  options.in = ChildStream::pipe();
  options.out = ChildStream::pipe();
  TRY_ASSIGN(auto child, env.processes()->spawn(task, options));
  std::string sent(300'000, 'x');
  Scope scope(task);
  scope.spawn("feeder", [&](Task& t) -> Status {
    TRY(write_all(t, *child->in(), as_bytes(sent)));
    return child->in()->shutdown_write(t);
  });
  TRY_ASSIGN(std::string got, read_to_end(task, *child->out(), kSaidMax));
  EXPECT_TRUE(got == sent);
  TRY(scope.join(task));
  TRY_ASSIGN(ExitStatus status, child->wait(task));
  EXPECT_TRUE(status.clean());
  return {};
}

CONTRACT(Children, WritingToOneThatIsGoneFails) {
  SpawnOptions options = shell("exit 0");
  options.in = ChildStream::pipe();
  TRY_ASSIGN(auto child, env.processes()->spawn(task, options));
  TRY(child->wait(task));
  EXPECT_TRUE(child->in()->write(task, as_bytes("x")).is(Code::Disconnected));
  return {};
}

CONTRACT(Children, AppendToFiles) {
  for (int i = 0; i < 2; i++) {
    SpawnOptions options = shell("echo line");
    options.out = ChildStream::file(test.path("log"));
    TRY_ASSIGN(auto child, env.processes()->spawn(task, options));
    TRY(child->wait(task));
  }
  TRY_ASSIGN(Bytes got, read_file(task, env.disk(), test.path("log")));
  EXPECT_EQ(as_text(got), "line\nline\n");
  return {};
}

CONTRACT(Children, SeeTheGivenEnvironmentOnly) {
  SpawnOptions options = shell("echo \"$GIVEN,$HOME\"");
  options.environment["GIVEN"] = "a b";
  options.out = ChildStream::pipe();
  TRY_ASSIGN(auto child, env.processes()->spawn(task, options));
  TRY_ASSIGN(std::string got, read_to_end(task, *child->out(), kSaidMax));
  EXPECT_EQ(got, "a b,\n");
  TRY(child->wait(task));
  return {};
}

CONTRACT(Children, RunInTheGivenDirectory) {
  SpawnOptions options = shell("pwd -P");
  options.working_directory = "/usr";
  options.out = ChildStream::pipe();
  TRY_ASSIGN(auto child, env.processes()->spawn(task, options));
  TRY_ASSIGN(std::string got, read_to_end(task, *child->out(), kSaidMax));
  EXPECT_EQ(got, "/usr\n");
  TRY(child->wait(task));
  return {};
}

CONTRACT(Children, AProgramThatIsNotThereIsNotFound) {
  SpawnOptions options;
  options.argv = {"/nonexistent/program"};
  auto child = env.processes()->spawn(task, options);
  EXPECT_TRUE(child.is(Code::NotFound));
  EXPECT_NE(child.error().message().find("/nonexistent/program"), std::string::npos);
  return {};
}

CONTRACT(Children, AUserThatIsNotThereIsNotFound) {
  SpawnOptions options = shell("exit 0");
  options.user = "no-such-user-here";
  EXPECT_TRUE(env.processes()->spawn(task, options).is(Code::NotFound));
  return {};
}

CONTRACT(Children, WaitTimesOutAndMayBeCalledAgain) {
  TRY_ASSIGN(auto child, env.processes()->spawn(task, shell("sleep 100")));
  {
    Deadline soon(task, 5_ms);
    EXPECT_TRUE(child->wait(task).is(Code::TimedOut));
  }
  TRY(child->kill(SIGTERM));
  TRY_ASSIGN(ExitStatus status, child->wait(task));
  EXPECT_EQ(status.signal, SIGTERM);
  return {};
}

CONTRACT(Children, WaitIsCancelled) {
  TRY_ASSIGN(auto child, env.processes()->spawn(task, shell("sleep 100")));
  Scope scope(task);
  scope.spawn("waiter", [&](Task& t) -> Status {
    EXPECT_TRUE(child->wait(t).is(Code::Cancelled));
    return {};
  });
  TRY(task.sleep(2_ms));
  return scope.stop(task);
}

CONTRACT(Children, DestroyingOneEndsIt) {
  SpawnOptions options = shell("echo started; exec sleep 100");
  options.out = ChildStream::pipe();
  TRY_ASSIGN(auto child, env.processes()->spawn(task, options));
  Bytes got(8);
  TRY(read_exact(task, *child->out(), got));
  int pid = child->pid();
  EXPECT_GT(pid, 0);
  child.reset();
  TRY_ASSIGN(auto probe,
             env.processes()->spawn(task, shell("kill -0 " + std::to_string(pid) + " 2>/dev/null")));
  TRY_ASSIGN(ExitStatus status, probe->wait(task));
  EXPECT_NE(status.code, 0);
  return {};
}

CONTRACT(Children, ManyAtOnce) {
  Scope scope(task);
  for (int i = 0; i < 10; i++)
    scope.spawn("parent", [&, i](Task& t) -> Status {
      TRY_ASSIGN(auto child, env.processes()->spawn(t, shell("exit " + std::to_string(i))));
      TRY_ASSIGN(ExitStatus status, child->wait(t));
      EXPECT_EQ(status.code, i);
      return {};
    });
  return scope.join(task);
}

}  // namespace
}  // namespace argon::contract
