#include "base/task_pool.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/this_thread.h"

namespace slipstream {

struct TaskPool::State {
  ResumeQueue* home = nullptr;
  std::vector<std::thread> threads;

  std::mutex mutex;  // guards what follows
  std::condition_variable arrived;
  struct Line {
    Job* first = nullptr;  // waiting jobs, oldest first
    Job* last = nullptr;
  };
  std::vector<Line> lines;
  size_t turn = 0;         // the line that is looked at first
  size_t num_jobs = 0;
  bool stopping = false;

  // Null: the pool ends and nothing waits.
  Job* take() {
    std::unique_lock lock(mutex);
    arrived.wait(lock, [this] { return num_jobs > 0 || stopping; });
    if (num_jobs == 0) return nullptr;
    while (lines[turn].first == nullptr) turn = (turn + 1) % lines.size();
    Line& line = lines[turn];
    turn = (turn + 1) % lines.size();
    --num_jobs;
    Job* const job = line.first;
    line.first = job->next;
    if (line.first == nullptr) line.last = nullptr;
    return job;
  }

  void work_loop() {
    name_this_thread("task");
    yield_this_thread();
    while (Job* const job = take()) {
      const std::coroutine_handle<> awaiting = job->awaiting;
      job->work(job);
      home->post(awaiting);  // the job may be gone from here on
    }
  }
};

TaskPool::TaskPool(uint32_t num_threads, ResumeQueue& home, uint32_t num_lines) : state_(std::make_unique<State>()) {
  CHECK(num_threads >= 1 && num_lines >= 1, "{} threads, {} lines", num_threads, num_lines);
  state_->home = &home;
  state_->lines.resize(num_lines);
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
    CHECK(job->line < state_->lines.size(), "line {} of {}", job->line, state_->lines.size());
    State::Line& line = state_->lines[job->line];
    if (line.last != nullptr) line.last->next = job;
    else line.first = job;
    line.last = job;
    ++state_->num_jobs;
  }
  state_->arrived.notify_one();
}

}  // namespace slipstream
