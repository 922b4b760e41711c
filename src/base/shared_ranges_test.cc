#include "base/shared_ranges.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace slipstream {
namespace {

TEST(SharedRanges, each_item_is_given_to_one_thread_in_every_fork_join) {
  for (const uint32_t num_threads : {1u, 2u, 3u, 5u}) {
    ThreadPool pool(num_threads);
    SharedRanges ranges(num_threads);
    for (const uint32_t count : {0u, 1u, 2u, 7u, 64u, 1000u}) {
      for (const uint32_t least : {0u, 1u, 3u, 16u, 2000u}) {
        for (uint32_t run = 0; run < 20; ++run) {
          std::vector<uint32_t> times(count);  // plain numbers: an item given twice at once would be a race
          pool.run([&](uint32_t thread) {
            ranges.share(count, least, thread, [&](Range items) {
              ASSERT_FALSE(items.empty());
              for (uint32_t i = items.begin; i < items.end; ++i) ++times[i];
            });
          });
          ASSERT_EQ(times, std::vector<uint32_t>(count, 1));
        }
      }
    }
  }
}

TEST(SharedRanges, a_piece_is_not_smaller_than_is_worth_it) {
  ThreadPool pool(2);
  SharedRanges ranges(2);
  std::atomic<uint32_t> smallest{1000};
  pool.run([&](uint32_t thread) {
    ranges.share(1000, 7, thread, [&](Range items) {
      for (uint32_t seen = smallest; items.size() < seen && !smallest.compare_exchange_weak(seen, items.size());) {
      }
    });
  });
  EXPECT_GE(smallest, 7u);
}

// The first piece of one thread lasts until everything else is done: the other one does it.
TEST(SharedRanges, what_a_slow_thread_has_not_begun_is_done_by_others) {
  ThreadPool pool(2);
  SharedRanges ranges(2);
  std::atomic<uint32_t> num_done{0};
  pool.run([&](uint32_t thread) {
    ranges.share(1000, 1, thread, [&](Range items) {
      while (items.begin == 0 && num_done != 1000 - items.size()) std::this_thread::yield();
      num_done += items.size();
    });
  });
  EXPECT_EQ(num_done, 1000u);
}

}  // namespace
}  // namespace slipstream
