// Divides items among the threads of a fork-join evenly, but not for good: a thread takes its own from the front, half
// of what is left at a time; when it has none it takes some of another's from the back, of one whose core is slower or
// does something else for a while. Which thread does which items is not fixed.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/thread_pool.h"

namespace slipstream {

class SharedRanges {
 public:
  explicit SharedRanges(uint32_t num_threads)
      : num_threads_(num_threads), left_(std::make_unique<Left[]>(num_threads)) {}

  // work(Range) for pieces of [0, count), of not fewer than `least` items where there are as many. Each thread of one
  // fork-join calls it once, with the same count and least; in the next fork-join they may share other items.
  template <class Work>
  void share(uint32_t count, uint32_t least, uint32_t thread, const Work& work) {
    least = std::max(least, 1u);
    const Range mine = split(count, thread, num_threads_);
    const uint32_t first = piece_of(mine, least);
    // A thread that has not come so far has nothing left from before, so nobody takes anything wrong from it.
    left_[thread].range.store(pack({mine.begin + first, mine.end}), std::memory_order_relaxed);
    if (first != 0) work(Range{mine.begin, mine.begin + first});
    for (Range own; !(own = take(left_[thread], least, true)).empty();) work(own);
    // Not of everybody: asking all costs more than it brings where there are many threads.
    for (uint32_t bit = 1; bit < num_threads_; bit *= 2) {
      const uint32_t other = thread ^ bit;
      if (other >= num_threads_) continue;
      for (Range taken; !(taken = take(left_[other], least, false)).empty();) work(taken);
    }
  }

 private:
  // Relaxed: only numbers; what the items are made of was there before the fork-join.
  struct alignas(128) Left {
    std::atomic<uint64_t> range{0};  // begin, end: what nobody has taken yet; nothing between two fork-joins
  };
  static uint64_t pack(Range range) { return uint64_t{range.begin} << 32 | range.end; }
  static uint32_t piece_of(Range range, uint32_t least) {
    return range.size() < 2 * least ? range.size() : range.size() / 2;
  }

  static Range take(Left& left, uint32_t least, bool front) {
    uint64_t before = left.range.load(std::memory_order_relaxed);
    while (true) {
      const Range range{static_cast<uint32_t>(before >> 32), static_cast<uint32_t>(before)};
      if (range.empty()) return {};
      const uint32_t count = piece_of(range, least);
      const Range taken = front ? Range{range.begin, range.begin + count} : Range{range.end - count, range.end};
      const Range rest = front ? Range{taken.end, range.end} : Range{range.begin, taken.begin};
      if (left.range.compare_exchange_weak(before, pack(rest), std::memory_order_relaxed)) return taken;
    }
  }

  const uint32_t num_threads_;
  std::unique_ptr<Left[]> left_;  // [num_threads]
};

}  // namespace slipstream
