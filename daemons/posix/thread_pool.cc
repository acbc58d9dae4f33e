#include "daemons/posix/thread_pool.h"

#include <pthread.h>
#include <signal.h>

namespace argon::posix {

struct ThreadPool::Job final : Runnable {
  Job(Task& task, PosixReactor& reactor, const std::function<void()>& work)
      : waiter(task), reactor(reactor), work(work) {}
  void run() override { waiter.wake(); }

  Waiter waiter;
  PosixReactor& reactor;
  const std::function<void()>& work;
};

ThreadPool::ThreadPool(std::string name, int limit) : name_(std::move(name)), limit_(limit) {}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    CHECK(queue_.empty(), "a thread pool ends while work is queued");
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(Task& task, PosixReactor& reactor, const std::function<void()>& work) {
  Uninterruptible wait_to_the_end(task);
  Job job(task, reactor, work);
  submit(job);
  Status ended = task.wait(job.waiter);
  CHECK(ended.ok());
}

void ThreadPool::submit(Job& job) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(&job);
    if (idle_ < static_cast<int>(queue_.size()) && static_cast<int>(threads_.size()) < limit_) {
      threads_.emplace_back([this] { thread_main(); });
      return;
    }
  }
  // Outside of the lock, which the thread that wakes needs at once.
  changed_.notify_one();
}

void ThreadPool::thread_main() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  std::unique_lock lock(mutex_);
  for (;;) {
    while (queue_.empty() && !stopping_) {
      idle_++;
      changed_.wait(lock);
      idle_--;
    }
    if (queue_.empty()) return;
    Job* job = queue_.front();
    queue_.pop_front();
    lock.unlock();
    job->work();
    job->reactor.post_from_thread(*job);
    lock.lock();
  }
}

}  // namespace argon::posix
