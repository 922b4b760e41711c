#include "kernels/avx2_tile.h"

#include <immintrin.h>

namespace slipstream {
namespace {

// The loop is one asm statement because gcc 12 otherwise gathers the products before the sums and spills an
// accumulator into each chain, which halves the speed (AVX2.md 7). Row m's sums are ymm 2m and 2m + 1; 12, 13
// weights, 14 activations, 15 product. Rows beyond R are left out by the assembler.
#define ROW(m, a0, a1, offset)                                                                        \
  ".if %c[R] > " #m "\n\t"                                                                            \
  "vpbroadcastd " offset " + 4 * " #m "(%[x]), %%ymm14\n\t"                                           \
  "vpmaddwd %%ymm14, %%ymm12, %%ymm15\n\tvpaddd %%ymm15, %%ymm" #a0 ", %%ymm" #a0 "\n\t"              \
  "vpmaddwd %%ymm14, %%ymm13, %%ymm15\n\tvpaddd %%ymm15, %%ymm" #a1 ", %%ymm" #a1 "\n\t"              \
  ".endif\n\t"
#define PAIR(i)                                                                                       \
  "vmovdqa 64 * " #i "(%[w]), %%ymm12\n\tvmovdqa 64 * " #i " + 32(%[w]), %%ymm13\n\t"                 \
  ROW(0, 0, 1, "4 * %c[R] * " #i) ROW(1, 2, 3, "4 * %c[R] * " #i) ROW(2, 4, 5, "4 * %c[R] * " #i)     \
  ROW(3, 6, 7, "4 * %c[R] * " #i) ROW(4, 8, 9, "4 * %c[R] * " #i) ROW(5, 10, 11, "4 * %c[R] * " #i)
#define ZERO(m, a0, a1)                                                                               \
  ".if %c[R] > " #m "\n\t"                                                                            \
  "vpxor %%xmm" #a0 ", %%xmm" #a0 ", %%xmm" #a0 "\n\tvpxor %%xmm" #a1 ", %%xmm" #a1 ", %%xmm" #a1 "\n\t" \
  ".endif\n\t"
// acc = fma(float(sum), scale, acc); acc is in memory, in L1.
#define FINISH(m, a0, a1)                                                                             \
  ".if %c[R] > " #m "\n\t"                                                                            \
  "vcvtdq2ps %%ymm" #a0 ", %%ymm" #a0 "\n\tvcvtdq2ps %%ymm" #a1 ", %%ymm" #a1 "\n\t"                  \
  "vfmadd213ps 64 * " #m "(%[acc]), %%ymm12, %%ymm" #a0 "\n\t"                                        \
  "vfmadd213ps 64 * " #m " + 32(%[acc]), %%ymm13, %%ymm" #a1 "\n\t"                                   \
  "vmovaps %%ymm" #a0 ", 64 * " #m "(%[acc])\n\tvmovaps %%ymm" #a1 ", 64 * " #m " + 32(%[acc])\n\t"   \
  ".endif\n\t"

template <int R>
void multiply_tile(ReadyChunk& ready, const TileInput& input, float* v) {
  float* acc = ready.acc;
  for (int m = 0; m < R; ++m) {
    _mm256_store_ps(acc + m * kPanelRows, _mm256_setzero_ps());
    _mm256_store_ps(acc + m * kPanelRows + 8, _mm256_setzero_ps());
  }
  const uint32_t* w = ready.values[0];
  const std::byte* x = input.values;
  for (uint32_t g = 0; g < ready.num_groups; ++g) {
    uint64_t steps = ready.group_parts * (kPartInputs / 8);  // of 4 pairs
    asm volatile(
        ZERO(0, 0, 1) ZERO(1, 2, 3) ZERO(2, 4, 5) ZERO(3, 6, 7) ZERO(4, 8, 9) ZERO(5, 10, 11)
        ".p2align 5\n1:\n\t"
        PAIR(0) PAIR(1) PAIR(2) PAIR(3)
        "add $256, %[w]\n\tadd $16 * %c[R], %[x]\n\tdec %[steps]\n\tjnz 1b\n\t"
        "vmovaps (%[scale]), %%ymm12\n\tvmovaps 32(%[scale]), %%ymm13\n\t"
        FINISH(0, 0, 1) FINISH(1, 2, 3) FINISH(2, 4, 5) FINISH(3, 6, 7) FINISH(4, 8, 9) FINISH(5, 10, 11)
        : [w] "+r"(w), [x] "+r"(x), [steps] "+r"(steps)
        : [acc] "r"(acc), [scale] "r"(ready.scales[g]), [R] "i"(R)
        : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
          "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  }
  for (int m = 0; m < R; ++m) {
    const __m256 scale = _mm256_broadcast_ss(input.d + m);
    for (int half = 0; half < 16; half += 8) {
      float* to = v + m * kPanelRows + half;
      _mm256_storeu_ps(to, _mm256_fmadd_ps(_mm256_load_ps(acc + m * kPanelRows + half), scale, _mm256_loadu_ps(to)));
    }
  }
}

#undef ROW
#undef PAIR
#undef ZERO
#undef FINISH

}  // namespace

void avx2_multiply_tile(ReadyChunk& ready, uint32_t rows, const TileInput& x, float* v, size_t v_stride) {
  static_cast<void>(v_stride);
  switch (rows) {
    case 1: return multiply_tile<1>(ready, x, v);
    case 2: return multiply_tile<2>(ready, x, v);
    case 3: return multiply_tile<3>(ready, x, v);
    case 4: return multiply_tile<4>(ready, x, v);
    case 5: return multiply_tile<5>(ready, x, v);
    default: return multiply_tile<6>(ready, x, v);
  }
}

}  // namespace slipstream
