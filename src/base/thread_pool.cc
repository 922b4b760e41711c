#include "base/thread_pool.h"

#include <immintrin.h>

#include <thread>
#include <vector>

#include "base/check.h"
#include "base/float_mode.h"
#include "base/processors.h"
#include "base/this_thread.h"

namespace slipstream {
namespace {

// About 2 ms of `pause` (12-24 ns each): longer than the gap between two steps of a busy engine, short enough that an
// idle server sleeps.
constexpr uint32_t kSpins = 100'000;

// Now and then who spins offers its core to whoever else wants to run: with more threads than cores, that may be the
// one it waits for. Where nobody does, it costs 0.2 us in 12-24 (the owner) or in 50-100 (a worker).
constexpr uint32_t kOwnerSpins = 1024;
constexpr uint32_t kWorkerSpins = 4096;

// One part of the work: the worker of that number takes it, or the owner when the worker is late, as it is when the
// system has given its core to somebody else for some milliseconds. Whoever moves `claimed` from epoch - 1 to epoch
// does the part.
struct alignas(128) WorkerFlag {
  std::atomic<uint32_t> claimed{0};
  std::atomic<uint32_t> done{0};  // the last epoch this worker finished; written by it, read by the owner

  bool claim(uint32_t epoch) {
    uint32_t before = epoch - 1;
    return claimed.compare_exchange_strong(before, epoch, std::memory_order_acq_rel);
  }
};

}  // namespace

struct ThreadPool::Shared {
  alignas(128) std::atomic<uint32_t> epoch{0};  // grows by one per run; written by the owner, workers wait on it
  std::atomic<uint32_t> num_asleep{0};          // workers in (or about to enter) a futex wait
  Function function = nullptr;                  // set before `epoch` is released; read by who has claimed a part of it
  void* context = nullptr;
  std::atomic<bool> stop{false};
  std::unique_ptr<WorkerFlag[]> flags;
  std::vector<std::thread> workers;
};

ThreadPool::ThreadPool(uint32_t num_threads, Placement placement)
    : num_threads_(num_threads), shared_(std::make_unique<Shared>()) {
  CHECK(num_threads >= 1, "num_threads {}", num_threads);
  shared_->flags = std::make_unique<WorkerFlag[]>(num_threads);
  const std::vector<uint32_t> cores = placement == Placement::kOwnCores ? usable_cores() : std::vector<uint32_t>();
  const bool own_cores = cores.size() == num_threads && num_usable_cores() == num_threads;
  for (uint32_t thread = 1; thread < num_threads; ++thread) {
    const std::optional<uint32_t> core = own_cores ? std::optional(cores[thread]) : std::nullopt;
    shared_->workers.emplace_back([this, thread, core] { work_loop(thread, core); });
  }
}

ThreadPool::~ThreadPool() {
  shared_->stop.store(true);
  shared_->epoch.fetch_add(1);
  shared_->epoch.notify_all();
  for (std::thread& worker : shared_->workers) worker.join();
}

void ThreadPool::run_erased(Function function, void* context) {
  const FloatModeScope float_mode;
  if (num_threads_ == 1) return function(context, 0);

  Shared& shared = *shared_;
  shared.function = function;
  shared.context = context;
  const uint32_t epoch = shared.epoch.load(std::memory_order_relaxed) + 1;
  shared.epoch.store(epoch);  // seq_cst with num_asleep below: a worker that missed it is seen asleep
  if (shared.num_asleep.load() != 0) shared.epoch.notify_all();

  function(context, 0);
  for (uint32_t thread = 1; thread < num_threads_; ++thread) {
    WorkerFlag& flag = shared.flags[thread];
    if (flag.claim(epoch)) {
      function(context, thread);
      continue;
    }
    uint32_t spins = 0;
    while (flag.done.load(std::memory_order_acquire) != epoch) {
      if (++spins % kOwnerSpins == 0) std::this_thread::yield();
      _mm_pause();
    }
  }
}

void ThreadPool::wait_for_tasks(const std::atomic<uint32_t>& num_done, uint32_t count) {
  uint32_t spins = 0;
  while (num_done.load(std::memory_order_acquire) != count) {
    if (++spins % kOwnerSpins == 0) std::this_thread::yield();
    _mm_pause();
  }
}

void ThreadPool::work_loop(uint32_t thread, std::optional<uint32_t> core) {
  name_this_thread("compute");
  if (core) pin_this_thread(*core);
  set_float_mode();
  Shared& shared = *shared_;
  uint32_t seen = 0;
  while (true) {
    uint32_t spins = 0;
    while (shared.epoch.load(std::memory_order_acquire) == seen) {
      if (++spins < kSpins) {
        if (spins % kWorkerSpins == 0) std::this_thread::yield();
        _mm_pause();
        continue;
      }
      shared.num_asleep.fetch_add(1);
      shared.epoch.wait(seen);
      shared.num_asleep.fetch_sub(1);
      spins = 0;
    }
    seen = shared.epoch.load(std::memory_order_acquire);
    if (shared.stop.load()) return;
    if (!shared.flags[thread].claim(seen)) continue;  // the owner was first
    shared.function(shared.context, thread);
    shared.flags[thread].done.store(seen, std::memory_order_release);
  }
}

}  // namespace slipstream
