// Where threads meet: many put mail in, one takes all of it out. take() swaps two buffers, so in steady state nothing
// is allocated and the lock is held for a few instructions.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace slipstream {

template <class T>
class Mailbox {
 public:
  // Any thread.
  void put(T mail) {
    {
      const std::lock_guard lock(mutex_);
      mail_.push_back(std::move(mail));
      empty_.store(false, std::memory_order_release);
    }
    arrived_.notify_one();
  }

  // The owner. Replaces the content of `into` by all the mail there is, in order of arrival.
  void take(std::vector<T>& into) {
    into.clear();
    if (empty_.load(std::memory_order_acquire)) return;
    const std::lock_guard lock(mutex_);
    mail_.swap(into);
    empty_.store(true, std::memory_order_release);
  }

  // The owner. Sleeps until there is mail or wake() was called since.
  void wait() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return !mail_.empty() || woken_; });
    woken_ = false;
  }

  // Any thread: ends a wait() without mail.
  void wake() {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    arrived_.notify_one();
  }

 private:
  std::mutex mutex_;  // guards mail_ and woken_
  std::condition_variable arrived_;
  std::vector<T> mail_;
  bool woken_ = false;
  std::atomic<bool> empty_{true};
};

}  // namespace slipstream
