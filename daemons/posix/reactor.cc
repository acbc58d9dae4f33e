#include "daemons/posix/reactor.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace argon::posix {
namespace {

constexpr unsigned kInput = EPOLLIN | EPOLLRDHUP | EPOLLET;

}  // namespace

Status IoWatch::wait_readable(Task& task) {
  return wait(task, reader_, kInput);
}

// Output is watched only while somebody waits for it: a Unix socket becomes writable anew each time that its
// peer reads, and each time would wake the loop.
Status IoWatch::wait_writable(Task& task) {
  return wait(task, writer_, kInput | EPOLLOUT);
}

Status IoWatch::wait(Task& task, Waiter*& slot, unsigned events) {
  if (fd_ < 0) return {};
  Waiter waiter(task);
  CHECK(slot == nullptr, "two tasks wait for one direction of a descriptor");
  slot = &waiter;
  struct Leave {
    ~Leave() { slot = nullptr; }
    Waiter*& slot;
  } leave{slot};
  if ((events & ~watched_) != 0) {
    int number = watch(events);
    if (number != 0) return os_error("watch a descriptor", number);
  }
  return task.wait(waiter);
}

int IoWatch::watch(unsigned events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = this;
  int operation = watched_ == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(reactor_.epoll_.get(), operation, fd_, &event) != 0) return errno;
  watched_ = events;
  return 0;
}

void IoWatch::ready(unsigned events) {
  if (reader_ != nullptr && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) reader_->wake();
  if (writer_ != nullptr && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writer_->wake();
  // A failure only leaves it watched.
  if (writer_ == nullptr && (events & EPOLLOUT) != 0) (void)watch(kInput);
}

void IoWatch::stop() {
  if (fd_ < 0) return;
  if (watched_ != 0) epoll_ctl(reactor_.epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
  watched_ = 0;
  fd_ = -1;
  if (reader_ != nullptr) reader_->wake();
  if (writer_ != nullptr) writer_->wake();
}

PosixReactor::PosixReactor()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(epoll_.valid() && wake_.valid(), "no descriptors left for the event loop");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) == 0);
  read_clock();
}

PosixReactor::~PosixReactor() = default;

void PosixReactor::read_clock() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  now_ = std::max(now_, MonotonicTime{t.tv_sec * 1'000'000'000 + t.tv_nsec});
}

void PosixReactor::post_from_thread(Runnable& r) {
  bool wake = false;
  {
    std::lock_guard lock(remote_mutex_);
    remote_.push_back(&r);
    has_remote_.store(true, std::memory_order_relaxed);
    wake = std::exchange(blocking_, false);
    // Inside the lock, so that the loop cannot end and take the descriptor with it.
    uint64_t one = 1;
    if (wake && ::write(wake_.get(), &one, sizeof one) < 0) CHECK(errno == EAGAIN);
  }
}

bool PosixReactor::take_remote(bool about_to_block) {
  if (!about_to_block && !has_remote_.load(std::memory_order_relaxed)) return false;
  {
    std::lock_guard lock(remote_mutex_);
    blocking_ = about_to_block && remote_.empty();
    taken_.swap(remote_);
    has_remote_.store(false, std::memory_order_relaxed);
  }
  bool any = !taken_.empty();
  for (Runnable* r : taken_) ready_.push(*r);
  taken_.clear();
  return any;
}

int PosixReactor::wait_events(epoll_event* events, int capacity, bool may_block) {
  if (!may_block) return epoll_wait(epoll_.get(), events, capacity, 0);
  if (timers_.empty()) return epoll_wait(epoll_.get(), events, capacity, -1);
  int64_t ns = std::max<int64_t>(0, (timers_.next_due() - now_).ns);
  ns = std::min<int64_t>(ns, 3'600'000'000'000);
  if (have_pwait2_) {
    timespec t{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
    int n = epoll_pwait2(epoll_.get(), events, capacity, &t, nullptr);
    if (n >= 0 || errno != ENOSYS) return n;
    have_pwait2_ = false;
  }
  return epoll_wait(epoll_.get(), events, capacity, static_cast<int>((ns + 999'999) / 1'000'000));
}

void PosixReactor::poll() {
  constexpr int kEvents = 128;
  epoll_event events[kEvents];
  bool may_block = ready_.empty() && (timers_.empty() || timers_.next_due() > now_);
  if (take_remote(may_block)) may_block = false;
  int n = wait_events(events, kEvents, may_block);
  if (may_block) {
    std::lock_guard lock(remote_mutex_);
    blocking_ = false;
  }
  // Waking only posts, so no watch dies while this list still names it.
  for (int i = 0; i < n; i++) {
    if (events[i].data.ptr != nullptr) {
      static_cast<IoWatch*>(events[i].data.ptr)->ready(events[i].events);
      continue;
    }
    uint64_t count = 0;
    if (::read(wake_.get(), &count, sizeof count) < 0) CHECK(errno == EAGAIN);
  }
  take_remote(false);
}

void PosixReactor::run_until(const std::function<bool()>& done) {
  while (!done()) {
    poll();
    read_clock();
    turn_++;
    // A timer that fire() arms again at once must not keep the loop here.
    for (size_t left = timers_.size(); left > 0 && !timers_.empty() && timers_.next_due() <= now_; left--)
      timers_.pop().fire();
    for (int i = 0; i < kBatch && !ready_.empty(); i++) ready_.pop().run();
  }
}

}  // namespace argon::posix
