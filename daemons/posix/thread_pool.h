// ThreadPool: threads for calls that block (files, name look-ups) and for CPU-heavy work.
//
// A task hands over a function and suspends until a thread has run it: what the function refers to
// stays alive, since neither cancellation nor a deadline ends that wait.

#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "daemons/posix/reactor.h"

namespace argon::posix {

class ThreadPool {
 public:
  // Threads are started as they are needed, up to the limit.
  ThreadPool(std::string name, int limit);
  // REQUIRES: no task is in run().
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void run(Task& task, PosixReactor& reactor, const std::function<void()>& work);

 private:
  struct Job;
  void submit(Job& job);
  void thread_main();

  const std::string name_;
  const int limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job*> queue_;  // bounded by the tasks that wait
  std::vector<std::thread> threads_;
  int idle_ = 0;
  bool stopping_ = false;
};

}  // namespace argon::posix
