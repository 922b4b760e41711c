#include "kernels/machine_limits.h"

#include <immintrin.h>

#include <algorithm>
#include <vector>

#include "kernels/peak_loops.h"

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

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

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

double peak(ThreadPool& pool, const PeakLoop& loop) {
  const double seconds = shortest_seconds(20, [&](int) { pool.run([&](uint32_t) { loop.run(kLoops); }); });
  return kLoops * loop.operations * pool.num_threads() / seconds * 1e-12;
}

}  // namespace

const PeakLoop kAvx2IntegerLoop{run_pairs, 12.0 * 16 * 2};
const PeakLoop kAvx2FmaLoop{run_fmas, 12.0 * 8 * 2};

double read_bandwidth(ThreadPool& pool, std::span<const std::byte> memory, ReadWay* best_way) {
  constexpr size_t kPart = 8 << 20;  // of each thread in one run; the next run reads on from there
  constexpr int kRuns = 9;
  const size_t share = memory.size() / pool.num_threads();
  const size_t part = std::min(kPart, share / 2);
  double best = 0;
  size_t run = 0;
  std::vector<uint64_t> sinks(pool.num_threads() * 8);
  std::vector<double> seconds(kRuns);
  for (const ReadWay& way : kReadWays) {
    for (double& of_run : seconds) {
      const size_t offset = run++ * part % (share - part + 1) / 64 * 64;
      const double begin = Clock::real().now_s();
      pool.run([&](uint32_t thread) {
        read_part(memory.subspan(thread * share + offset, part), way, &sinks[thread * 8]);
      });
      of_run = Clock::real().now_s() - begin;
    }
    const double rate = static_cast<double>(part) * pool.num_threads() / median(seconds) * 1e-9;
    if (rate <= best) continue;
    best = rate;
    if (best_way != nullptr) *best_way = way;
  }
  return best;
}

double integer_peak(ThreadPool& pool, Isa isa) {
  const double pairs = peak(pool, kAvx2IntegerLoop);
  if (isa != Isa::kAvx512) return pairs;
  return std::max({pairs, peak(pool, kAvx512IntegerLoop), peak(pool, kAvx512CoupledLoop)});
}

double fma_peak(ThreadPool& pool, Isa isa) {
  const double narrow = peak(pool, kAvx2FmaLoop);
  return isa == Isa::kAvx512 ? std::max(narrow, peak(pool, kAvx512FmaLoop)) : narrow;
}

MachineLimits measure_machine(ThreadPool& pool, std::span<const std::byte> memory, Isa isa) {
  MachineLimits limits;
  limits.read_gb_s = read_bandwidth(pool, memory, &limits.read_way);
  limits.integer_tops = integer_peak(pool, isa);
  limits.fma_tops = fma_peak(pool, isa);
  return limits;
}

}  // namespace slipstream
