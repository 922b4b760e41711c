#include "kernels/avx2_tile.h"

#include <cstddef>

#include "kernels/avx2_panel.h"

namespace slipstream {
namespace {

// One asm statement because gcc 12 otherwise gathers the products before the sums and spills an accumulator into each
// chain, which halves the speed (AVX2.md 7). Row m's sums are ymm 2m and 2m + 1, of outputs 0 .. 7 and 8 .. 15. 8 ..
// 11 are a couple's weights, 12 .. 15 activations. Rows beyond R are left out by the assembler.
//
// Every couple is coupled (activation_layout.h): two multiplications and six additions, which four pipes do in two
// cycles, where four of each take two and a half. Four rows and not five: loads from memory are what comes next, and
// with five rows some weights would be loaded for each.
#define COUPLE_OF_ROW(i, m, a, b)                                                                     \
  ".if %c[R] > " #m "\n\t"                                                                            \
  "vpbroadcastd 8 * %c[R] * " #i " + 4 * " #m "(%[x]), %%ymm12\n\t"                                   \
  "vpbroadcastd 8 * %c[R] * " #i " + 4 * %c[R] + 4 * " #m "(%[x]), %%ymm13\n\t"                       \
  "vpaddw %%ymm10, %%ymm12, %%ymm14\n\tvpaddw %%ymm8, %%ymm13, %%ymm15\n\t"                           \
  "vpaddw %%ymm11, %%ymm12, %%ymm12\n\tvpaddw %%ymm9, %%ymm13, %%ymm13\n\t"                           \
  "vpmaddwd %%ymm14, %%ymm15, %%ymm14\n\tvpmaddwd %%ymm12, %%ymm13, %%ymm12\n\t"                      \
  "vpaddd %%ymm14, %%ymm" #a ", %%ymm" #a "\n\tvpaddd %%ymm12, %%ymm" #b ", %%ymm" #b "\n\t"          \
  ".endif\n\t"
#define COUPLE(i)                                                                                     \
  "vmovdqa 128 * " #i "(%[w]), %%ymm8\n\tvmovdqa 128 * " #i " + 32(%[w]), %%ymm9\n\t"                 \
  "vmovdqa 128 * " #i " + 64(%[w]), %%ymm10\n\tvmovdqa 128 * " #i " + 96(%[w]), %%ymm11\n\t"          \
  COUPLE_OF_ROW(i, 0, 0, 1) COUPLE_OF_ROW(i, 1, 2, 3) COUPLE_OF_ROW(i, 2, 4, 5) COUPLE_OF_ROW(i, 3, 6, 7)
// The sums begin with minus the products that coupling adds: the weights' and the row's.
#define BEGIN(m, a, b)                                                                                \
  ".if %c[R] > " #m "\n\tvpbroadcastd 4 * " #m "(%[products]), %%ymm12\n\t"                           \
  "vpaddd %%ymm8, %%ymm12, %%ymm" #a "\n\tvpaddd %%ymm9, %%ymm12, %%ymm" #b "\n\t.endif\n\t"
// acc = fma(float(sum), scale, acc); acc is 0 (ymm 13), then in memory, in L1.
#define CONVERT(m, a, b)                                                                              \
  ".if %c[R] > " #m "\n\t"                                                                            \
  "vcvtdq2ps %%ymm" #a ", %%ymm" #a "\n\tvcvtdq2ps %%ymm" #b ", %%ymm" #b "\n\t.endif\n\t"
#define FIRST(m, a, b)                                                                                \
  ".if %c[R] > " #m "\n\tvfmadd213ps %%ymm12, %%ymm8, %%ymm" #a "\n\t"                               \
  "vfmadd213ps %%ymm12, %%ymm9, %%ymm" #b "\n\t.endif\n\t"
#define NEXT(m, a, b)                                                                                 \
  ".if %c[R] > " #m "\n\tvfmadd213ps 64 * " #m "(%[acc]), %%ymm8, %%ymm" #a "\n\t"                   \
  "vfmadd213ps 64 * " #m " + 32(%[acc]), %%ymm9, %%ymm" #b "\n\t.endif\n\t"
#define KEEP(m, a, b)                                                                                 \
  ".if %c[R] > " #m "\n\t"                                                                            \
  "vmovaps %%ymm" #a ", 64 * " #m "(%[acc])\n\tvmovaps %%ymm" #b ", 64 * " #m " + 32(%[acc])\n\t"     \
  ".endif\n\t"
// After the last group v = fma(acc, d, v).
#define ADD(m, a, b)                                                                                  \
  ".if %c[R] > " #m "\n\tvbroadcastss 4 * " #m "(%[d]), %%ymm12\n\t"                                  \
  "vfmadd213ps 64 * " #m "(%[v]), %%ymm12, %%ymm" #a "\n\t"                                           \
  "vfmadd213ps 64 * " #m " + 32(%[v]), %%ymm12, %%ymm" #b "\n\t"                                      \
  "vmovups %%ymm" #a ", 64 * " #m "(%[v])\n\tvmovups %%ymm" #b ", 64 * " #m " + 32(%[v])\n\t"         \
  ".endif\n\t"
#define ROWS(X) X(0, 0, 1) X(1, 2, 3) X(2, 4, 5) X(3, 6, 7)

static_assert(kAvx2TileCoupling.even_part == 0xff && kAvx2TileCoupling.odd_part == 0xff && kAvx2TileRows == 4);

template <int R>
void multiply_tile(ReadyChunk& ready, const TileInput& input, float* v) {
  const uint32_t* w = ready.values[0];
  const std::byte* x = input.values;
  const int32_t* products = input.products;
  const float* scales = ready.scales[0][0];
  uint64_t first = 1, groups = ready.num_groups, steps;
  static_assert(offsetof(ReadyChunk, products) - offsetof(ReadyChunk, scales) == sizeof ready.scales);
  asm volatile(
      "1:\n\t"
      "vmovdqa %c[minus](%[scales]), %%ymm8\n\tvmovdqa 32 + %c[minus](%[scales]), %%ymm9\n\t"
      ROWS(BEGIN)
      "mov %[group_parts], %k[steps]\n\tadd %k[steps], %k[steps]\n\t"
      ".p2align 5\n2:\n\t"
      COUPLE(0) COUPLE(1) COUPLE(2) COUPLE(3)
      "add $512, %[w]\n\tadd $32 * %c[R], %[x]\n\tdec %[steps]\n\tjnz 2b\n\t"
      "vmovaps (%[scales]), %%ymm8\n\tvmovaps 32(%[scales]), %%ymm9\n\t"
      ROWS(CONVERT)
      "dec %[first]\n\tjz 3f\n\t" ROWS(NEXT) "jmp 4f\n"
      "3:\n\tvxorps %%xmm12, %%xmm12, %%xmm12\n\t" ROWS(FIRST)
      "4:\n\t"
      "dec %[groups]\n\tjz 5f\n\t"
      ROWS(KEEP)
      "add $%c[panels] * 64, %[scales]\n\tadd $4 * %c[R], %[products]\n\tjmp 1b\n"
      "5:\n\t"
      ROWS(ADD)
      : [w] "+&r"(w), [x] "+&r"(x), [products] "+&r"(products), [scales] "+&r"(scales), [groups] "+&r"(groups),
        [first] "+&r"(first), [steps] "=&r"(steps)
      : [acc] "r"(ready.acc), [v] "r"(v), [d] "r"(input.d), [group_parts] "m"(ready.group_parts), [R] "i"(R),
        [panels] "i"(kMaxTilePanels), [minus] "i"(sizeof ready.scales)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

}  // namespace

void avx2_multiply_tile(ReadyChunk& ready, uint32_t rows, const TileInput& x, float* v, size_t v_stride) {
  static_cast<void>(v_stride);
  switch (rows) {
    case 1: return multiply_tile<1>(ready, x, v);
    case 2: return multiply_tile<2>(ready, x, v);
    case 3: return multiply_tile<3>(ready, x, v);
    default: return multiply_tile<4>(ready, x, v);
  }
}

}  // namespace slipstream
