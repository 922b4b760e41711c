#include "base/resume_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "base/check.h"

namespace slipstream {

ResumeQueue::ResumeQueue() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { CHECK(fd_ >= 0, "eventfd failed"); }

ResumeQueue::~ResumeQueue() { close(fd_); }

void ResumeQueue::post_all(std::span<const std::coroutine_handle<>> coroutines) {
  if (coroutines.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    posted_.insert(posted_.end(), coroutines.begin(), coroutines.end());
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof one);  // full counter = already readable
}

size_t ResumeQueue::run() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t bytes = read(fd_, &count, sizeof count);  // before the swap: nothing posted is missed
  {
    const std::lock_guard lock(mutex_);
    posted_.swap(running_);
  }
  // A resumed coroutine may post and may destroy others that wait elsewhere, but not one that was posted: whoever posts
  // a handle has given up the right to destroy it until it ran.
  const size_t resumed = running_.size();
  for (const std::coroutine_handle<> coroutine : running_) coroutine.resume();
  running_.clear();
  return resumed;
}

}  // namespace slipstream
