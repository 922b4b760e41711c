#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "base/float_mode.h"
#include "base/processors.h"

namespace slipstream {
namespace {

TEST(ThreadPool, every_part_is_done_once_in_every_run) {
  for (const uint32_t num_threads : {1u, 2u, 3u, 5u}) {
    ThreadPool pool(num_threads);
    std::vector<uint32_t> counts(num_threads);  // plain numbers: a part done twice at once would be a race
    for (uint32_t run = 1; run <= 3000; ++run) {
      pool.run([&](uint32_t thread) { ++counts[thread]; });
      for (const uint32_t count : counts) ASSERT_EQ(count, run);
    }
  }
}

// A worker that has fallen asleep, or that the system has set aside, keeps nobody waiting for long: the owner does its
// part.
TEST(ThreadPool, a_run_after_a_pause_is_complete_too) {
  ThreadPool pool(3);
  for (uint32_t run = 0; run < 20; ++run) {
    std::this_thread::sleep_for(std::chrono::milliseconds(run));
    std::vector<uint32_t> counts(3);
    pool.run([&](uint32_t thread) { ++counts[thread]; });
    EXPECT_EQ(counts, std::vector<uint32_t>(3, 1));
  }
}

TEST(ThreadPool, every_part_runs_in_the_float_mode_and_the_callers_own_comes_back) {
  ThreadPool pool(3);
  const unsigned outer = _mm_getcsr();
  std::vector<unsigned> modes(3);
  for (uint32_t run = 0; run < 100; ++run) {
    pool.run([&](uint32_t thread) { modes[thread] = _mm_getcsr() & 0xffc0; });
    EXPECT_EQ(modes, std::vector<unsigned>(3, 0x1f80 | 0x8000 | 0x0040));
    EXPECT_EQ(_mm_getcsr(), outer);
  }
}

TEST(ThreadPool, split_gives_every_item_to_one_thread) {
  for (const uint32_t items : {0u, 1u, 7u, 64u, 1000u}) {
    for (const uint32_t num_threads : {1u, 2u, 3u, 16u}) {
      for (const uint32_t unit : {1u, 4u}) {
        uint32_t next = 0;
        for (uint32_t thread = 0; thread < num_threads; ++thread) {
          const Range part = split(items, thread, num_threads, unit);
          EXPECT_EQ(part.begin, next);
          EXPECT_TRUE(part.end == items || part.end % unit == 0);
          next = part.end;
        }
        EXPECT_EQ(next, items);
      }
    }
  }
}

TEST(ThreadPool, each_task_is_done_once_whoever_takes_it) {
  ThreadPool pool(3);
  for (const uint32_t count : {0u, 1u, 2u, 1000u}) {
    std::vector<std::atomic<uint32_t>> done(count);
    std::atomic<bool> known_threads{true};
    pool.run_tasks(count, [&](uint32_t task, uint32_t thread) {
      done[task].fetch_add(1);
      if (thread >= 3) known_threads = false;
    });
    for (const auto& times : done) EXPECT_EQ(times.load(), 1u);
    EXPECT_TRUE(known_threads);
  }
}

TEST(ThreadPool, the_second_stage_begins_when_all_tasks_are_done) {
  ThreadPool pool(3);
  for (const uint32_t count : {0u, 1u, 2u, 7u, 100u}) {
    for (uint32_t run = 0; run < 300; ++run) {
      std::vector<uint32_t> done(count);  // plain numbers: who reads them before all are written is in a race
      std::vector<uint32_t> seen(3);
      pool.run_tasks_then(
          count, [&](uint32_t task, uint32_t) { ++done[task]; },
          [&](uint32_t thread) {
            for (const uint32_t times : done) seen[thread] += times;
          });
      ASSERT_EQ(done, std::vector<uint32_t>(count, 1));
      ASSERT_EQ(seen, std::vector<uint32_t>(3, count));
    }
  }
}

// How many processors a worker of such a pool may run on.
int processors_of_worker(uint32_t num_threads, Placement placement) {
  ThreadPool pool(num_threads, placement);
  const std::thread::id owner = std::this_thread::get_id();
  std::atomic<int> count{0};
  while (count == 0) {  // where a worker is late, the owner does its part
    pool.run([&](uint32_t) {
      if (std::this_thread::get_id() == owner) return;
      cpu_set_t allowed;
      ASSERT_EQ(::sched_getaffinity(0, sizeof(allowed), &allowed), 0);
      count = CPU_COUNT(&allowed);
    });
  }
  return count;
}

TEST(ThreadPool, workers_are_bound_to_cores_only_where_all_cores_are_theirs) {
  cpu_set_t before, after;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
  const uint32_t cores = num_usable_cores();
  if (cores > 1 && usable_cores().size() == cores) {
    EXPECT_EQ(processors_of_worker(cores, Placement::kOwnCores), 1);
    EXPECT_EQ(processors_of_worker(cores, Placement::kAnywhere), CPU_COUNT(&before));
  }
  EXPECT_EQ(processors_of_worker(cores + 1, Placement::kOwnCores), CPU_COUNT(&before));
  ASSERT_EQ(::sched_getaffinity(0, sizeof(after), &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after)) << "the owner is not bound";
}

}  // namespace
}  // namespace slipstream
