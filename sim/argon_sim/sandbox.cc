#include "sim/argon_sim/sandbox.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <system_error>
#include <vector>

#include "sim/postgres/host.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ARGON_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ARGON_SANITIZED 1
#endif
#endif

namespace argon::sim {
namespace {

constexpr size_t kAlternateStack = 256 * 1024;
constexpr int kFramesMax = 64;

std::function<void(const std::string&)> on_death;
uintptr_t shared_begin = UINTPTR_MAX;  // the kernel's pages, of which nothing is left
uintptr_t shared_end = 0;
// OpenSSL's code, where it is loaded.
std::vector<std::pair<uintptr_t, uintptr_t>> openssl;

std::string system_call_name(int number) {
  char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
  std::string text = name != nullptr ? name : "number " + std::to_string(number);
  free(name);
  return text;
}

bool reads_time_stamp(uintptr_t at) {
  const auto* code = reinterpret_cast<const uint8_t*>(at);
  return code[0] == 0x0f && (code[1] == 0x31 || (code[1] == 0x01 && code[2] == 0xf9));
}

std::string what_happened(int signal, const siginfo_t* info, const ucontext_t* context) {
  if (signal == SIGSYS) return "forbidden: system call " + system_call_name(info->si_syscall);
  if (signal == SIGABRT) return "aborted";
  auto at = static_cast<uintptr_t>(context->uc_mcontext.gregs[REG_RIP]);
  auto touched = reinterpret_cast<uintptr_t>(info->si_addr);
  auto shared = [](uintptr_t address) { return address >= shared_begin && address < shared_end; };
  if (shared(at) || (signal == SIGSEGV && shared(touched)))
    return "forbidden: a clock of the kernel's shared page (vdso)";
  if (signal == SIGSEGV && info->si_addr == nullptr && info->si_code == SI_KERNEL && reads_time_stamp(at))
    return "forbidden: rdtsc";
  return fmt::format("{} at address {}", strsignal(signal), info->si_addr);
}

// The command that names the functions which were running, innermost first, and those of libraries as they
// are. Of a crash alone: what is forbidden or aborted says by itself what it was.
void tell_stack(const ucontext_t* context) {
  auto* at = reinterpret_cast<void*>(context->uc_mcontext.gregs[REG_RIP]);
  std::array<void*, kFramesMax> frames{};
  auto end = frames.begin() + backtrace(frames.data(), kFramesMax);
  auto innermost = std::find(frames.begin(), end, at);  // before it there is this handler
  Dl_info own{};
  dladdr(reinterpret_cast<void*>(&enter_sandbox), &own);
  std::string line = "the stack: addr2line -Cpfe argon-sim";
  std::string others;
  for (auto frame = innermost; frame != end; ++frame) {
    Dl_info of{};
    bool known = dladdr(*frame, &of) != 0 && of.dli_fbase != nullptr;
    // A return address may be the next function's first.
    auto offset = static_cast<char*>(*frame) - static_cast<char*>(known ? of.dli_fbase : nullptr) -
                  (frame == innermost ? 0 : 1);
    if (known && of.dli_fbase == own.dli_fbase)
      line += fmt::format(" {:#x}", offset);
    else
      others += fmt::format(" {}+{:#x}", known ? of.dli_fname : "unknown", offset);
  }
  line += others.empty() ? "\n" : "; of libraries:" + others + "\n";
  [[maybe_unused]] ssize_t written = write(2, line.data(), line.size());
}

void on_signal(int signal, siginfo_t* info, void* context) {
  const auto* where = static_cast<const ucontext_t*>(context);
  std::string what = what_happened(signal, info, where);
  bool crashed = signal != SIGABRT && !what.starts_with("forbidden");
  if (crashed && on_death != nullptr) tell_stack(where);
  auto tell = std::move(on_death);
  on_death = nullptr;
  if (tell != nullptr) tell(what);  // a second fault inside ends here
  _exit(1);
}

void handle_signals() {
  static std::vector<char> stack(kAlternateStack);  // the fault may be that a fiber's stack is full
  stack_t alternate{};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  sigaltstack(&alternate, nullptr);
  struct sigaction action{};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (int signal : {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigaction(signal, &action, nullptr);
}

// Unmaps the code by which the C library reads clocks without a system call, and its data. Notes who may
// still ask for the time.
void drop_vdso() {
  std::ifstream maps("/proc/self/maps");
  std::vector<std::pair<uintptr_t, uintptr_t>> found;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = std::stoull(line, nullptr, 16);
    uintptr_t end = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
    if (line.find("/libssl.so") != std::string::npos) openssl.emplace_back(begin, end);
    if (!line.ends_with("[vdso]") && line.find("[vvar") == std::string::npos) continue;
    found.emplace_back(begin, end);
    shared_begin = std::min(shared_begin, begin);
    shared_end = std::max(shared_end, end);
  }
  for (auto [begin, end] : found) munmap(reinterpret_cast<void*>(begin), end - begin);
}

// What the C library asks once, remembers, and lets no result depend on, in functions that OpenSSL calls:
// qsort() how much memory the machine has (with more than 1 KiB to sort), gmtime() the time zone; and what
// tell_stack() needs.
void let_libc_ask() {
  std::array<void*, 1> frame{};
  backtrace(frame.data(), 1);
  std::vector<uint64_t> some(512);
  qsort(some.data(), some.size(), sizeof some[0], [](const void*, const void*) { return 0; });
  tzset();
}

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(-result, std::generic_category(), what);
}

void load_filter(bool postgres) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
  if (filter == nullptr) throw std::system_error(ENOMEM, std::generic_category(), "seccomp");
  auto allow = [&](int call) { check(seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0), "seccomp rule"); };
  for (int call : {SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(brk),
                   SCMP_SYS(futex), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn),
                   SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(gettid), SCMP_SYS(getpid),
                   SCMP_SYS(tgkill)})
    allow(call);
  scmp_arg_cmp anonymous = SCMP_CMP(3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS);
  check(seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &anonymous), "seccomp rule");
  for (uint64_t fd = 1; fd <= 4; fd++) {
    scmp_arg_cmp this_one{0, SCMP_CMP_EQ, fd, 0};
    check(seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, &this_one), "seccomp rule");
  }
  for (int call : {SCMP_SYS(read), SCMP_SYS(write)}) {
    if (!postgres) break;
    static_assert(kPostgresSockets % kPostgresSocketCount == 0 &&
                  std::has_single_bit(unsigned{kPostgresSocketCount}));
    scmp_arg_cmp these{0, SCMP_CMP_MASKED_EQ, ~scmp_datum_t{kPostgresSocketCount - 1}, kPostgresSockets};
    check(seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &these), "seccomp rule");
  }
  check(seccomp_load(filter), "seccomp filter");
  seccomp_release(filter);
}

}  // namespace

bool sandbox_available() {
#ifdef ARGON_SANITIZED
  return false;
#else
  return true;
#endif
}

#ifndef ARGON_SANITIZED
// Takes the place of the C library's: OpenSSL's connections write down when they began, for a resumption that
// core/tls never makes, and cannot be kept from asking. Everybody else meets the sandbox as with any clock.
extern "C" time_t time(time_t* out) noexcept {
  auto caller = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  time_t now = 0;
  if (!std::ranges::any_of(openssl, [&](auto at) { return caller >= at.first && caller < at.second; })) {
    timespec read{};
    clock_gettime(CLOCK_REALTIME, &read);
    now = read.tv_sec;
  }
  if (out != nullptr) *out = now;
  return now;
}
#endif

void enter_sandbox(std::function<void(const std::string& what)> died, bool postgres) {
  on_death = std::move(died);
  handle_signals();
  let_libc_ask();
  drop_vdso();
  if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV) != 0)
    throw std::system_error(errno, std::generic_category(), "forbid rdtsc");
  load_filter(postgres);
}

}  // namespace argon::sim
