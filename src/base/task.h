// Task<T>: the one coroutine type. Lazy: nothing runs until it is awaited (or start_detached() takes it). When it
// ends, whoever awaits it goes on in its place (symmetric transfer), on the same thread. A task is awaited at most
// once and by one.
//
// Nobody destroys a task that has been started and has not ended: other threads may be about to resume it. It is
// ended by ending what it waits for (closing the socket, TextStream::interrupt()).
//
// gcc 12 tail-calls a transfer only when it optimises: a loop that awaits a task which never really waits grows the
// stack in other builds. Every loop here passes through a socket or another thread.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"

namespace slipstream {

template <class T>
class Task;

namespace task_detail {

struct PromiseBase {
  std::coroutine_handle<> awaiting = std::noop_coroutine();
  std::exception_ptr exception;

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      return ended.promise().awaiting;
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() { exception = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) { value.emplace(std::forward<U>(result)); }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const {}
  void take() {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace task_detail

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = task_detail::Promise<T>;

  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(coroutine_, other.coroutine_);
    return *this;
  }
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  struct Awaiter {
    std::coroutine_handle<promise_type> coroutine;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
      coroutine.promise().awaiting = awaiting;
      return coroutine;
    }
    T await_resume() const { return coroutine.promise().take(); }
  };
  // The task stays the owner of what it ran in until it goes out of scope.
  Awaiter operator co_await() const {
    CHECK(coroutine_ && !coroutine_.done(), "a task is awaited once");
    return Awaiter{coroutine_};
  }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

namespace task_detail {

template <class T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

// Runs at once, owns itself, and is gone when it ends.
struct Detached {
  struct promise_type {
    Detached get_return_object() const { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const {}
    void unhandled_exception() const { std::terminate(); }
  };
};

struct Countdown {
  size_t left = 0;
  std::coroutine_handle<> awaiting;
};

inline Detached run_detached(Task<void> task) { co_await task; }

inline Detached run_counted(Task<void>& task, Countdown& countdown) {
  co_await task;
  if (--countdown.left == 0) countdown.awaiting.resume();
}

}  // namespace task_detail

// Starts the task now, on this thread; nobody hears of its end. It must not throw.
inline void start_detached(Task<void> task) { task_detail::run_detached(std::move(task)); }

// co_await WhenAll(tasks): runs all of them side by side on this thread; goes on when the last has ended. They must
// not throw.
class WhenAll {
 public:
  explicit WhenAll(std::vector<Task<void>> tasks) : tasks_(std::move(tasks)) {}

  bool await_ready() const { return tasks_.empty(); }
  bool await_suspend(std::coroutine_handle<> awaiting) {
    countdown_.left = tasks_.size() + 1;  // one for this loop: nobody resumes us while it runs
    countdown_.awaiting = awaiting;
    for (Task<void>& task : tasks_) task_detail::run_counted(task, countdown_);
    return --countdown_.left != 0;
  }
  void await_resume() const {}

 private:
  std::vector<Task<void>> tasks_;
  task_detail::Countdown countdown_;
};

}  // namespace slipstream
