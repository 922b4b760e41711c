#include "kernels/machine_limits.h"

#include <immintrin.h>

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "base/percentile.h"

namespace slipstream {
namespace {

constexpr ReadWay kReadWays[] = {{1, 0},    {2, 0},    {4, 0},    {8, 0},    {1, 2048}, {2, 2048},
                                 {4, 2048}, {8, 2048}, {1, 8192}, {2, 8192}, {4, 8192}, {8, 8192}};

// Reads `streams` stretches of a thread's part side by side: which number is best differs between machines (AVX2.md
// 2). Hint: of _mm_prefetch, or -1.
template <int kStreams, int kHint>
void read_streams(std::span<const std::byte> part, uint32_t ahead, uint64_t* sink) {
  const size_t bytes = part.size() / kStreams / 128 * 128;
  const auto* data = reinterpret_cast<const char*>(part.data());
  __m256i sums[4] = {};
  for (size_t i = 0; i < bytes; i += 128) {
    for (size_t s = 0; s < kStreams; ++s) {
      const char* line = data + s * bytes + i;
      if constexpr (kHint == 0) {
        _mm_prefetch(line + ahead, _MM_HINT_T0);
        _mm_prefetch(line + ahead + 64, _MM_HINT_T0);
      } else if constexpr (kHint == 1) {
        _mm_prefetch(line + ahead, _MM_HINT_T1);
        _mm_prefetch(line + ahead + 64, _MM_HINT_T1);
      }
      for (int j = 0; j < 4; ++j) {
        sums[j] = _mm256_xor_si256(sums[j], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(line) + j));
      }
    }
  }
  const __m256i sum = _mm256_xor_si256(_mm256_xor_si256(sums[0], sums[1]), _mm256_xor_si256(sums[2], sums[3]));
  *sink = static_cast<uint64_t>(_mm256_extract_epi64(sum, 0));
}

template <int kStreams>
void read_in_way(std::span<const std::byte> part, uint32_t ahead, uint64_t* sink) {
  if (ahead == 0) return read_streams<kStreams, -1>(part, ahead, sink);
  ahead < 4096 ? read_streams<kStreams, 0>(part, ahead, sink) : read_streams<kStreams, 1>(part, ahead, sink);
}

void read_part(std::span<const std::byte> part, const ReadWay& way, uint64_t* sink) {
  switch (way.streams) {
    case 1: return read_in_way<1>(part, way.prefetch_bytes, sink);
    case 2: return read_in_way<2>(part, way.prefetch_bytes, sink);
    case 4: return read_in_way<4>(part, way.prefetch_bytes, sink);
    default: return read_in_way<8>(part, way.prefetch_bytes, sink);
  }
}

// What read_bandwidth() and a look read at once: a stretch of each thread's share of the memory, the next each time.
class Stretches {
 public:
  Stretches(ThreadPool& pool, std::span<const std::byte> memory)
      : pool_(pool),
        memory_(memory),
        share_(memory.size() / pool.num_threads()),
        bytes_(std::min(kMost, share_ / 2)) {}

  size_t bytes() const { return bytes_ * pool_.num_threads(); }
  void read(const ReadWay& way, size_t run) {
    const size_t offset = run * bytes_ % (share_ - bytes_ + 1) / 64 * 64;
    pool_.run([&](uint32_t thread) {
      uint64_t sink;
      read_part(memory_.subspan(thread * share_ + offset, bytes_), way, &sink);
      asm volatile("" ::"r"(sink));
    });
  }

 private:
  static constexpr size_t kMost = 8 << 20;
  ThreadPool& pool_;
  std::span<const std::byte> memory_;
  size_t share_, bytes_;
};

// Twelve chains, as in the kernels' tiles.
#define CHAIN(op, i) op " %%ymm12, %%ymm13, %%ymm" #i "\n\t"
#define PAIR(i) "vpmaddwd %%ymm12, %%ymm13, %%ymm14\n\tvpaddd %%ymm14, %%ymm" #i ", %%ymm" #i "\n\t"
#define FMA(i) CHAIN("vfmadd231ps", i)
#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define LOOP(X) \
  "vpxor %%xmm12, %%xmm12, %%xmm12\n\tvpxor %%xmm13, %%xmm13, %%xmm13\n1:\n\t" TWELVE(X) "dec %0\n\tjnz 1b\n\t"
#define CLOBBERS                                                                                                   \
  "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
      "xmm13", "xmm14", "xmm15"

void run_pairs(uint64_t loops) { asm volatile(LOOP(PAIR) : "+r"(loops)::CLOBBERS); }
void run_fmas(uint64_t loops) { asm volatile(LOOP(FMA) : "+r"(loops)::CLOBBERS); }

constexpr uint64_t kLoops = 100'000;

double operations(ThreadPool& pool, const PeakLoop& loop) {
  return kLoops * loop.operations * pool.num_threads();
}

void run_loop(ThreadPool& pool, const PeakLoop& loop) {
  pool.run([&](uint32_t) { loop.run(kLoops); });
}

double peak(ThreadPool& pool, const PeakLoop& loop) {
  return operations(pool, loop) / shortest_seconds(20, [&](int) { run_loop(pool, loop); }) * 1e-12;
}

struct MeasuredLoop {
  const PeakLoop* loop = nullptr;
  double tops = 0;
};

MeasuredLoop fastest(ThreadPool& pool, std::initializer_list<const PeakLoop*> loops) {
  MeasuredLoop best;
  for (const PeakLoop* loop : loops) {
    if (const double tops = peak(pool, *loop); tops > best.tops) best = {loop, tops};
  }
  return best;
}

MeasuredLoop integer_loop(ThreadPool& pool, Isa isa) {
  if (isa < Isa::kAvx512) return fastest(pool, {&kAvx2IntegerLoop});
  return fastest(pool, {&kAvx2IntegerLoop, &kAvx512IntegerLoop, &kAvx512CoupledLoop});
}

MeasuredLoop fma_loop(ThreadPool& pool, Isa isa) {
  if (isa < Isa::kAvx512) return fastest(pool, {&kAvx2FmaLoop});
  return fastest(pool, {&kAvx2FmaLoop, &kAvx512FmaLoop});
}

// `amount` a time, over and over for so long: the amount of a second.
template <class Work>
double rate_of(double seconds, double amount, Work&& work) {
  const double begin = Clock::real().now_s();
  double sum = 0, elapsed = 0;
  do {
    work();
    sum += amount;
    elapsed = Clock::real().now_s() - begin;
  } while (elapsed < seconds);
  return sum / elapsed;
}

}  // namespace

const PeakLoop kAvx2IntegerLoop{run_pairs, 12.0 * 16 * 2};
const PeakLoop kAvx2FmaLoop{run_fmas, 12.0 * 8 * 2};

double read_bandwidth(ThreadPool& pool, std::span<const std::byte> memory, ReadWay* best_way) {
  constexpr int kRuns = 9;
  Stretches stretches(pool, memory);
  double best = 0;
  size_t run = 0;
  std::vector<double> seconds(kRuns);
  for (const ReadWay& way : kReadWays) {
    for (double& of_run : seconds) {
      const double begin = Clock::real().now_s();
      stretches.read(way, run++);
      of_run = Clock::real().now_s() - begin;
    }
    const double rate = static_cast<double>(stretches.bytes()) / median(seconds) * 1e-9;
    if (rate <= best) continue;
    best = rate;
    if (best_way != nullptr) *best_way = way;
  }
  return best;
}

double integer_peak(ThreadPool& pool, Isa isa) { return integer_loop(pool, isa).tops; }

double fma_peak(ThreadPool& pool, Isa isa) { return fma_loop(pool, isa).tops; }

MachineWatch::MachineWatch(ThreadPool& pool, std::span<const std::byte> memory, Isa isa)
    : pool_(pool),
      memory_(memory),
      integer_loop_(integer_loop(pool, isa).loop),
      fma_loop_(fma_loop(pool, isa).loop) {
  read_bandwidth(pool, memory, &read_way_);
}

void MachineWatch::look(double seconds) {
  Stretches stretches(pool_, memory_);
  const auto read = [&] { stretches.read(read_way_, num_reads_++); };
  read_gb_s_.push_back(rate_of(seconds, static_cast<double>(stretches.bytes()) * 1e-9, read));
  const auto loop_rate = [&](const PeakLoop& loop) {
    return rate_of(seconds, operations(pool_, loop) * 1e-12, [&] { run_loop(pool_, loop); });
  };
  integer_tops_.push_back(loop_rate(*integer_loop_));
  fma_tops_.push_back(loop_rate(*fma_loop_));
}

MachineLimits MachineWatch::limits() const {
  return {median(read_gb_s_), read_way_, median(integer_tops_), median(fma_tops_)};
}

MachineLimits measure_machine(ThreadPool& pool, std::span<const std::byte> memory, Isa isa) {
  MachineLimits limits;
  limits.read_gb_s = read_bandwidth(pool, memory, &limits.read_way);
  limits.integer_tops = integer_peak(pool, isa);
  limits.fma_tops = fma_peak(pool, isa);
  return limits;
}

}  // namespace slipstream
