// What the machine itself can do, for the measurements of the kernels: the other half of every share they print.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/clock.h"
#include "base/thread_pool.h"

namespace slipstream {

// The shortest of the times that work(run) takes for run = 1 .. runs, in seconds, after work(0), which is not
// counted. The shortest and not the median: what else the machine does only ever adds. Keep one run near a
// millisecond, so that some fall between the interruptions.
template <class Work>
double shortest_seconds(int runs, Work&& work) {
  double shortest = 1e9;
  for (int run = 0; run <= runs; ++run) {
    const double begin = Clock::real().now_s();
    work(run);
    const double seconds = Clock::real().now_s() - begin;
    if (run > 0 && seconds < shortest) shortest = seconds;
  }
  return shortest;
}

// GB/s of a plain read of `memory` (much larger than the caches), by all threads of the pool: the best of two ways.
double read_bandwidth(ThreadPool& pool, std::span<const std::byte> memory);
// Multiplications and additions, 10^12 a second, of the inner instructions alone: vpmaddwd with vpaddd, and fp32 FMA.
double pair_peak(ThreadPool& pool);
double fma_peak(ThreadPool& pool);

}  // namespace slipstream
