// Readers to be resumed at the end of a step: each ResumeQueue is posted to once, however many of its readers have
// news.
#pragma once

#include <algorithm>
#include <coroutine>
#include <functional>
#include <vector>

#include "base/resume_queue.h"

namespace slipstream {

class WakeList {
 public:
  explicit WakeList(size_t capacity) {
    readers_.reserve(capacity);
    handles_.reserve(capacity);
  }

  // A null reader is nobody.
  void add(ResumeQueue* queue, std::coroutine_handle<> reader) {
    if (reader) readers_.push_back({queue, reader});
  }

  void post() {
    std::ranges::sort(readers_, std::less<ResumeQueue*>(), &Reader::queue);
    for (size_t begin = 0; begin < readers_.size();) {
      ResumeQueue* queue = readers_[begin].queue;
      handles_.clear();
      for (; begin < readers_.size() && readers_[begin].queue == queue; ++begin)
        handles_.push_back(readers_[begin].handle);
      queue->post_all(handles_);
    }
    readers_.clear();
  }

 private:
  struct Reader {
    ResumeQueue* queue = nullptr;
    std::coroutine_handle<> handle;
  };
  std::vector<Reader> readers_;
  std::vector<std::coroutine_handle<>> handles_;
};

}  // namespace slipstream
