#include "core/env/task.h"

#include "core/env/env.h"

namespace argon {

Deadline::Deadline(Task& task, Duration from_now) : Deadline(task, task.env().now() + from_now) {}

Deadline::Deadline(Task& task, MonotonicTime at) : task_(task), outer_(task.deadline()) {
  if (at < outer_) task.set_deadline(at);
}

bool Deadline::passed() const {
  return task_.env().now() >= task_.deadline();
}

}  // namespace argon
