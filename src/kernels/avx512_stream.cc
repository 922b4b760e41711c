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

// Ahead in the panel's stream, into L2 (avx2_stream.cc).
constexpr int kPrefetchBytes = 8192;

// One asm statement a block. A step is a couple of the even part and the couple of the odd part 32 inputs further on:
// the halves of one line's bytes where they have 4 bits, two lines where they have 8. Row m's sums are zmm m and m +
// 12, of the even and the odd part: two groups of 32, or two halves of a larger one. 24, 25 are the even couple's
// weights, 26, 27 the odd one's; 28, 29 activations, 30 the weights' own products, 31 the mask.
//
// From three rows on the even couple is coupled (activation_layout.h), the odd one not: three multiplications and two
// additions of a row, beside the shifting and masking of weights.
#define PLAIN(part, m, sum, w0, w1, at)                                                                              \
  "vpdpwssd " at " + 64 * %c[R] * " #part " + 4 * " #m "(%[x])%{1to16%}, %%zmm" #w0 ", %%zmm" #sum "\n\t"             \
  "vpdpwssd " at " + 64 * %c[R] * " #part " + 4 * %c[R] + 4 * " #m "(%[x])%{1to16%}, %%zmm" #w1 ", %%zmm" #sum "\n\t"
#define ROW(m, even, odd, at)                                                                                        \
  ".if %c[R] > " #m "\n\t"                                                                                            \
  ".if %c[coupled]\n\t"                                                                                              \
  "vpbroadcastd " at " + 4 * " #m "(%[x]), %%zmm28\n\tvpbroadcastd " at " + 4 * %c[R] + 4 * " #m "(%[x]), %%zmm29\n\t" \
  "vpaddw %%zmm25, %%zmm28, %%zmm28\n\tvpaddw %%zmm24, %%zmm29, %%zmm29\n\t"                                          \
  "vpdpwssd %%zmm28, %%zmm29, %%zmm" #even "\n\t"                                                                     \
  ".else\n\t" PLAIN(0, m, even, 24, 25, at) ".endif\n\t"                                                             \
  PLAIN(1, m, odd, 26, 27, at)                                                                                       \
  ".endif\n\t"
#define EACH_ROW(ROW, ...)                                                                                           \
  ROW(0, 0, 12, __VA_ARGS__) ROW(1, 1, 13, __VA_ARGS__) ROW(2, 2, 14, __VA_ARGS__) ROW(3, 3, 15, __VA_ARGS__)         \
  ROW(4, 4, 16, __VA_ARGS__) ROW(5, 5, 17, __VA_ARGS__) ROW(6, 6, 18, __VA_ARGS__) ROW(7, 7, 19, __VA_ARGS__)         \
  ROW(8, 8, 20, __VA_ARGS__) ROW(9, 9, 21, __VA_ARGS__) ROW(10, 10, 22, __VA_ARGS__) ROW(11, 11, 23, __VA_ARGS__)
// The values that begin at bit `place` of each word, `left` bits below its top, unsigned or signed.
#define SELECT(from, to, place, left)                                                                                \
  ".if %c[is_signed]\n\t"                                                                                            \
  ".if " left "\n\tvpsllw $" left ", %%zmm" #from ", %%zmm" #to "\n\tvpsraw $16 - %c[bits], %%zmm" #to ", %%zmm" #to  \
  "\n\t.else\n\tvpsraw $16 - %c[bits], %%zmm" #from ", %%zmm" #to "\n\t.endif\n\t"                                    \
  ".elseif " left " == 0\n\tvpsrlw $" place ", %%zmm" #from ", %%zmm" #to "\n\t"                                      \
  ".elseif " place " == 0\n\tvpandd %%zmm31, %%zmm" #from ", %%zmm" #to "\n\t"                                        \
  ".else\n\tvpsrlw $" place ", %%zmm" #from ", %%zmm" #to "\n\tvpandd %%zmm31, %%zmm" #to ", %%zmm" #to "\n\t"        \
  ".endif\n\t"
// Line i of this iteration (8 bits: and the line 8 further on).
#define STEP(i)                                                                                                      \
  "vmovdqa64 64 * " #i "(%[lines]), %%zmm27\n\tprefetcht1 64 * " #i " + %c[ahead](%[lines])\n\t"                      \
  SELECT(27, 24, "0", "(16 - %c[bits])") SELECT(27, 25, "8", "(8 - %c[bits])")                                       \
  ".if %c[bits] == 8\n\t"                                                                                            \
  "vmovdqa64 512 + 64 * " #i "(%[lines]), %%zmm27\n\tprefetcht1 512 + 64 * " #i " + %c[ahead](%[lines])\n\t"          \
  SELECT(27, 26, "0", "(16 - %c[bits])") SELECT(27, 27, "8", "(8 - %c[bits])")                                       \
  ".else\n\t" SELECT(27, 26, "4", "(12 - %c[bits])") SELECT(27, 27, "12", "(4 - %c[bits])") ".endif\n\t"             \
  ".if %c[coupled]\n\tvpdpwssd %%zmm24, %%zmm25, %%zmm30\n\t.endif\n\t"                                              \
  EACH_ROW(ROW, "8 * %c[R] * " #i)
#define BEGIN(m, even, odd, ...)                                                                                     \
  ".if %c[R] > " #m "\n\t"                                                                                            \
  ".if %c[coupled]\n\tvpbroadcastd 4 * " #m "(%[products]), %%zmm" #even "\n\t"                                      \
  ".else\n\tvpxord %%zmm" #even ", %%zmm" #even ", %%zmm" #even "\n\t.endif\n\t"                                      \
  "vpxord %%zmm" #odd ", %%zmm" #odd ", %%zmm" #odd "\n\t"                                                           \
  ".endif\n\t"
// acc = fma(float(sum), scale, acc), acc in memory, in L1: for the even part's group or the only one; then for the odd
// part's.
#define FINISH(m, even, odd, ...)                                                                                    \
  ".if %c[R] > " #m "\n\t"                                                                                            \
  ".if %c[coupled]\n\tvpsubd %%zmm30, %%zmm" #even ", %%zmm" #even "\n\t.endif\n\t"                                   \
  ".if %c[group_32] == 0\n\tvpaddd %%zmm" #odd ", %%zmm" #even ", %%zmm" #even "\n\t.endif\n\t"                       \
  "vcvtdq2ps %%zmm" #even ", %%zmm" #even "\n\t"                                                                     \
  "vfmadd213ps 64 * " #m "(%[acc]), %%zmm24, %%zmm" #even "\n\t"                                                      \
  ".endif\n\t"
#define FINISH_ODD(m, even, odd, ...)                                                                                \
  ".if %c[R] > " #m "\n\t"                                                                                            \
  "vcvtdq2ps %%zmm" #odd ", %%zmm" #odd "\n\tvfmadd231ps %%zmm" #odd ", %%zmm25, %%zmm" #even "\n\t"                  \
  ".endif\n\t"
#define KEEP(m, even, odd, ...) ".if %c[R] > " #m "\n\tvmovaps %%zmm" #even ", 64 * " #m "(%[acc])\n\t.endif\n\t"

// What a block is multiplied with, and where its sums go.
struct Tile {
  const std::byte* x;  // moves on
  float* acc;          // [rows][16]
};

// `passes`: stretches of 64 inputs in a group; `groups`: in the block.
template <int kBits, bool kSigned, bool kGroup32, int R>
inline __attribute__((always_inline)) void multiply_block(const std::byte* lines, const float* scales,
                                                          const int32_t* products, uint64_t passes, uint64_t groups,
                                                          Tile& tile) {
  uint64_t n;
  asm volatile(
      EACH_ROW(BEGIN, )
      "vpxord %%zmm30, %%zmm30, %%zmm30\n\tvmovdqa64 %[mask], %%zmm31\n"
      "1:\n\tmov $4, %k[n]\n"
      "2:\n\t" STEP(0) STEP(1)
      "add $128, %[lines]\n\tadd $16 * %c[R], %[x]\n\tdec %[n]\n\tjnz 2b\n\t"
      ".if %c[bits] == 8\n\tadd $512, %[lines]\n\t.endif\n\tadd $64 * %c[R], %[x]\n\t"
      "dec %[passes]\n\tjnz 1b\n\t"
      "vmovaps (%[scales]), %%zmm24\n\t"
      EACH_ROW(FINISH, )
      ".if %c[group_32]\n\tdec %[groups]\n\tjz 3f\n\tvmovaps 64(%[scales]), %%zmm25\n\t" EACH_ROW(FINISH_ODD, )
      "3:\n\t.endif\n\t"
      EACH_ROW(KEEP, )
      : [lines] "+&r"(lines), [x] "+&r"(tile.x), [n] "=&r"(n), [passes] "+&r"(passes), [groups] "+&r"(groups)
      : [acc] "r"(tile.acc), [scales] "r"(scales), [products] "r"(products), [mask] "m"(kBits == 4 ? kMask4 : kMask8),
        [R] "i"(R), [bits] "i"(kBits), [is_signed] "i"(kSigned ? 1 : 0), [group_32] "i"(kGroup32 ? 1 : 0),
        [coupled] "i"(R > kAvx512PlainRows ? 1 : 0), [ahead] "i"(kPrefetchBytes)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",
        "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
}

template <int kBits, bool kSigned, bool kGroup32, int R>
void stream_chunk(const WeightPanel& panel, uint32_t chunk, const TileInput& input, float* v) {
  alignas(64) float acc[R * kPanelRows] = {};
  alignas(64) PanelLanes scales[kChunkParts];
  const uint32_t group = panel.format.group, num_groups = panel.chunk_groups(chunk);
  avx512_load_scales(panel, chunk * (kChunkInputs / group), num_groups, scales[0], kPanelRows);
  constexpr uint32_t kBlockGroups = kGroup32 ? 2 : 1;
  const std::byte* block = panel.chunk_at(chunk);
  Tile tile{input.values, acc};
  for (uint32_t g = 0; g < num_groups; g += kBlockGroups, block += panel.layout.block_bytes) {
    for (uint32_t at = panel.layout.value_bytes; at < panel.layout.block_bytes; at += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(block) + at + kPrefetchBytes, _MM_HINT_T1);
    }
    multiply_block<kBits, kSigned, kGroup32, R>(block, scales[g], input.products + g * R, panel.layout.inputs / 64,
                                                num_groups - g, tile);
  }
  for (int m = 0; m < R; ++m) {
    float* to = v + m * kPanelRows;
    _mm512_store_ps(to, _mm512_fmadd_ps(_mm512_load_ps(acc + m * kPanelRows), _mm512_set1_ps(input.d[m]),
                                        _mm512_load_ps(to)));
  }
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
