// Coroutines of one thread that other threads want resumed. The I/O thread owns it; the engine thread and the text
// threads post to it. fd() becomes readable when something was posted: an eventfd, so any event loop can wait for it
// and one post_all() of a whole step is one wake-up.
#pragma once

#include <coroutine>
#include <span>
#include <vector>

#include "base/mailbox.h"

namespace slipstream {

class ResumeQueue {
 public:
  ResumeQueue();
  ~ResumeQueue();
  ResumeQueue(const ResumeQueue&) = delete;
  ResumeQueue& operator=(const ResumeQueue&) = delete;

  // Any thread. Each handle is resumed once, on the owner's thread, in order of posting.
  void post(std::coroutine_handle<> coroutine) { post_all({&coroutine, 1}); }
  void post_all(std::span<const std::coroutine_handle<>> coroutines);

  // The owner. Readable while something waits.
  int fd() const { return fd_; }
  // The owner. Resumes everything posted so far; returns how many.
  size_t run();

 private:
  const int fd_;
  std::mutex mutex_;  // guards posted_
  std::vector<std::coroutine_handle<>> posted_;
  std::vector<std::coroutine_handle<>> running_;  // the owner's
};

}  // namespace slipstream
