#include "kernels/avx512_stream.h"

#include <immintrin.h>

#include "kernels/avx512_panel.h"

namespace slipstream {
namespace {

struct alignas(64) Mask {
  uint16_t word[32];
  constexpr explicit Mask(uint16_t value) : word() {
    for (uint16_t& w : word) w = value;
  }
};
constexpr Mask kMask4(15), kMask8(255);

// One asm statement. A step is a couple of the even part and the couple of the odd part 32 inputs further on: the halves
// of one line's bytes where they have 4 bits, two lines where they have 8. Row m's sums are zmm m and m + 12, of the
// even and the odd part: two groups of 32, or two halves of a larger one; up to 6 rows, acc is zmm m + 6. 24, 25 are the
// even couple's weights, 26, 27 the odd one's; 28, 29 activations, 30 the weights' own products, 31 the mask.
//
// From three rows on the even couple is coupled (activation_layout.h), the odd one not: three multiplications and two
// additions of a row, beside the shifting and masking of weights.
#define PLAIN(part, m, sum, w0, w1, at)                                                                              \
  "vpdpwssd " at " + 64 * %c[R] * " #part " + 4 * " #m "(%[x])%{1to16%}, %%zmm" #w0 ", %%zmm" #sum "\n\t"             \
  "vpdpwssd " at " + 64 * %c[R] * " #part " + 4 * %c[R] + 4 * " #m "(%[x])%{1to16%}, %%zmm" #w1 ", %%zmm" #sum "\n\t"
#define ROW(m, even, odd, keep, at)                                                                                  \
  ".if %c[R] > " #m "\n\t"                                                                                            \
  ".if %c[coupled]\n\t"                                                                                              \
  "vpbroadcastd " at " + 4 * " #m "(%[x]), %%zmm28\n\tvpbroadcastd " at " + 4 * %c[R] + 4 * " #m "(%[x]), %%zmm29\n\t" \
  "vpaddw %%zmm25, %%zmm28, %%zmm28\n\tvpaddw %%zmm24, %%zmm29, %%zmm29\n\t"                                          \
  "vpdpwssd %%zmm28, %%zmm29, %%zmm" #even "\n\t"                                                                     \
  ".else\n\t" PLAIN(0, m, even, 24, 25, at) ".endif\n\t"                                                             \
  PLAIN(1, m, odd, 26, 27, at)                                                                                       \
  ".endif\n\t"
#define EACH_ROW(ROW, ...)                                                                                           \
  ROW(0, 0, 12, 6, __VA_ARGS__) ROW(1, 1, 13, 7, __VA_ARGS__) ROW(2, 2, 14, 8, __VA_ARGS__)                           \
  ROW(3, 3, 15, 9, __VA_ARGS__) ROW(4, 4, 16, 10, __VA_ARGS__) ROW(5, 5, 17, 11, __VA_ARGS__)                         \
  ROW(6, 6, 18, 6, __VA_ARGS__) ROW(7, 7, 19, 7, __VA_ARGS__) ROW(8, 8, 20, 8, __VA_ARGS__)                           \
  ROW(9, 9, 21, 9, __VA_ARGS__) ROW(10, 10, 22, 10, __VA_ARGS__) ROW(11, 11, 23, 11, __VA_ARGS__)
// The values that begin at bit `place` of each word, `left` bits below its top, unsigned or signed.
#define SELECT(from, to, place, left)                                                                                \
  ".if %c[is_signed]\n\t"                                                                                            \
  ".if " left "\n\tvpsllw $" left ", %%zmm" #from ", %%zmm" #to "\n\tvpsraw $16 - %c[bits], %%zmm" #to ", %%zmm" #to  \
  "\n\t.else\n\tvpsraw $16 - %c[bits], %%zmm" #from ", %%zmm" #to "\n\t.endif\n\t"                                    \
  ".elseif " left " == 0\n\tvpsrlw $" place ", %%zmm" #from ", %%zmm" #to "\n\t"                                      \
  ".elseif " place " == 0\n\tvpandd %%zmm31, %%zmm" #from ", %%zmm" #to "\n\t"                                        \
  ".else\n\tvpsrlw $" place ", %%zmm" #from ", %%zmm" #to "\n\tvpandd %%zmm31, %%zmm" #to ", %%zmm" #to "\n\t"        \
  ".endif\n\t"
// Line i of this turn (8 bits: and the line 8 further on).
#define STEP(i)                                                                                                      \
  "vmovdqa64 64 * " #i "(%[lines]), %%zmm27\n\t"                                                                     \
  SELECT(27, 24, "0", "(16 - %c[bits])") SELECT(27, 25, "8", "(8 - %c[bits])")                                       \
  ".if %c[bits] == 8\n\t"                                                                                            \
  "prefetcht1 128 * " #i "(%[ahead])\n\tprefetcht1 128 * " #i " + 64(%[ahead])\n\t"                                  \
  "vmovdqa64 512 + 64 * " #i "(%[lines]), %%zmm27\n\t"                                                               \
  SELECT(27, 26, "0", "(16 - %c[bits])") SELECT(27, 27, "8", "(8 - %c[bits])")                                       \
  ".else\n\tprefetcht1 64 * " #i "(%[ahead])\n\t"                                                                    \
  SELECT(27, 26, "4", "(12 - %c[bits])") SELECT(27, 27, "12", "(4 - %c[bits])") ".endif\n\t"                         \
  ".if %c[coupled]\n\tvpdpwssd %%zmm24, %%zmm25, %%zmm30\n\t.endif\n\t"                                              \
  EACH_ROW(ROW, "8 * %c[R] * " #i)
#define BEGIN(m, even, odd, ...)                                                                                     \
  ".if %c[R] > " #m "\n\t"                                                                                            \
  ".if %c[coupled]\n\tvpbroadcastd 4 * " #m "(%[products]), %%zmm" #even "\n\t"                                      \
  ".else\n\tvpxord %%zmm" #even ", %%zmm" #even ", %%zmm" #even "\n\t.endif\n\t"                                      \
  "vpxord %%zmm" #odd ", %%zmm" #odd ", %%zmm" #odd "\n\t"                                                           \
  ".endif\n\t"
// One scale or two: 24, 25. They stand at the end of the block's lines.
#define SCALES                                                                                                       \
  "cmpl $1, %[scale_type]\n\tmov %[group_bytes], %[n]\n\tja 5f\n\tje 4f\n\t"                                          \
  "vpmovzxwd (%[lines]), %%zmm24\n\tvpmovzxwd (%[lines],%[n]), %%zmm25\n\t"                                           \
  "vpslld $16, %%zmm24, %%zmm24\n\tvpslld $16, %%zmm25, %%zmm25\n\tjmp 6f\n"                                          \
  "4:\n\tvcvtph2ps (%[lines]), %%zmm24\n\tvcvtph2ps (%[lines],%[n]), %%zmm25\n\tjmp 6f\n"                             \
  "5:\n\tvmovups (%[lines]), %%zmm24\n\tvmovups (%[lines],%[n]), %%zmm25\n"                                           \
  "6:\n\t"
static_assert(static_cast<int>(ScaleType::kBf16) == 0 && static_cast<int>(ScaleType::kFp16) == 1);
#define CONVERT(m, even, odd, ...)                                                                                   \
  ".if %c[R] > " #m "\n\t"                                                                                            \
  ".if %c[coupled]\n\tvpsubd %%zmm30, %%zmm" #even ", %%zmm" #even "\n\t.endif\n\t"                                   \
  ".if %c[group_32]\n\tvcvtdq2ps %%zmm" #odd ", %%zmm" #odd "\n\t"                                                    \
  ".else\n\tvpaddd %%zmm" #odd ", %%zmm" #even ", %%zmm" #even "\n\t.endif\n\t"                                       \
  "vcvtdq2ps %%zmm" #even ", %%zmm" #even "\n\t"                                                                     \
  ".endif\n\t"
// acc = fma(float(sum), scale, acc). Beyond 6 rows acc is 0 (zmm 28), then in memory, in L1, and the new one stays in
// `even` until KEEP.
#define FIRST(m, even, odd, ...)                                                                                     \
  ".if %c[R] > " #m "\n\tvfmadd213ps %%zmm28, %%zmm24, %%zmm" #even "\n\t.endif\n\t"
#define NEXT(m, even, odd, ...)                                                                                      \
  ".if %c[R] > " #m "\n\tvfmadd213ps 64 * " #m "(%[acc]), %%zmm24, %%zmm" #even "\n\t.endif\n\t"
#define KEEP(m, even, odd, ...) ".if %c[R] > " #m "\n\tvmovaps %%zmm" #even ", 64 * " #m "(%[acc])\n\t.endif\n\t"
#define EVEN(m, even, odd, keep, ...)                                                                                \
  ".if %c[R] > " #m "\n\tvfmadd231ps %%zmm" #even ", %%zmm24, %%zmm" #keep "\n\t.endif\n\t"
#define ODD(m, even, odd, keep, ...)                                                                                 \
  ".if %c[R] > " #m "\n\t.if %c[R] <= 6\n\tvfmadd231ps %%zmm" #odd ", %%zmm25, %%zmm" #keep "\n\t"                    \
  ".else\n\tvfmadd231ps %%zmm" #odd ", %%zmm25, %%zmm" #even "\n\t.endif\n\t.endif\n\t"
#define ZERO(m, even, odd, keep, ...)                                                                                \
  ".if %c[R] > " #m "\n\tvpxord %%zmm" #keep ", %%zmm" #keep ", %%zmm" #keep "\n\t.endif\n\t"
// v = fma(acc, d, v); n points at v, passes at d.
#define ADD(m, even, odd, keep, ...)                                                                                 \
  ".if %c[R] > " #m "\n\tvmovaps 64 * " #m "(%[n]), %%zmm28\n\t"                                                      \
  ".if %c[R] <= 6\n\tvfmadd231ps 4 * " #m "(%[passes])%{1to16%}, %%zmm" #keep ", %%zmm28\n\t"                         \
  ".else\n\tvfmadd231ps 4 * " #m "(%[passes])%{1to16%}, %%zmm" #even ", %%zmm28\n\t.endif\n\t"                        \
  "vmovaps %%zmm28, 64 * " #m "(%[n])\n\t.endif\n\t"

template <int kBits, bool kSigned, bool kGroup32, int R>
void stream_chunk(const WeightPanel& panel, uint32_t chunk, const TileInput& input, float* v) {
  alignas(64) float acc[R > 6 ? R * kPanelRows : 1];
  const std::byte* lines = panel.chunk_at(chunk);
  const std::byte* ahead = lines + input.prefetch_bytes;
  const std::byte* x = input.values;
  const int32_t* products = input.products;
  uint64_t groups = panel.chunk_groups(chunk), first = 1, passes, n;
  const uint64_t block_passes = panel.layout.inputs / 64, group_bytes = panel.layout.group_bytes;
  const uint64_t scale_lines = (panel.layout.block_bytes - panel.layout.value_bytes) / 64;
  const uint32_t scale_type = static_cast<uint32_t>(panel.format.scales);
  asm volatile(
      ".if %c[R] <= 6\n\t" EACH_ROW(ZERO, ) ".endif\n\t"
      "vmovdqa64 %[mask], %%zmm31\n"
      "1:\n\t" EACH_ROW(BEGIN, ) "vpxord %%zmm30, %%zmm30, %%zmm30\n\tmov %[block_passes], %[passes]\n"
      "2:\n\tmov $4, %k[n]\n"
      ".p2align 5\n3:\n\t" STEP(0) STEP(1)
      "add $128, %[lines]\n\tadd $16 * %c[bits] * 2, %[ahead]\n\tadd $16 * %c[R], %[x]\n\tdec %[n]\n\tjnz 3b\n\t"
      ".if %c[bits] == 8\n\tadd $512, %[lines]\n\t.endif\n\tadd $64 * %c[R], %[x]\n\t"
      "dec %[passes]\n\tjnz 2b\n\t"
      SCALES
      EACH_ROW(CONVERT, )
      ".if %c[R] <= 6\n\t" EACH_ROW(EVEN, )
      ".else\n\tdec %[first]\n\tjz 4f\n\t" EACH_ROW(NEXT, ) "jmp 5f\n"
      "4:\n\tvpxord %%zmm28, %%zmm28, %%zmm28\n\t" EACH_ROW(FIRST, ) "5:\n\t.endif\n\t"
      ".if %c[group_32]\n\tdec %[groups]\n\tjz 8f\n\t" EACH_ROW(ODD, ) ".endif\n\t"
      "dec %[groups]\n\tjz 8f\n\t"
      ".if %c[R] > 6\n\t" EACH_ROW(KEEP, ) ".endif\n\t"
      "add $4 * %c[R] * (1 + %c[group_32]), %[products]\n\tmov %[scale_lines], %[n]\n"
      "7:\n\tprefetcht1 (%[ahead])\n\tadd $64, %[ahead]\n\tadd $64, %[lines]\n\tdec %[n]\n\tjnz 7b\n\tjmp 1b\n"
      "8:\n\tmov %[v], %[n]\n\tmov %[d], %[passes]\n\t" EACH_ROW(ADD, )
      "mov %[scale_lines], %[groups]\n"
      "9:\n\tprefetcht1 (%[ahead])\n\tadd $64, %[ahead]\n\tdec %[groups]\n\tjnz 9b\n\t"
      : [lines] "+&r"(lines), [ahead] "+&r"(ahead), [x] "+&r"(x), [products] "+&r"(products), [groups] "+&r"(groups),
        [first] "+&r"(first), [passes] "=&r"(passes), [n] "=&r"(n)
      : [acc] "r"(acc), [v] "m"(v), [d] "m"(input.d), [block_passes] "m"(block_passes), [group_bytes] "m"(group_bytes),
        [scale_lines] "m"(scale_lines), [scale_type] "m"(scale_type), [mask] "m"(kBits == 4 ? kMask4 : kMask8),
        [R] "i"(R), [bits] "i"(kBits), [is_signed] "i"(kSigned ? 1 : 0), [group_32] "i"(kGroup32 ? 1 : 0),
        [coupled] "i"(R > kAvx512PlainRows ? 1 : 0)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",
        "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
}

template <int kBits, bool kSigned, bool kGroup32>
StreamFunction function_for_rows(uint32_t rows) {
  switch (rows) {
    case 1: return stream_chunk<kBits, kSigned, kGroup32, 1>;
    case 2: return stream_chunk<kBits, kSigned, kGroup32, 2>;
    case 3: return stream_chunk<kBits, kSigned, kGroup32, 3>;
    case 4: return stream_chunk<kBits, kSigned, kGroup32, 4>;
    case 5: return stream_chunk<kBits, kSigned, kGroup32, 5>;
    case 6: return stream_chunk<kBits, kSigned, kGroup32, 6>;
    case 7: return stream_chunk<kBits, kSigned, kGroup32, 7>;
    case 8: return stream_chunk<kBits, kSigned, kGroup32, 8>;
    case 9: return stream_chunk<kBits, kSigned, kGroup32, 9>;
    case 10: return stream_chunk<kBits, kSigned, kGroup32, 10>;
    case 11: return stream_chunk<kBits, kSigned, kGroup32, 11>;
    default: return stream_chunk<kBits, kSigned, kGroup32, 12>;
  }
}

template <int kBits, bool kSigned>
StreamFunction function_for_group(uint32_t group, uint32_t rows) {
  return group == 32 ? function_for_rows<kBits, kSigned, true>(rows) : function_for_rows<kBits, kSigned, false>(rows);
}

}  // namespace

StreamFunction avx512_stream_function(const MatrixFormat& format, uint32_t tile_rows) {
  const bool affine = format.type == WeightType::kUnsigned;
  if (format.bits == 8) {
    return affine ? function_for_group<8, false>(format.group, tile_rows)
                  : function_for_group<8, true>(format.group, tile_rows);
  }
  return affine ? function_for_group<4, false>(format.group, tile_rows)
                : function_for_group<4, true>(format.group, tile_rows);
}

}  // namespace slipstream
