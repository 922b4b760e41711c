// What the machine itself can do: the other half of every share that a benchmark prints. Each number is the best of the
// ways that are known, and a kernel that passes it shows that there is a better one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "kernels/peak_loops.h"

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

// The machine's speed while something else is measured: on a machine that others use too it changes within a second,
// and a share is of what the machine could do at that time. Each look measures every kind once more, in the way that
// was best at first; the limits are the looks' medians, as what they stand beside is a median.
class MachineWatch {
 public:
  // `memory`: much larger than the caches, and not zeros. Takes about 0.2 s.
  MachineWatch(ThreadPool& pool, std::span<const std::byte> memory, Isa isa);

  // Takes about so long for each of the three kinds.
  void look(double seconds);
  // After the first look.
  MachineLimits limits() const;

 private:
  ThreadPool& pool_;
  const std::span<const std::byte> memory_;
  ReadWay read_way_;
  const PeakLoop* integer_loop_;
  const PeakLoop* fma_loop_;
  size_t num_reads_ = 0;
  std::vector<double> read_gb_s_, integer_tops_, fma_tops_;  // of each look
};

// By all threads of the pool with the instructions of `isa` (the reference has AVX2's). `memory`: much larger than the
// caches, and not zeros. Takes about 0.2 s.
MachineLimits measure_machine(ThreadPool& pool, std::span<const std::byte> memory, Isa isa);

// The same one by one. GB/s; every way's median of some runs, then the best of the ways.
double read_bandwidth(ThreadPool& pool, std::span<const std::byte> memory, ReadWay* best_way = nullptr);
double integer_peak(ThreadPool& pool, Isa isa);
double fma_peak(ThreadPool& pool, Isa isa);

}  // namespace slipstream
