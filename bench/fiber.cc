// Fibers, timers and streams on the real reactor, and what they are measured against.
//
// usage: bench_fiber CASE. Prints one number: nanoseconds for "…_ns", operations a second otherwise.

#include <sys/socket.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstdio>
#include <functional>
#include <map>
#include <thread>

#include "bench/clock.h"
#include "core/env/io.h"
#include "core/fiber/scope.h"
#include "daemons/posix/log_file.h"
#include "daemons/posix/posix_env.h"

namespace {

using namespace argon;

double per_second(int64_t operations, int64_t ns) {
  return static_cast<double>(operations) * 1e9 / static_cast<double>(ns);
}

// Runs body in the real world; its nanoseconds: of the processor, but for echoes, which wait.
int64_t timed(const std::function<Status(Task&, Env&)>& body, clockid_t clock = CLOCK_THREAD_CPUTIME_ID) {
  posix::LogFile log("bench", "", LogLevel::Error, posix::read_wall_clock);
  posix::PosixEnv env(log, {});
  int64_t ns = 0;
  Status status = env.run("bench", [&](Task& task) -> Status {
    int64_t begin = bench::now_ns(clock);
    Status result = body(task, env);
    ns = bench::now_ns(clock) - begin;
    return result;
  });
  CHECK(status.ok(), status.error().to_string());
  return ns;
}

// There and back by our Context: two switches.
double fiber_switch_ns() {
  constexpr int kRounds = 5'000'000;
  fiber::StackPool stacks(64 * 1024);
  fiber::Stack stack = stacks.take();
  fiber::Context context;
  auto entry = [](void* argument) {
    auto* self = static_cast<fiber::Context*>(argument);
    for (;;) self->switch_out();
  };
  context.start(stack, entry, &context);
  int64_t begin = bench::thread_ns();
  for (int i = 0; i < kRounds; i++) context.switch_in();
  return static_cast<double>(bench::thread_ns() - begin) / (2.0 * kRounds);
}

// There and back by Boost.Context alone.
double raw_switch_ns() {
  using namespace boost::context::detail;
  constexpr int kRounds = 5'000'000;
  fiber::StackPool stacks(64 * 1024);
  fiber::Stack stack = stacks.take();
  fcontext_t other =
      make_fcontext(static_cast<char*>(stack.bottom) + stack.size, stack.size, [](transfer_t t) {
        for (;;) t = jump_fcontext(t.fctx, nullptr);
      });
  other = jump_fcontext(other, nullptr).fctx;
  int64_t begin = bench::thread_ns();
  for (int i = 0; i < kRounds; i++) other = jump_fcontext(other, nullptr).fctx;
  return static_cast<double>(bench::thread_ns() - begin) / (2.0 * kRounds);
}

double yields(int fibers) {
  constexpr int kYields = 8'000'000;
  int each = kYields / fibers;
  int64_t ns = timed([&](Task& task, Env&) -> Status {
    Scope scope(task);
    for (int i = 0; i < fibers; i++)
      scope.spawn("yielder", [each](Task& t) -> Status {
        for (int n = 0; n < each; n++) TRY(t.yield());
        return {};
      });
    return scope.join(task);
  });
  return per_second(int64_t{each} * fibers, ns);
}

double raw_yields() {
  // What a yield cannot do without: to the loop and back.
  return 1e9 / (2 * raw_switch_ns());
}

struct Ticker final : Timer {
  void fire() override {
    if (--left > 0)
      reactor->arm(*this, reactor->now() + Duration::nanoseconds(step));
    else if (--*running == 0)
      done->wake();
  }
  Reactor* reactor = nullptr;
  Waiter* done = nullptr;
  int* running = nullptr;
  int left = 0;
  int64_t step = 0;
};

double timer_fires() {
  constexpr int kTimers = 1000;
  constexpr int kEach = 4000;
  int64_t ns = timed([](Task& task, Env& env) -> Status {
    Waiter done(task);
    int running = kTimers;
    std::vector<Ticker> tickers(kTimers);
    for (int i = 0; i < kTimers; i++) {
      Ticker& t = tickers[static_cast<size_t>(i)];
      t.reactor = &env.reactor();
      t.done = &done;
      t.running = &running;
      t.left = kEach;
      t.step = i * 7 % 1000;
      env.reactor().arm(t, env.now());
    }
    return task.wait(done);
  });
  return per_second(int64_t{kTimers} * kEach, ns);
}

constexpr int kEchoes = 100'000;

double stream_echoes() {
  int64_t ns = timed(
      [](Task& task, Env& env) -> Status {
        TRY_ASSIGN(auto listener, env.network().listen(task, Address::tcp("127.0.0.1", 0)));
        TRY_ASSIGN(auto client, env.network().connect(task, listener->address()));
        TRY_ASSIGN(auto server, listener->accept(task));
        Scope scope(task);
        scope.spawn("echo", [&](Task& t) -> Status {
          Bytes bytes(64);
          for (int i = 0; i < kEchoes; i++) {
            TRY(read_exact(t, *server, bytes));
            TRY(write_all(t, *server, bytes));
          }
          return {};
        });
        Bytes bytes(64);
        for (int i = 0; i < kEchoes; i++) {
          TRY(write_all(task, *client, bytes));
          TRY(read_exact(task, *client, bytes));
        }
        return scope.join(task);
      },
      CLOCK_MONOTONIC);
  return per_second(kEchoes, ns);
}

// Two threads that block in read() and write().
double thread_echoes() {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  auto relay = [](int fd) {
    char bytes[64];
    for (int i = 0; i < kEchoes; i++)
      CHECK(::read(fd, bytes, sizeof bytes) == sizeof bytes &&
            ::write(fd, bytes, sizeof bytes) == sizeof bytes);
  };
  std::thread echo(relay, ends[1]);
  char bytes[64] = "";
  int64_t begin = bench::real_ns();
  for (int i = 0; i < kEchoes; i++)
    CHECK(::write(ends[0], bytes, sizeof bytes) == sizeof bytes &&
          ::read(ends[0], bytes, sizeof bytes) == sizeof bytes);
  int64_t ns = bench::real_ns() - begin;
  echo.join();
  return per_second(kEchoes, ns);
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<double()>> cases{
      {"fiber_switch_ns", fiber_switch_ns},
      {"raw_switch_ns", raw_switch_ns},
      {"yields_one", [] { return yields(1); }},
      {"yields_many", [] { return yields(100); }},
      {"raw_yields", raw_yields},
      {"timer_fires", timer_fires},
      {"stream_echoes", stream_echoes},
      {"thread_echoes", thread_echoes},
  };
  auto chosen = cases.find(argc == 2 ? argv[1] : "");
  if (chosen == cases.end()) {
    std::fprintf(stderr, "usage: bench_fiber CASE, of:\n");
    for (const auto& [name, run] : cases) std::fprintf(stderr, "  %s\n", name.c_str());
    return 2;
  }
  std::printf("%.3f\n", chosen->second());
  return 0;
}
