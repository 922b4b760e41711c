#include "machine_limits.h"

#include <immintrin.h>

#include <vector>

namespace slipstream {
namespace {

// Reads `streams` stretches of a thread's part side by side: which number is best differs between machines (AVX2.md
// 2).
void read_streams(std::span<const std::byte> part, uint32_t streams, uint64_t* sink) {
  const size_t bytes = part.size() / streams / 64 * 64;
  __m256i sum = _mm256_setzero_si256();
  for (size_t i = 0; i < bytes; i += 64) {
    for (uint32_t s = 0; s < streams; ++s) {
      const auto* line = reinterpret_cast<const __m256i*>(part.data() + s * bytes + i);
      _mm_prefetch(reinterpret_cast<const char*>(line) + 2048, _MM_HINT_T0);
      sum = _mm256_xor_si256(sum, _mm256_xor_si256(_mm256_loadu_si256(line), _mm256_loadu_si256(line + 1)));
    }
  }
  *sink = static_cast<uint64_t>(_mm256_extract_epi64(sum, 0));
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

constexpr uint64_t kLoops = 200'000;

void run_pairs() {
  uint64_t n = kLoops;
  asm volatile(LOOP(PAIR) : "+r"(n)::CLOBBERS);
}

void run_fmas() {
  uint64_t n = kLoops;
  asm volatile(LOOP(FMA) : "+r"(n)::CLOBBERS);
}

double peak(ThreadPool& pool, void (*run)(), double operations_a_loop) {
  const double seconds = shortest_seconds(50, [&](int) { pool.run([&](uint32_t) { run(); }); });
  return kLoops * operations_a_loop * pool.num_threads() / seconds * 1e-12;
}

}  // namespace

double read_bandwidth(ThreadPool& pool, std::span<const std::byte> memory) {
  constexpr size_t kPart = 8 << 20;  // of each thread in one run; the next run reads on from there
  const size_t share = memory.size() / pool.num_threads();
  double best = 0;
  std::vector<uint64_t> sinks(pool.num_threads() * 8);
  for (uint32_t streams : {1u, 2u, 4u}) {
    const double seconds = shortest_seconds(30, [&](int run) {
      pool.run([&](uint32_t thread) {
        const size_t begin = thread * share + (run * kPart) % (share - kPart + 1) / 64 * 64;
        read_streams(memory.subspan(begin, kPart), streams, &sinks[thread * 8]);
      });
    });
    const double rate = static_cast<double>(kPart) * pool.num_threads() / seconds * 1e-9;
    if (rate > best) best = rate;
  }
  return best;
}

double pair_peak(ThreadPool& pool) { return peak(pool, run_pairs, 12.0 * 16 * 2); }
double fma_peak(ThreadPool& pool) { return peak(pool, run_fmas, 12.0 * 8 * 2); }

}  // namespace slipstream
