#include "kernels/avx512_stream.h"

#include <immintrin.h>

#include "kernels/avx512_panel.h"

namespace slipstream {
namespace {

// Ahead in the panel's stream: into L2 early, and into L1 shortly before. Lines asked for into L1 wait for its few miss
// buffers, and what waits there too long makes loads wait.
constexpr size_t kFarBytes = 16384, kNearBytes = 4096;

// One asm statement. A step is two couples with sums of their own, zmm m and m + 12 for row m. 4 bits: a couple of the
// even part and the one 32 inputs further on, halves of one line's bytes. 8 bits: two lines, one after the other. Up to
// 6 rows, acc is zmm m + 6. 24, 25 are the first couple's weights, 26, 27 the second's; 28, 29 activations; 30, 31 the
// weights' own products.
//
// One couple of the two is coupled (activation_layout.h): three multiplications and two additions of a row, beside the
// shifting and masking of weights.
#define PLAIN(m, sum, w0, w1, at)                                                                                    \
  "vpdpwssd " at " + 4 * " #m "(%[x])%{1to16%}, %%zmm" #w0 ", %%zmm" #sum "\n\t"                                      \
  "vpdpwssd " at " + 4 * %c[R] + 4 * " #m "(%[x])%{1to16%}, %%zmm" #w1 ", %%zmm" #sum "\n\t"
#define COUPLED(m, sum, w0, w1, at)                                                                                  \
  "vpbroadcastd " at " + 4 * " #m "(%[x]), %%zmm28\n\tvpbroadcastd " at " + 4 * %c[R] + 4 * " #m "(%[x]), %%zmm29\n\t" \
  "vpaddw %%zmm" #w1 ", %%zmm28, %%zmm28\n\tvpaddw %%zmm" #w0 ", %%zmm29, %%zmm29\n\t"                                \
  "vpdpwssd %%zmm28, %%zmm29, %%zmm" #sum "\n\t"
#define ROW(m, a, b, keep, FIRST, SECOND, at0, at1)                                                                  \
  ".if %c[R] > " #m "\n\t" FIRST(m, a, 24, 25, at0) SECOND(m, b, 26, 27, at1) ".endif\n\t"
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
  ".elseif " place " == 0\n\tvpandd %[mask]%{1to16%}, %%zmm" #from ", %%zmm" #to "\n\t"                               \
  ".else\n\tvpsrlw $" place ", %%zmm" #from ", %%zmm" #to "\n\t"                                                    \
  "vpandd %[mask]%{1to16%}, %%zmm" #to ", %%zmm" #to "\n\t"                                                         \
  ".endif\n\t"
#define FETCH(offset)                                                                                                \
  "prefetcht1 " offset "(%[lines],%[far])\n\tprefetcht0 " offset "(%[lines],%[near])\n\t"
#define PRODUCTS(condition, w0, w1, to)                                                                              \
  ".if " condition "\n\tvpdpwssd %%zmm" #w0 ", %%zmm" #w1 ", %%zmm" #to "\n\t.endif\n\t"
// Line i of this turn: even ones with the first couple coupled, odd ones with the second.
#define STEP_4(i, odd, FIRST, SECOND)                                                                                \
  "vmovdqa64 64 * " #i "(%[lines]), %%zmm27\n\t" FETCH("64 * " #i)                                                   \
  SELECT(27, 24, "0", "12") SELECT(27, 25, "8", "4") SELECT(27, 26, "4", "8") SELECT(27, 27, "12", "0")              \
  ".if " #odd " && %c[group_32]\n\t" PRODUCTS("1", 26, 27, 31)                                                        \
  ".elseif " #odd "\n\t" PRODUCTS("1", 26, 27, 30) ".else\n\t" PRODUCTS("1", 24, 25, 30) ".endif\n\t"                 \
  EACH_ROW(ROW, FIRST, SECOND, "8 * %c[R] * " #i, "64 * %c[R] + 8 * %c[R] * " #i)
// Lines 2 i and 2 i + 1 of this turn: of an even part the first is coupled, of an odd one the second.
#define STEP_8(i, odd, FIRST, SECOND)                                                                                \
  "vmovdqa64 128 * " #i "(%[lines]), %%zmm25\n\tvmovdqa64 128 * " #i " + 64(%[lines]), %%zmm27\n\t"                  \
  FETCH("128 * " #i) FETCH("128 * " #i " + 64")                                                                      \
  SELECT(25, 24, "0", "8") SELECT(25, 25, "8", "0") SELECT(27, 26, "0", "8") SELECT(27, 27, "8", "0")                \
  PRODUCTS(#odd " == 0", 24, 25, 30) PRODUCTS(#odd, 26, 27, 30)                                                       \
  EACH_ROW(ROW, FIRST, SECOND, "16 * %c[R] * " #i, "8 * %c[R] + 16 * %c[R] * " #i)
#define BEGIN(m, a, b, keep, SECOND)                                                                                 \
  ".if %c[R] > " #m "\n\t"                                                                                            \
  "vpbroadcastd 4 * " #m "(%[products]), %%zmm" #a "\n\t"                                                            \
  ".if " SECOND "\n\tvpbroadcastd 4 * %c[R] + 4 * " #m "(%[products]), %%zmm" #b "\n\t"               \
  ".else\n\tvpxord %%zmm" #b ", %%zmm" #b ", %%zmm" #b "\n\t.endif\n\t"                                               \
  ".endif\n\t"
#define BEGIN_GROUP(SECOND)                                                                                          \
  EACH_ROW(BEGIN, SECOND) "vpxord %%zmm30, %%zmm30, %%zmm30\n\tvpxord %%zmm31, %%zmm31, %%zmm31\n\t"
// A group's scale from its place.
#define SCALE(at, to)                                                                                                \
  "cmpl $1, %[scale_type]\n\tja 101f\n\tje 100f\n\t"                                                                 \
  "vpmovzxwd " at ", %%zmm" #to "\n\tvpslld $16, %%zmm" #to ", %%zmm" #to "\n\tjmp 102f\n"                            \
  "100:\n\tvcvtph2ps " at ", %%zmm" #to "\n\tjmp 102f\n101:\n\tvmovups " at ", %%zmm" #to "\n102:\n\t"
// Where both sums are one group's: their sum, as fp32.
#define JOIN(m, a, b, ...)                                                                                           \
  ".if %c[R] > " #m "\n\tvpaddd %%zmm" #b ", %%zmm" #a ", %%zmm" #a "\n\t"                                            \
  "vpsubd %%zmm30, %%zmm" #a ", %%zmm" #a "\n\t"                                                                    \
  "vcvtdq2ps %%zmm" #a ", %%zmm" #a "\n\t.endif\n\t"
// Where each is a group's.
#define CONVERT(m, a, b, ...)                                                                                        \
  ".if %c[R] > " #m "\n\t"                                                                                            \
  "vpsubd %%zmm30, %%zmm" #a ", %%zmm" #a "\n\tvpsubd %%zmm31, %%zmm" #b ", %%zmm" #b "\n\t"                          \
  "vcvtdq2ps %%zmm" #a ", %%zmm" #a "\n\tvcvtdq2ps %%zmm" #b ", %%zmm" #b "\n\t.endif\n\t"
// acc = fma(float(sum), scale, acc). Beyond 6 rows acc is 0 (zmm 28), then in memory, in L1.
#define FIRST(m, a, b, ...) ".if %c[R] > " #m "\n\tvfmadd213ps %%zmm28, %%zmm24, %%zmm" #a "\n\t.endif\n\t"
#define NEXT(m, a, b, ...) ".if %c[R] > " #m "\n\tvfmadd213ps 64 * " #m "(%[acc]), %%zmm24, %%zmm" #a "\n\t.endif\n\t"
#define SUM(m, a, b, keep, ...)                                                                                      \
  ".if %c[R] > " #m "\n\tvfmadd231ps %%zmm" #a ", %%zmm24, %%zmm" #keep "\n\t.endif\n\t"
#define SUM_SECOND(m, a, b, keep, ...)                                                                               \
  ".if %c[R] > " #m "\n\t.if %c[R] <= 6\n\tvfmadd231ps %%zmm" #b ", %%zmm25, %%zmm" #keep "\n\t"                      \
  ".else\n\tvfmadd231ps %%zmm" #b ", %%zmm25, %%zmm" #a "\n\t.endif\n\t.endif\n\t"
#define KEEP(m, a, ...) ".if %c[R] > " #m "\n\tvmovaps %%zmm" #a ", 64 * " #m "(%[acc])\n\t.endif\n\t"
#define ZERO(m, a, b, keep, ...)                                                                                     \
  ".if %c[R] > " #m "\n\tvpxord %%zmm" #keep ", %%zmm" #keep ", %%zmm" #keep "\n\t.endif\n\t"
#define ADD_GROUP                                                                                                    \
  ".if %c[R] <= 6\n\t" EACH_ROW(SUM, )                                                                               \
  ".else\n\tdec %[first]\n\tjz 103f\n\t" EACH_ROW(NEXT, ) "jmp 104f\n"                                               \
  "103:\n\tvpxord %%zmm28, %%zmm28, %%zmm28\n\t" EACH_ROW(FIRST, ) "104:\n\t.endif\n\t"
#define KEEP_GROUPS ".if %c[R] > 6\n\t" EACH_ROW(KEEP, ) ".endif\n\t"
// v = fma(acc, d, v); n points at v, passes at d.
#define ADD(m, a, b, keep, ...)                                                                                      \
  ".if %c[R] > " #m "\n\tvmovaps 64 * " #m "(%[n]), %%zmm28\n\t"                                                      \
  ".if %c[R] <= 6\n\tvfmadd231ps 4 * " #m "(%[passes])%{1to16%}, %%zmm" #keep ", %%zmm28\n\t"                         \
  ".else\n\tvfmadd231ps 4 * " #m "(%[passes])%{1to16%}, %%zmm" #a ", %%zmm28\n\t.endif\n\t"                           \
  "vmovaps %%zmm28, 64 * " #m "(%[n])\n\t.endif\n\t"
// So many turns of two steps.
#define TURNS(count, label, bytes, inputs, STEPS)                                                                    \
  "mov $" count ", %k[n]\n\t.p2align 5\n" label ":\n\t" STEPS                                                         \
  "add $" bytes ", %[lines]\n\tadd $" inputs " * 2 * %c[R], %[x]\n\tdec %[n]\n\tjnz " label "b\n\t"

// A pass of 64 inputs, and the end of a group or two; 9 is where the chunk is done.
#define PASS_4                                                                                                       \
  TURNS("4", "3", "128", "8", STEP_4(0, 0, COUPLED, PLAIN) STEP_4(1, 1, PLAIN, COUPLED))                             \
  "add $64 * %c[R], %[x]\n\tdec %[passes]\n\tjnz 2b\n\t" SCALE("(%[lines])", 24)                                     \
  ".if %c[group_32]\n\t" EACH_ROW(CONVERT, ) ADD_GROUP "dec %[groups]\n\tjz 9f\n\t"                                   \
  "mov %[group_bytes], %[n]\n\t" SCALE("(%[lines],%[n])", 25) EACH_ROW(SUM_SECOND, )                                  \
  ".else\n\t" EACH_ROW(JOIN, ) ADD_GROUP ".endif\n\t"                                                                \
  "dec %[groups]\n\tjz 9f\n\t" KEEP_GROUPS "add $4 * %c[R] * (1 + %c[group_32]), %[products]\n\t"
#define PASS_8                                                                                                       \
  TURNS("2", "3", "256", "16", STEP_8(0, 0, COUPLED, PLAIN) STEP_8(1, 0, COUPLED, PLAIN))                            \
  ".if %c[group_32]\n\t" SCALE("512(%[lines])", 24) EACH_ROW(JOIN, ) ADD_GROUP "dec %[groups]\n\tjz 9f\n\t"           \
  KEEP_GROUPS "add $4 * %c[R], %[products]\n\t" BEGIN_GROUP("0") ".endif\n\t"                                        \
  TURNS("2", "4", "256", "16", STEP_8(0, 1, PLAIN, COUPLED) STEP_8(1, 1, PLAIN, COUPLED))                            \
  "dec %[passes]\n\tjnz 2b\n\t"                                                                                      \
  ".if %c[group_32]\n\tmov %[group_bytes], %[n]\n\t" SCALE("(%[lines],%[n])", 24)                                     \
  ".else\n\t" SCALE("(%[lines])", 24) ".endif\n\t" EACH_ROW(JOIN, ) ADD_GROUP                                         \
  "dec %[groups]\n\tjz 9f\n\t" KEEP_GROUPS "add $4 * %c[R], %[products]\n\t"

// SCALE knows them by their numbers.
static_assert(static_cast<int>(ScaleType::kBf16) == 0 && static_cast<int>(ScaleType::kFp16) == 1);

template <int kBits, bool kSigned, bool kGroup32, int R>
void stream_chunk(const WeightPanel& panel, uint32_t chunk, const TileInput& input, float* v) {
  alignas(64) float acc[R > 6 ? R * kPanelRows : 1];
  const std::byte* lines = panel.chunk_at(chunk);
  const std::byte* x = input.values;
  const int32_t* products = input.products;
  uint64_t groups = panel.chunk_groups(chunk), first = 1, passes, n;
  const uint64_t block_passes = panel.layout.inputs / 64, group_bytes = panel.layout.group_bytes;
  const uint64_t scale_lines = (panel.layout.block_bytes - panel.layout.value_bytes) / 64;
  const uint32_t scale_type = static_cast<uint32_t>(panel.format.scales);
  const uint32_t mask = kBits == 4 ? 0x000f000f : 0x00ff00ff;
  asm volatile(
      ".if %c[R] <= 6\n\t" EACH_ROW(ZERO, ) ".endif\n"
      "1:\n\t" BEGIN_GROUP("%c[bits] == 4 && %c[group_32]") "mov %[block_passes], %[passes]\n"
      "2:\n\t.if %c[bits] == 4\n\t" PASS_4 ".else\n\t" PASS_8 ".endif\n\t"
      "mov %[scale_lines], %[n]\n"
      "7:\n\t" FETCH("0") "add $64, %[lines]\n\tdec %[n]\n\tjnz 7b\n\tjmp 1b\n"
      "9:\n\tmov %[scale_lines], %[n]\n"
      "8:\n\t" FETCH("0") "add $64, %[lines]\n\tdec %[n]\n\tjnz 8b\n\t"
      "mov %[v], %[n]\n\tmov %[d], %[passes]\n\t" EACH_ROW(ADD, )
      : [lines] "+&r"(lines), [x] "+&r"(x), [products] "+&r"(products), [groups] "+&r"(groups), [first] "+&r"(first),
        [passes] "=&r"(passes), [n] "=&r"(n)
      : [acc] "r"(acc), [v] "m"(v), [d] "m"(input.d), [block_passes] "m"(block_passes), [group_bytes] "m"(group_bytes),
        [scale_lines] "m"(scale_lines), [scale_type] "m"(scale_type), [mask] "m"(mask), [R] "i"(R), [bits] "i"(kBits),
        [is_signed] "i"(kSigned ? 1 : 0), [group_32] "i"(kGroup32 ? 1 : 0),
        [far] "r"(kFarBytes), [near] "r"(kNearBytes)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",
        "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
}

template <int kBits, bool kSigned, bool kGroup32>
StreamFunction function_for_rows(uint32_t rows) {
  switch (rows) {
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
