#include "scenarios/selftests.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <cstdlib>
#include <ctime>

namespace argon::scenarios {
namespace {

// A task that sleeps a thousand times, for so long as `draw` says.
void sleeps(Run& run, const std::function<uint64_t(int)>& draw) {
  sim::Machine& machine = run.world().add_machine("leaky");
  machine.boot([&run, draw](Task& task, Env&) -> Status {
    for (int i = 0; i < 1000; i++) {
      TRY(task.sleep(Duration::microseconds(static_cast<int64_t>(1 + draw(i) % 1000))));
      run.work().commits_acked++;
    }
    return {};
  });
  run.run_for(run.options().length);
}

// The tenth sleep is the first that differs.
void leak(Run& run) {
  sleeps(run, [](int i) -> uint64_t {
    if (i < 10) return 5;
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_nsec);
  });
}

// Each bit of it: where the arena lies differs by multiples of megabytes, of which many are alike modulo
// 1000.
void address(Run& run) {
  auto object = std::make_unique<int>(0);
  sleeps(run, [address = reinterpret_cast<uintptr_t>(object.get())](int i) {
    return i < 10 ? 5 : address >> (i % 48);
  });
}

void garbage(Run& run) {
  sleeps(run, [](int i) -> uint64_t {
    // Read through a volatile pointer: the compiler must not know that nothing was written.
    volatile uint8_t* memory = static_cast<uint8_t*>(operator new(600));
    uint64_t found = i < 10 ? 5 : memory[300];
    operator delete(const_cast<uint8_t*>(memory));
    return found;
  });
}

void* nothing(void*) {
  return nullptr;
}

struct Forbidden {
  const char* name;
  void (*ask)();
};

// clock_gettime and its like need no system call; the coarse clock not even the time stamp counter.
constexpr Forbidden kForbidden[] = {
    {"clock_gettime",
     [] {
       timespec t{};
       clock_gettime(CLOCK_MONOTONIC, &t);
     }},
    {"coarse clock",
     [] {
       timespec t{};
       clock_gettime(CLOCK_REALTIME_COARSE, &t);
     }},
    {"gettimeofday",
     [] {
       timeval t{};
       gettimeofday(&t, nullptr);
     }},
    {"time", [] { ::time(nullptr); }},
    {"clock_gettime by number",
     [] {
       timespec t{};
       syscall(SYS_clock_gettime, CLOCK_REALTIME, &t);
     }},
    {"rdtsc", [] { __rdtsc(); }},
    {"sleep", [] { usleep(1); }},
    {"file", [] { open("/etc/hostname", O_RDONLY); }},
    {"file made", [] { open("/tmp", O_TMPFILE | O_RDWR, 0600); }},
    {"input",
     [] {
       char c;
       ssize_t n = read(0, &c, 1);
       static_cast<void>(n);
     }},
    {"output",
     [] {
       ssize_t n = write(7, "x", 1);
       static_cast<void>(n);
     }},
    {"socket", [] { socket(AF_INET, SOCK_STREAM, 0); }},
    {"socket pair",
     [] {
       int ends[2];
       socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
     }},
    {"entropy",
     [] {
       char c;
       ssize_t n = getrandom(&c, 1, 0);
       static_cast<void>(n);
     }},
    {"thread",
     [] {
       pthread_t t;
       pthread_create(&t, nullptr, nothing, nullptr);
     }},
    {"process",
     [] {
       if (fork() == 0) _exit(0);
     }},
    {"program", [] { execl("/bin/true", "true", nullptr); }},
    {"host name",
     [] {
       char name[80];
       gethostname(name, sizeof name);
     }},
    {"processors",
     [] {
       cpu_set_t set;
       sched_getaffinity(0, sizeof set, &set);
     }},
    {"working directory",
     [] {
       char path[200];
       char* got = getcwd(path, sizeof path);
       static_cast<void>(got);
     }},
};

void forbidden(Run& run) {
  uint64_t index = run.options().seed - 1;
  if (index >= std::size(kForbidden)) return;
  sim::Machine& machine = run.world().add_machine("curious");
  machine.boot([index](Task& task, Env& env) -> Status {
    TRY(task.sleep(Duration::seconds(1)));
    Logger(env.log()).info("asks for: {}", kForbidden[index].name);
    kForbidden[index].ask();
    return {};
  });
  run.run_for(run.options().length);
  run.fail("forbidden", std::string("nobody stopped: ") + kForbidden[index].name);
}

void crash(Run& run) {
  sim::Machine& machine = run.world().add_machine("careless");
  machine.boot([](Task& task, Env& env) -> Status {
    TRY(task.sleep(env.random("crash").exponential(Duration::seconds(1))));
    volatile int* nowhere = nullptr;
    *nowhere = 1;
    return {};
  });
  run.run_for(run.options().length);
}

// With an even seed in pieces of all sizes, with an odd one at once.
void hoard(Run& run) {
  sim::Machine& machine = run.world().add_machine("hoarder");
  uint64_t least = run.options().seed % 2 == 0 ? 16 : 300ull << 20;
  machine.boot([least](Task& task, Env& env) -> Status {
    std::vector<Bytes> hoard;
    for (;;) {
      TRY(task.sleep(Duration::milliseconds(1)));
      uint64_t size = env.random("hoard").log_uniform(least, least << 16);
      hoard.emplace_back(size, 1);
    }
  });
  run.run_for(run.options().length);
}

}  // namespace

constinit const Scenario kSelftestLeak{
    "selftest-leak", "reads a real clock, on purpose: check-determinism must say so", leak, {}, true, false};
constinit const Scenario kSelftestAddress{
    "selftest-address", "an address decides, on purpose: check-determinism must say so", address, {}, true};
constinit const Scenario kSelftestGarbage{
    "selftest-garbage",
    "uninitialised memory decides, on purpose: check-determinism must say so",
    garbage,
    {},
    true};
constinit const Scenario kSelftestForbidden{
    "selftest-forbidden",
    "asks the operating system what it must not, on purpose: the run must end there",
    forbidden,
    {},
    true};

constinit const Scenario kSelftestCrash{
    "selftest-crash",
    "writes to nowhere, at another time with each seed, on purpose: one failure of many seeds",
    crash,
    {},
    true};

constinit const Scenario kSelftestMemory{
    "selftest-memory",
    "takes ever more memory, on purpose: the run must end before it has 256 MB",
    hoard,
    {},
    true};

}  // namespace argon::scenarios
