#include "kernels/avx512_plain_tile.h"

#include <cstddef>

namespace slipstream {
namespace {

// One asm statement, as in avx2_tile.cc. Row m's sums are zmm m and m + 12, of the first and the second panel. 24 and
// 25 are a pair of either panel's weights. Rows beyond R are left out by the assembler.
#define ROWS(X) X(0, 0, 12) X(1, 1, 13) X(2, 2, 14) X(3, 3, 15) X(4, 4, 16) X(5, 5, 17) \
                X(6, 6, 18) X(7, 7, 19) X(8, 8, 20) X(9, 9, 21) X(10, 10, 22) X(11, 11, 23)
#define ROW(m, a, b) ".if %c[R] > " #m "\n\t" \
  "vpdpwssd 4 * %c[R] * \\pair + 4 * " #m "(%[x])%{1to16%}, %%zmm24, %%zmm" #a "\n\t" \
  "vpdpwssd 4 * %c[R] * \\pair + 4 * " #m "(%[x])%{1to16%}, %%zmm25, %%zmm" #b "\n\t.endif\n\t"
#define PAIRS ".irp pair, 0, 1, 2, 3, 4, 5, 6, 7\n\t" \
  "vmovdqa64 64 * \\pair(%[w]), %%zmm24\n\tvmovdqa64 64 * \\pair + %c[second](%[w]), %%zmm25\n\t" ROWS(ROW) ".endr\n\t"
#define CLEAR(m, a, b) ".if %c[R] > " #m "\n\t" \
  "vpxord %%xmm" #a ", %%xmm" #a ", %%xmm" #a "\n\tvpxord %%xmm" #b ", %%xmm" #b ", %%xmm" #b "\n\t.endif\n\t"
// acc = fma(float(sum), scale, acc); acc is 0 (zmm 26), then in memory, in L1.
#define CONVERT(m, a, b) ".if %c[R] > " #m "\n\t" \
  "vcvtdq2ps %%zmm" #a ", %%zmm" #a "\n\tvcvtdq2ps %%zmm" #b ", %%zmm" #b "\n\t.endif\n\t"
#define FIRST(m, a, b) ".if %c[R] > " #m "\n\t" \
  "vfmadd213ps %%zmm26, %%zmm24, %%zmm" #a "\n\tvfmadd213ps %%zmm26, %%zmm25, %%zmm" #b "\n\t.endif\n\t"
#define NEXT(m, a, b) ".if %c[R] > " #m "\n\t" \
  "vfmadd213ps 64 * " #m "(%[acc]), %%zmm24, %%zmm" #a "\n\t" \
  "vfmadd213ps 64 * (%c[R] + " #m ")(%[acc]), %%zmm25, %%zmm" #b "\n\t.endif\n\t"
#define KEEP(m, a, b) ".if %c[R] > " #m "\n\t" \
  "vmovaps %%zmm" #a ", 64 * " #m "(%[acc])\n\tvmovaps %%zmm" #b ", 64 * (%c[R] + " #m ")(%[acc])\n\t.endif\n\t"
// After the last group v = fma(acc, d, v).
#define ADD(m, a, b) ".if %c[R] > " #m "\n\t" \
  "vmovaps 64 * " #m "(%[v]), %%zmm24\n\tvmovaps 64 * " #m "(%[v],%[stride]), %%zmm25\n\t" \
  "vfmadd132ps 4 * " #m "(%[d])%{1to16%}, %%zmm24, %%zmm" #a "\n\t" \
  "vfmadd132ps 4 * " #m "(%[d])%{1to16%}, %%zmm25, %%zmm" #b "\n\t" \
  "vmovaps %%zmm" #a ", 64 * " #m "(%[v])\n\tvmovaps %%zmm" #b ", 64 * " #m "(%[v],%[stride])\n\t.endif\n\t"

template <int R>
void multiply_tile(ReadyChunk& ready, const TileInput& input, float* v, size_t v_stride) {
  const uint32_t* w = ready.values[0];
  const std::byte* x = input.values;
  const float* scales = ready.scales[0][0];
  uint64_t first = 1, groups = ready.num_groups, halves;
  asm volatile(
      "1:\n\t" ROWS(CLEAR)
      "mov %[group_parts], %k[halves]\n\tadd %[halves], %[halves]\n\t"
      ".p2align 5\n"
      "2:\n\t" PAIRS
      "add $512, %[w]\n\tadd $32 * %c[R], %[x]\n\tdec %[halves]\n\tjnz 2b\n\t"
      "vmovaps (%[scales]), %%zmm24\n\tvmovaps 64(%[scales]), %%zmm25\n\t" ROWS(CONVERT)
      "dec %[first]\n\tjz 3f\n\t" ROWS(NEXT) "jmp 4f\n"
      "3:\n\tvpxord %%zmm26, %%zmm26, %%zmm26\n\t" ROWS(FIRST)
      "4:\n\tdec %[groups]\n\tjz 5f\n\t" ROWS(KEEP) "add $128, %[scales]\n\tjmp 1b\n"
      "5:\n\t" ROWS(ADD)
      : [w] "+&r"(w), [x] "+&r"(x), [scales] "+&r"(scales), [groups] "+&r"(groups), [first] "+&r"(first),
        [halves] "=&r"(halves)
      : [acc] "r"(ready.acc), [v] "r"(v), [stride] "r"(v_stride * sizeof(float)), [d] "r"(input.d),
        [group_parts] "m"(ready.group_parts), [R] "i"(R), [second] "i"(sizeof ready.values[0])
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",
        "xmm23", "xmm24", "xmm25", "xmm26");
}

}  // namespace

void avx512_multiply_plain_tile(ReadyChunk& ready, uint32_t rows, const TileInput& x, float* v, size_t v_stride) {
  switch (rows) {
    case 1: return multiply_tile<1>(ready, x, v, v_stride);
    case 2: return multiply_tile<2>(ready, x, v, v_stride);
    case 3: return multiply_tile<3>(ready, x, v, v_stride);
    case 4: return multiply_tile<4>(ready, x, v, v_stride);
    case 5: return multiply_tile<5>(ready, x, v, v_stride);
    case 6: return multiply_tile<6>(ready, x, v, v_stride);
    case 7: return multiply_tile<7>(ready, x, v, v_stride);
    case 8: return multiply_tile<8>(ready, x, v, v_stride);
    case 9: return multiply_tile<9>(ready, x, v, v_stride);
    case 10: return multiply_tile<10>(ready, x, v, v_stride);
    case 11: return multiply_tile<11>(ready, x, v, v_stride);
    default: return multiply_tile<12>(ready, x, v, v_stride);
  }
}

}  // namespace slipstream
