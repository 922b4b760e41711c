// Coroutines: Task, ResumeQueue and TaskPool together, as the I/O thread uses them.
#include "base/task.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/resume_queue.h"
#include "base/task_pool.h"

namespace slipstream {
namespace {

bool readable(const ResumeQueue& queue) {
  pollfd entry{queue.fd(), POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

// Resumes what comes until `done`.
void run_until(ResumeQueue& queue, const bool& done) {
  while (!done) {
    pollfd entry{queue.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, 10'000), 1) << "nothing was posted in ten seconds";
    queue.run();
  }
}

// co_await Posted{queue}: goes on when the queue runs.
struct Posted {
  ResumeQueue& queue;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) const { queue.post(coroutine); }
  void await_resume() const {}
};

Task<int> add(int a, int b) { co_return a + b; }
Task<int> add_three(int a, int b, int c) { co_return co_await add(co_await add(a, b), c); }
Task<void> fail() {
  throw std::runtime_error("no");
  co_return;
}

TEST(Task, nothing_runs_before_it_is_awaited) {
  bool ran = false;
  const auto work = [&]() -> Task<void> {
    ran = true;
    co_return;
  };
  {
    const Task<void> never = work();
    EXPECT_FALSE(ran);
  }
  EXPECT_FALSE(ran);
  start_detached(work());
  EXPECT_TRUE(ran);
}

TEST(Task, values_and_exceptions_reach_who_awaits) {
  std::string story;
  const auto work = [&]() -> Task<void> {
    story += std::to_string(co_await add_three(1, 2, 3));
    try {
      co_await fail();
    } catch (const std::runtime_error& error) {
      story += error.what();
    }
  };
  start_detached(work());
  EXPECT_EQ(story, "6no");
}

TEST(Task, what_it_ran_in_is_destroyed_once) {
  const auto counted = std::make_shared<int>(0);
  const auto work = [](std::shared_ptr<int> kept) -> Task<void> {
    ++*kept;
    co_return;
  };
  start_detached(work(counted));
  EXPECT_EQ(*counted, 1);
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(Task, when_all_goes_on_after_the_last) {
  ResumeQueue queue;
  std::string story;
  const auto part = [&](char name, int waits) -> Task<void> {
    for (int i = 0; i < waits; ++i) co_await Posted{queue};
    story += name;
  };
  const auto work = [&]() -> Task<void> {
    std::vector<Task<void>> parts;
    parts.push_back(part('a', 3));
    parts.push_back(part('b', 0));
    parts.push_back(part('c', 1));
    co_await WhenAll(std::move(parts));
    story += '.';
  };
  start_detached(work());
  while (readable(queue)) queue.run();
  EXPECT_EQ(story, "bca.");
}

TEST(ResumeQueue, is_readable_while_something_waits_and_resumes_in_order) {
  ResumeQueue queue;
  EXPECT_FALSE(readable(queue));
  EXPECT_EQ(queue.run(), 0u);
  std::string story;
  const auto work = [&](char name) -> Task<void> {
    co_await Posted{queue};
    story += name;
  };
  for (const char name : {'a', 'b', 'c'}) start_detached(work(name));
  EXPECT_TRUE(readable(queue));
  EXPECT_EQ(queue.run(), 3u);
  EXPECT_EQ(story, "abc");
  EXPECT_FALSE(readable(queue));
}

TEST(ResumeQueue, what_a_resumed_coroutine_posts_waits_for_the_next_run) {
  ResumeQueue queue;
  int turns = 0;
  const auto work = [&]() -> Task<void> {
    for (; turns < 3; ++turns) co_await Posted{queue};
  };
  start_detached(work());
  EXPECT_EQ(queue.run(), 1u);
  EXPECT_EQ(turns, 1);
  EXPECT_TRUE(readable(queue));
  queue.run();
  queue.run();
  EXPECT_EQ(turns, 3);
}

TEST(TaskPool, work_runs_elsewhere_and_the_coroutine_goes_on_at_home) {
  ResumeQueue queue;
  TaskPool pool(2, queue);
  const std::thread::id home = std::this_thread::get_id();
  std::thread::id worked, went_on;
  bool done = false;
  const auto work = [&]() -> Task<void> {
    worked = co_await pool.run([] { return std::this_thread::get_id(); });
    went_on = std::this_thread::get_id();
    done = true;
  };
  start_detached(work());
  run_until(queue, done);
  EXPECT_NE(worked, home);
  EXPECT_EQ(went_on, home);
}

TEST(TaskPool, an_exception_of_the_work_reaches_the_coroutine) {
  ResumeQueue queue;
  TaskPool pool(1, queue);
  std::string caught;
  bool done = false;
  const auto work = [&]() -> Task<void> {
    try {
      co_await pool.run([]() -> int { throw std::runtime_error("bad"); });
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    done = true;
  };
  start_detached(work());
  run_until(queue, done);
  EXPECT_EQ(caught, "bad");
}

TEST(TaskPool, a_long_line_does_not_hold_up_another) {
  ResumeQueue queue;
  TaskPool pool(1, queue, 3);
  std::latch all_are_there(1);
  std::vector<int> order;
  bool done = false;
  const auto part = [&](int number, uint32_t line) -> Task<void> {
    co_await pool.run(
        [&order, &all_are_there, number] {
          all_are_there.wait();
          order.push_back(number);
          return 0;
        },
        line);
  };
  const auto work = [&]() -> Task<void> {
    std::vector<Task<void>> parts;
    for (int number = 0; number < 20; ++number) parts.push_back(part(number, 0));
    parts.push_back(part(100, 2));
    parts.push_back(part(101, 2));
    co_await WhenAll(std::move(parts));
    done = true;
  };
  start_detached(work());
  all_are_there.count_down();
  run_until(queue, done);
  EXPECT_EQ(std::vector(order.begin(), order.begin() + 6), (std::vector<int>{0, 100, 1, 101, 2, 3}));
}

TEST(TaskPool, hundreds_of_jobs_all_come_back) {
  ResumeQueue queue;
  TaskPool pool(3, queue);
  int sum = 0;
  bool done = false;
  const auto part = [&](int number) -> Task<void> { sum += co_await pool.run([number] { return number; }); };
  const auto work = [&]() -> Task<void> {
    std::vector<Task<void>> parts;
    for (int number = 1; number <= 500; ++number) parts.push_back(part(number));
    co_await WhenAll(std::move(parts));
    done = true;
  };
  start_detached(work());
  run_until(queue, done);
  EXPECT_EQ(sum, 500 * 501 / 2);
}

}  // namespace
}  // namespace slipstream
