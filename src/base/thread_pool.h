// Fork-join for one step's arithmetic. run(work) calls work(thread) once for thread = 0 .. num_threads - 1, thread 0 on
// the caller, and returns when all are done: about 0.2 us when the workers spin, because a futex wake costs 25-50 us
// (PERFORMANCE.md 1.3). Workers spin for a while after each run and then sleep; the next run wakes them.
//
// Where a pool has as many threads as there are cores for this process, its workers have a core each for good
// (kOwnCores), and the owner finds the one that is left: it is not bound, as threads that it makes would be, too. With
// fewer threads, several processes would choose the same cores.
//
// One owner: run() is called by one thread at a time and never from inside work. Does not allocate after construction.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>

namespace slipstream {

// Half-open range of items.
struct Range {
  uint32_t begin = 0;
  uint32_t end = 0;
  uint32_t size() const { return end - begin; }
  bool empty() const { return begin >= end; }
};

// The part of `items` that belongs to one of `num_threads`, in multiples of `unit` (the last may be shorter).
// Depends on nothing else, so that who computes what never matters to what is computed.
constexpr Range split(uint32_t items, uint32_t thread, uint32_t num_threads, uint32_t unit = 1) {
  const uint64_t units = (static_cast<uint64_t>(items) + unit - 1) / unit;
  const uint64_t begin = units * thread / num_threads * unit;
  const uint64_t end = units * (thread + 1) / num_threads * unit;
  return Range{static_cast<uint32_t>(begin < items ? begin : items), static_cast<uint32_t>(end < items ? end : items)};
}

enum class Placement { kAnywhere, kOwnCores };

class ThreadPool {
 public:
  // num_threads >= 1; starts num_threads - 1 workers.
  explicit ThreadPool(uint32_t num_threads, Placement placement = Placement::kAnywhere);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  uint32_t num_threads() const { return num_threads_; }

  // work: callable as work(uint32_t thread). Runs with set_float_mode() on every thread, the caller's included.
  template <class Work>
  void run(Work&& work) {
    run_erased([](void* context, uint32_t thread) { (*static_cast<std::remove_reference_t<Work>*>(context))(thread); },
               const_cast<void*>(static_cast<const void*>(&work)));
  }

  // work: callable as work(uint32_t task, uint32_t thread), once for each task in [0, count): threads take the next one
  // as they are free. For tasks whose costs differ; who computes which is not fixed.
  template <class Work>
  void run_tasks(uint32_t count, Work&& work) {
    std::atomic<uint32_t> next{0};  // relaxed: only hands out numbers
    run([&](uint32_t thread) {
      for (uint32_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < count;) work(task, thread);
    });
  }

  // Two stages in one fork-join: first(task, thread) as run_tasks() does it; when all tasks are done, then(thread) as
  // run() does it. Nobody waits for a thread that has not begun a task, so a late worker delays nobody here either.
  template <class First, class Then>
  void run_tasks_then(uint32_t count, First&& first, Then&& then) {
    alignas(64) std::atomic<uint32_t> next{0};  // relaxed: only hands out numbers
    alignas(64) std::atomic<uint32_t> num_done{0};
    run([&](uint32_t thread) {
      if (thread < count) {  // the others would only come too late
        for (uint32_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
          first(task, thread);
          num_done.fetch_add(1, std::memory_order_release);
        }
      }
      wait_for_tasks(num_done, count);
      then(thread);
    });
  }

 private:
  struct Shared;
  using Function = void (*)(void* context, uint32_t thread);
  void run_erased(Function function, void* context);
  static void wait_for_tasks(const std::atomic<uint32_t>& num_done, uint32_t count);
  void work_loop(uint32_t thread, std::optional<uint32_t> core);

  const uint32_t num_threads_;
  std::unique_ptr<Shared> shared_;  // what owner and workers share; each field says how
};

}  // namespace slipstream
