#include "base/task_pool.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"

namespace slipstream {

struct TaskPool::State {
  ResumeQueue* home = nullptr;
  std::vector<std::thread> threads;

  std::mutex mutex;  // guards what follows
  std::condition_variable arrived;
  Job* first = nullptr;  // waiting jobs, oldest first
  Job* last = nullptr;
  bool stopping = false;

  // Null: the pool ends and nothing waits.
  Job* take() {
    std::unique_lock lock(mutex);
    arrived.wait(lock, [this] { return first != nullptr || stopping; });
    Job* const job = first;
    if (job == nullptr) return nullptr;
    first = job->next;
    if (first == nullptr) last = nullptr;
    return job;
  }

  void work_loop() {
    while (Job* const job = take()) {
      const std::coroutine_handle<> awaiting = job->awaiting;
      job->work(job);
      home->post(awaiting);  // the job may be gone from here on
    }
  }
};

TaskPool::TaskPool(uint32_t num_threads, ResumeQueue& home) : state_(std::make_unique<State>()) {
  CHECK(num_threads >= 1, "num_threads {}", num_threads);
  state_->home = &home;
  for (uint32_t thread = 0; thread < num_threads; ++thread) {
    state_->threads.emplace_back([state = state_.get()] { state->work_loop(); });
  }
}

TaskPool::~TaskPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->arrived.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

void TaskPool::add(Job* job) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->last != nullptr) state_->last->next = job;
    else state_->first = job;
    state_->last = job;
  }
  state_->arrived.notify_one();
}

}  // namespace slipstream
