#include "kernels/avx512_tile.h"

#include <cstddef>

#include "kernels/avx512_panel.h"

namespace slipstream {
namespace {

// One asm statement, as in avx2_tile.cc. Row m's sums are zmm m and m + 8, of the first and the second panel.
// 16 .. 27 are the weights of three couples, (first pair, second pair) of the first panel, then of the second; 28 ..
// 31 activations. Rows beyond R are left out by the assembler.
//
// Of three couples two are coupled (activation_layout.h) and one is not: of the eight operations of a row in a panel
// that makes four multiplications and four additions, and the pipes for either are always busy.
#define LOAD(couple, a0, a1, b0, b1)                                                                                 \
  "vmovdqa64 128 * " #couple "(%[w]), %%zmm" #a0 "\n\tvmovdqa64 128 * " #couple " + 64(%[w]), %%zmm" #a1 "\n\t"       \
  "vmovdqa64 128 * " #couple " + %c[second](%[w]), %%zmm" #b0 "\n\t"                                                  \
  "vmovdqa64 128 * " #couple " + 64 + %c[second](%[w]), %%zmm" #b1 "\n\t"
#define X(couple, pair, m) "8 * %c[R] * " #couple " + 4 * %c[R] * " #pair " + 4 * " #m "(%[x])"
#define COUPLED(couple, m, a, b, a0, a1, b0, b1)                                                                     \
  "vpbroadcastd " X(couple, 0, m) ", %%zmm28\n\tvpbroadcastd " X(couple, 1, m) ", %%zmm29\n\t"                        \
  "vpaddw %%zmm" #a1 ", %%zmm28, %%zmm30\n\tvpaddw %%zmm" #a0 ", %%zmm29, %%zmm31\n\t"                                \
  "vpdpwssd %%zmm30, %%zmm31, %%zmm" #a "\n\t"                                                                        \
  "vpaddw %%zmm" #b1 ", %%zmm28, %%zmm28\n\tvpaddw %%zmm" #b0 ", %%zmm29, %%zmm29\n\t"                                \
  "vpdpwssd %%zmm28, %%zmm29, %%zmm" #b "\n\t"
#define PLAIN(couple, m, a, b, a0, a1, b0, b1)                                                                       \
  "vpdpwssd " X(couple, 0, m) "%{1to16%}, %%zmm" #a0 ", %%zmm" #a "\n\t"                                              \
  "vpdpwssd " X(couple, 0, m) "%{1to16%}, %%zmm" #b0 ", %%zmm" #b "\n\t"                                              \
  "vpdpwssd " X(couple, 1, m) "%{1to16%}, %%zmm" #a1 ", %%zmm" #a "\n\t"                                              \
  "vpdpwssd " X(couple, 1, m) "%{1to16%}, %%zmm" #b1 ", %%zmm" #b "\n\t"
#define THREE(m, a, b, first, second, third)                                                                         \
  ".if %c[R] > " #m "\n\t" COUPLED(first, m, a, b, 16, 17, 18, 19) COUPLED(second, m, a, b, 20, 21, 22, 23)           \
  PLAIN(third, m, a, b, 24, 25, 26, 27) ".endif\n\t"
#define TWO(m, a, b, first, second)                                                                                  \
  ".if %c[R] > " #m "\n\t" COUPLED(first, m, a, b, 16, 17, 18, 19) PLAIN(second, m, a, b, 24, 25, 26, 27) ".endif\n\t"
#define THREE_OF_ROWS(first, second, third)                                                                          \
  LOAD(first, 16, 17, 18, 19) LOAD(second, 20, 21, 22, 23) LOAD(third, 24, 25, 26, 27)                               \
  THREE(0, 0, 8, first, second, third) THREE(1, 1, 9, first, second, third) THREE(2, 2, 10, first, second, third)    \
  THREE(3, 3, 11, first, second, third) THREE(4, 4, 12, first, second, third) THREE(5, 5, 13, first, second, third)  \
  THREE(6, 6, 14, first, second, third) THREE(7, 7, 15, first, second, third)
#define TWO_OF_ROWS(first, second)                                                                                   \
  LOAD(first, 16, 17, 18, 19) LOAD(second, 24, 25, 26, 27)                                                           \
  TWO(0, 0, 8, first, second) TWO(1, 1, 9, first, second) TWO(2, 2, 10, first, second) TWO(3, 3, 11, first, second)  \
  TWO(4, 4, 12, first, second) TWO(5, 5, 13, first, second) TWO(6, 6, 14, first, second) TWO(7, 7, 15, first, second)
// The sums begin with minus the products that coupling adds: the weights' and the row's.
#define BEGIN(m, a, b)                                                                                               \
  ".if %c[R] > " #m "\n\t"                                                                                            \
  "vpaddd 4 * " #m "(%[products])%{1to16%}, %%zmm16, %%zmm" #a "\n\t"                                                 \
  "vpaddd 4 * " #m "(%[products])%{1to16%}, %%zmm17, %%zmm" #b "\n\t"                                                 \
  ".endif\n\t"
// acc = fma(float(sum), scale, acc); acc is 0 (zmm 28), then in memory, in L1.
#define CONVERT(m, a, b)                                                                                             \
  ".if %c[R] > " #m "\n\tvcvtdq2ps %%zmm" #a ", %%zmm" #a "\n\tvcvtdq2ps %%zmm" #b ", %%zmm" #b "\n\t.endif\n\t"
#define FIRST(m, a, b)                                                                                               \
  ".if %c[R] > " #m "\n\tvfmadd213ps %%zmm28, %%zmm16, %%zmm" #a "\n\tvfmadd213ps %%zmm28, %%zmm17, %%zmm" #b       \
  "\n\t.endif\n\t"
#define NEXT(m, a, b)                                                                                                \
  ".if %c[R] > " #m "\n\tvfmadd213ps 64 * " #m "(%[acc]), %%zmm16, %%zmm" #a "\n\t"                                  \
  "vfmadd213ps 64 * (%c[R] + " #m ")(%[acc]), %%zmm17, %%zmm" #b "\n\t.endif\n\t"
#define KEEP(m, a, b)                                                                                                \
  ".if %c[R] > " #m "\n\tvmovaps %%zmm" #a ", 64 * " #m "(%[acc])\n\t"                                               \
  "vmovaps %%zmm" #b ", 64 * (%c[R] + " #m ")(%[acc])\n\t.endif\n\t"
// After the last group v = fma(acc, d, v).
#define ADD(m, a, b)                                                                                                 \
  ".if %c[R] > " #m "\n\t"                                                                                            \
  "vmovaps 64 * " #m "(%[v]), %%zmm28\n\tvmovaps 64 * " #m "(%[v],%[stride]), %%zmm29\n\t"                            \
  "vfmadd132ps 4 * " #m "(%[d])%{1to16%}, %%zmm28, %%zmm" #a "\n\t"                                                  \
  "vfmadd132ps 4 * " #m "(%[d])%{1to16%}, %%zmm29, %%zmm" #b "\n\t"                                                  \
  "vmovaps %%zmm" #a ", 64 * " #m "(%[v])\n\tvmovaps %%zmm" #b ", 64 * " #m "(%[v],%[stride])\n\t"                    \
  ".endif\n\t"
#define ROWS(X) X(0, 0, 8) X(1, 1, 9) X(2, 2, 10) X(3, 3, 11) X(4, 4, 12) X(5, 5, 13) X(6, 6, 14) X(7, 7, 15)

static_assert(kAvx512TileCoupling.even_part == 0b01011011 && kAvx512TileCoupling.odd_part == 0b01011011);

template <int R>
void multiply_tile(ReadyChunk& ready, const TileInput& input, float* v, size_t v_stride) {
  const uint32_t* w = ready.values[0];
  const std::byte* x = input.values;
  const int32_t* products = input.products;
  const float* scales = ready.scales[0][0];
  uint64_t first = 1, groups = ready.num_groups, parts;
  static_assert(offsetof(ReadyChunk, products) - offsetof(ReadyChunk, scales) == sizeof ready.scales);
  asm volatile(
      "1:\n\t"
      "vmovdqa64 %c[minus](%[scales]), %%zmm16\n\tvmovdqa64 64 + %c[minus](%[scales]), %%zmm17\n\t"
      ROWS(BEGIN)
      "mov %[group_parts], %k[parts]\n\t"
      ".p2align 5\n2:\n\t"
      THREE_OF_ROWS(0, 1, 2) THREE_OF_ROWS(3, 4, 5) TWO_OF_ROWS(6, 7)
      "add $1024, %[w]\n\tadd $64 * %c[R], %[x]\n\tdec %[parts]\n\tjnz 2b\n\t"
      "vmovaps (%[scales]), %%zmm16\n\tvmovaps 64(%[scales]), %%zmm17\n\t"
      ROWS(CONVERT)
      "dec %[first]\n\tjz 3f\n\t" ROWS(NEXT) "jmp 4f\n"
      "3:\n\tvpxord %%zmm28, %%zmm28, %%zmm28\n\t" ROWS(FIRST)
      "4:\n\t"
      "dec %[groups]\n\tjz 5f\n\t"
      ROWS(KEEP)
      "add $128, %[scales]\n\tadd $4 * %c[R], %[products]\n\tjmp 1b\n"
      "5:\n\t"
      ROWS(ADD)
      : [w] "+&r"(w), [x] "+&r"(x), [products] "+&r"(products), [scales] "+&r"(scales), [groups] "+&r"(groups),
        [first] "+&r"(first), [parts] "=&r"(parts)
      : [acc] "r"(ready.acc), [v] "r"(v), [stride] "r"(v_stride * sizeof(float)), [d] "r"(input.d),
        [group_parts] "m"(ready.group_parts), [R] "i"(R), [second] "i"(sizeof ready.values[0]),
        [minus] "i"(sizeof ready.scales)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",
        "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
}

}  // namespace

void avx512_multiply_tile(ReadyChunk& ready, uint32_t rows, const TileInput& x, float* v, size_t v_stride) {
  switch (rows) {
    case 1: return multiply_tile<1>(ready, x, v, v_stride);
    case 2: return multiply_tile<2>(ready, x, v, v_stride);
    case 3: return multiply_tile<3>(ready, x, v, v_stride);
    case 4: return multiply_tile<4>(ready, x, v, v_stride);
    case 5: return multiply_tile<5>(ready, x, v, v_stride);
    case 6: return multiply_tile<6>(ready, x, v, v_stride);
    case 7: return multiply_tile<7>(ready, x, v, v_stride);
    default: return multiply_tile<8>(ready, x, v, v_stride);
  }
}

}  // namespace slipstream
