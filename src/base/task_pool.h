// A few threads for work that is too long for the I/O thread: parsing, rendering, encoding.
//
//   Result<Prompt> prompt = co_await pool.run([&] { return encode(text); });
//
// The work runs on one of the threads; the awaiting coroutine goes on through the ResumeQueue, on the queue's thread.
// What the work refers to lives in the coroutine, which nobody destroys while it waits (base/task.h). Work waits in
// lines, each in order, and the lines take turns: one that is long does not hold up another.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/resume_queue.h"

namespace slipstream {

class TaskPool {
 public:
  // home outlives the pool.
  TaskPool(uint32_t num_threads, ResumeQueue& home, uint32_t num_lines = 1);
  ~TaskPool();  // finishes what was given to it
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  struct Job {
    void (*work)(Job*) = nullptr;  // on a thread of the pool; must not throw
    std::coroutine_handle<> awaiting;
    Job* next = nullptr;
    uint32_t line = 0;
  };

  template <class Work>
  struct Run : Job {
    using Value = std::invoke_result_t<Work&>;  // not void
    TaskPool& pool;
    Work function;
    std::optional<Value> value;
    std::exception_ptr exception;

    Run(TaskPool& to, Work run, uint32_t its_line) : pool(to), function(std::move(run)) { line = its_line; }
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) {
      awaiting = coroutine;
      work = [](Job* job) {
        Run* self = static_cast<Run*>(job);
        try {
          self->value.emplace(self->function());
        } catch (...) {
          self->exception = std::current_exception();
        }
      };
      pool.add(this);
    }
    Value await_resume() {
      if (exception) std::rethrow_exception(exception);
      return std::move(*value);
    }
  };

  // The queue's thread. line < num_lines.
  template <class Work>
  Run<Work> run(Work work, uint32_t line = 0) { return Run<Work>(*this, std::move(work), line); }

 private:
  struct State;
  void add(Job* job);

  std::unique_ptr<State> state_;
};

}  // namespace slipstream
