// What the machine itself can do: the other half of every share that a benchmark prints. Each number is the best of the
// ways that are known, and a kernel that passes it shows that there is a better one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"

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

// One way of reading memory.
struct ReadWay {
  uint32_t streams = 1;        // of each thread, side by side
  uint32_t prefetch_bytes = 0; // asked for ahead, into L2 where it is 4096 and more, else into L1; 0: not at all
};

struct MachineLimits {
  double read_gb_s = 0;     // a plain read of memory, all threads
  ReadWay read_way;         // that was the best
  double integer_tops = 0;  // 10^12 multiplications and additions a second: int16 activations, weights in registers
  double fma_tops = 0;      // of fp32
};

// By all threads of the pool with the instructions of `isa` (the reference has AVX2's). `memory`: much larger than the
// caches, and not zeros. Takes about 0.2 s.
MachineLimits measure_machine(ThreadPool& pool, std::span<const std::byte> memory, Isa isa);

// The same one by one. GB/s; every way's median of some runs, then the best of the ways.
double read_bandwidth(ThreadPool& pool, std::span<const std::byte> memory, ReadWay* best_way = nullptr);
double integer_peak(ThreadPool& pool, Isa isa);
double fma_peak(ThreadPool& pool, Isa isa);

}  // namespace slipstream
