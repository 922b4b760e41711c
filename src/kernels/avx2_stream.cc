#include "kernels/avx2_stream.h"

#include <immintrin.h>

namespace slipstream {
namespace {

struct alignas(32) Mask {
  uint16_t word[16];
  constexpr explicit Mask(uint16_t value) : word() {
    for (uint16_t& w : word) w = value;
  }
};
constexpr Mask kMask4(15), kMask8(255);

// As in avx2_tile.cc, one asm statement: sums in ymm 2m, 2m + 1. Up to 4 rows: 8, 9 the raw line, 10, 11 weights, 13
// the mask, 14 activations, 15 product. 5 and 6 rows need 8 .. 11 for sums, so 12, 13 are raw line and weights in
// turn and the mask stays in memory.
//
// A line holds 4 inputs of each row (and 4 more in the high halves): pairs (0, 2) from the even bytes, (1, 3) from
// the odd.
#define ROW(m, a0, a1, w0, w1, offset)                                                                 \
  ".if %c[R] > " #m "\n\t"                                                                             \
  "vpbroadcastd " offset " + 4 * " #m "(%[x]), %%ymm14\n\t"                                            \
  "vpmaddwd %%ymm14, %%ymm" #w0 ", %%ymm15\n\tvpaddd %%ymm15, %%ymm" #a0 ", %%ymm" #a0 "\n\t"          \
  "vpmaddwd %%ymm14, %%ymm" #w1 ", %%ymm15\n\tvpaddd %%ymm15, %%ymm" #a1 ", %%ymm" #a1 "\n\t"          \
  ".endif\n\t"
#define ROWS(offset)                                                                                   \
  ".if %c[R] <= 4\n\t"                                                                                 \
  ROW(0, 0, 1, 10, 11, offset) ROW(1, 2, 3, 10, 11, offset) ROW(2, 4, 5, 10, 11, offset) ROW(3, 6, 7, 10, 11, offset) \
  ".else\n\t"                                                                                          \
  ROW(0, 0, 1, 12, 13, offset) ROW(1, 2, 3, 12, 13, offset) ROW(2, 4, 5, 12, 13, offset)               \
  ROW(3, 6, 7, 12, 13, offset) ROW(4, 8, 9, 12, 13, offset) ROW(5, 10, 11, 12, 13, offset)             \
  ".endif\n\t"
#define SHIFT(op, count, from0, from1, to0, to1)                                                       \
  op " $" count ", %%ymm" #from0 ", %%ymm" #to0 "\n\t" op " $" count ", %%ymm" #from1 ", %%ymm" #to1 "\n\t"
// The values that begin at bit `place` of each word, `left` bits below its top, unsigned or signed.
#define SELECT(from0, from1, to0, to1, mask, place, left)                                              \
  ".if %c[is_signed]\n\t"                                                                              \
  ".if " left "\n\t"                                                                                   \
  SHIFT("vpsllw", left, from0, from1, to0, to1) SHIFT("vpsraw", "16 - %c[bits]", to0, to1, to0, to1)   \
  ".else\n\t" SHIFT("vpsraw", "16 - %c[bits]", from0, from1, to0, to1) ".endif\n\t"                    \
  ".elseif " left " == 0\n\t" SHIFT("vpsrlw", place, from0, from1, to0, to1)                           \
  ".elseif " place " == 0\n\t"                                                                         \
  "vpand " mask ", %%ymm" #from0 ", %%ymm" #to0 "\n\tvpand " mask ", %%ymm" #from1 ", %%ymm" #to1 "\n\t" \
  ".else\n\t" SHIFT("vpsrlw", place, from0, from1, to0, to1)                                           \
  "vpand " mask ", %%ymm" #to0 ", %%ymm" #to0 "\n\tvpand " mask ", %%ymm" #to1 ", %%ymm" #to1 "\n\t"   \
  ".endif\n\t"
#define LOAD(i, r0, r1)                                                                                \
  "vmovdqa 64 * " #i "(%[lines]), %%ymm" #r0 "\n\tvmovdqa 64 * " #i " + 32(%[lines]), %%ymm" #r1 "\n\t"
#define LINE(i, even, odd)                                                                             \
  ".if %c[R] <= 4\n\t"                                                                                 \
  LOAD(i, 8, 9) SELECT(8, 9, 10, 11, "%%ymm13", even, "(16 - %c[bits] - " even ")")                    \
  ".else\n\t"                                                                                          \
  LOAD(i, 12, 13) SELECT(12, 13, 12, 13, "(%[mask])", even, "(16 - %c[bits] - " even ")")              \
  ".endif\n\t" ROWS("8 * %c[R] * " #i)                                                                 \
  ".if %c[R] <= 4\n\t"                                                                                 \
  SELECT(8, 9, 10, 11, "%%ymm13", odd, "(16 - %c[bits] - " odd ")")                                    \
  ".else\n\t"                                                                                          \
  LOAD(i, 12, 13) SELECT(12, 13, 12, 13, "(%[mask])", odd, "(16 - %c[bits] - " odd ")")                \
  ".endif\n\t" ROWS("8 * %c[R] * " #i " + 4 * %c[R]")
// Into L2: lines asked for into L1 wait for its few miss buffers (24 on Zen 4: 64 bytes each, 130 ns = 12 GB/s).
#define PREFETCH(i) "prefetcht1 64 * " #i "(%[lines],%[ahead])\n\t"
#define NEXT(label) "add $128, %[lines]\n\tadd $16 * %c[R], %[x]\n\tdec %[n]\n\tjnz " label "b\n\t"
#define ZERO(m, a0, a1)                                                                                \
  ".if %c[R] > " #m "\n\t"                                                                             \
  "vpxor %%xmm" #a0 ", %%xmm" #a0 ", %%xmm" #a0 "\n\tvpxor %%xmm" #a1 ", %%xmm" #a1 ", %%xmm" #a1 "\n\t" \
  ".endif\n\t"
#define FINISH(m, a0, a1)                                                                              \
  ".if %c[R] > " #m "\n\t"                                                                             \
  "vcvtdq2ps %%ymm" #a0 ", %%ymm" #a0 "\n\tvcvtdq2ps %%ymm" #a1 ", %%ymm" #a1 "\n\t"                   \
  "vfmadd213ps 64 * " #m "(%[acc]), %%ymm12, %%ymm" #a0 "\n\t"                                         \
  "vfmadd213ps 64 * " #m " + 32(%[acc]), %%ymm13, %%ymm" #a1 "\n\t"                                    \
  "vmovaps %%ymm" #a0 ", 64 * " #m "(%[acc])\n\tvmovaps %%ymm" #a1 ", 64 * " #m " + 32(%[acc])\n\t"    \
  ".endif\n\t"

#define SCALES(at, s0, s1)                                                                             \
  ".if %c[scale_type] == 0\n\t"                                                                        \
  "vpmovzxwd (" at "), %%ymm" #s0 "\n\tvpmovzxwd 16(" at "), %%ymm" #s1 "\n\t"                         \
  SHIFT("vpslld", "16", s0, s1, s0, s1)                                                                \
  ".elseif %c[scale_type] == 1\n\t"                                                                    \
  "vcvtph2ps (" at "), %%ymm" #s0 "\n\tvcvtph2ps 16(" at "), %%ymm" #s1 "\n\t"                         \
  ".else\n\t"                                                                                          \
  "vmovaps (" at "), %%ymm" #s0 "\n\tvmovaps 32(" at "), %%ymm" #s1 "\n\t"                             \
  ".endif\n\t"
static_assert(static_cast<int>(ScaleType::kBf16) == 0 && static_cast<int>(ScaleType::kFp16) == 1);

// Ahead in the panel's stream, for one row as far as StreamTuning says. What is best for one row may be nothing at all,
// which costs six rows a third: they are slow enough for the processor to fall behind with its own asking.
constexpr size_t kFarBytes = 8192;

// Which halves of 4-bit bytes belong to the group: of group 32 the low or the high, else both. 8-bit lines are kLow.
enum Part : int { kLow = 1, kHigh = 2, kBoth = 3 };

// What a group is multiplied with, and where its sums go.
struct Tile {
  const std::byte* x;  // moves on
  float* acc;          // [rows][16]
  size_t prefetch_bytes;
};

// `count`: lines of one pass over the group, a multiple of 2; `passes`: stretches of 64 inputs (kBoth only).
template <int kBits, bool kSigned, ScaleType kScale, int R, int kPart>
inline __attribute__((always_inline)) void multiply_group(const std::byte* lines, const std::byte* scale,
                                                          uint64_t count, uint64_t passes, Tile& tile) {
  uint64_t n;
  asm volatile(
      ZERO(0, 0, 1) ZERO(1, 2, 3) ZERO(2, 4, 5) ZERO(3, 6, 7) ZERO(4, 8, 9) ZERO(5, 10, 11)
      ".if %c[R] <= 4\n\tvmovdqa (%[mask]), %%ymm13\n\t.endif\n"
      "3:\n\t"
      ".if %c[part] & 1\n\t"
      "mov %[count], %[n]\n1:\n\t" PREFETCH(0) LINE(0, "0", "8") PREFETCH(1) LINE(1, "0", "8") NEXT("1")
      ".endif\n\t"
      ".if %c[part] == 3\n\tsub $512, %[lines]\n\t.endif\n\t"
      ".if %c[part] & 2\n\t"
      "mov %[count], %[n]\n2:\n\t" LINE(0, "4", "12") LINE(1, "4", "12") NEXT("2")
      ".endif\n\t"
      ".if %c[part] == 3\n\tdec %[passes]\n\tjnz 3b\n\t.endif\n\t"
      "prefetcht1 (%[scale],%[ahead])\n\t" SCALES("%[scale]", 12, 13)
      FINISH(0, 0, 1) FINISH(1, 2, 3) FINISH(2, 4, 5) FINISH(3, 6, 7) FINISH(4, 8, 9) FINISH(5, 10, 11)
      : [lines] "+r"(lines), [x] "+r"(tile.x), [n] "=&r"(n), [passes] "+r"(passes)
      : [acc] "r"(tile.acc), [scale] "r"(scale), [count] "r"(count / 2), [mask] "r"(kBits == 4 ? &kMask4 : &kMask8),
        [R] "i"(R), [bits] "i"(kBits), [is_signed] "i"(kSigned ? 1 : 0), [part] "i"(kPart),
        [scale_type] "i"(static_cast<int>(kScale)), [ahead] "r"(tile.prefetch_bytes)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

template <int kBits, bool kSigned, ScaleType kScale, int R>
void stream_chunk(const WeightPanel& panel, uint32_t chunk, const TileInput& input, float* v) {
  alignas(64) float acc[R * kPanelRows] = {};
  Tile tile{input.values, acc, R == 1 ? input.prefetch_bytes : kFarBytes};
  const uint32_t group = panel.format.group, num_groups = panel.chunk_groups(chunk);
  const std::byte* block = panel.chunk_at(chunk);
  for (uint32_t g = 0; g < num_groups; ++g) {
    const bool second = group == 32 && g % 2 == 1;  // of the block's two groups
    const std::byte* scale = block + panel.layout.value_bytes + (second ? panel.layout.group_bytes : 0);
    if constexpr (kBits == 8) {
      multiply_group<8, kSigned, kScale, R, kLow>(block + (second ? 512 : 0), scale, group / 4, 1, tile);
    } else if (group != 32) {
      multiply_group<4, kSigned, kScale, R, kBoth>(block, scale, 8, group / 64, tile);
    } else if (second) {
      multiply_group<4, kSigned, kScale, R, kHigh>(block, scale, 8, 1, tile);
    } else {
      multiply_group<4, kSigned, kScale, R, kLow>(block, scale, 8, 1, tile);
    }
    if (group != 32 || second) block += panel.layout.block_bytes;
  }
  for (int m = 0; m < R; ++m) {
    const __m256 scale = _mm256_broadcast_ss(input.d + m);
    for (int half = 0; half < 16; half += 8) {
      float* to = v + m * kPanelRows + half;
      _mm256_storeu_ps(to, _mm256_fmadd_ps(_mm256_load_ps(acc + m * kPanelRows + half), scale, _mm256_loadu_ps(to)));
    }
  }
}

// -- one row, unsigned 4 bits, groups of 64 or 128 -----------------------------------------------------------------
// Its arithmetic waits for nothing but itself where memory is fast, and a third of it is shifting and masking. So
// values stay where they are in a word, 16 or 256 times too large, and each place has sums of its own, which are put
// right at the end of a pass of 64 inputs: of two operations for a place one is left. The largest sums, 256 times too
// large: 8 lines * 2 * 32512 * 15 * 256 < 2^31.
//
// Sums: ymm 0, 1 of values where they should be; 2, 3 16 times, 4, 5 256 times too large. 6 .. 8 are the masks of
// places 0, 4, 8; 9, 10 a line; 11, 12 weights; 13 activations; 14, 15 acc.
struct PlaceMasks {
  Mask of_0{0x000f}, of_4{0x00f0}, of_8{0x0f00};
};
constexpr PlaceMasks kPlaceMasks;

#define ADD_PRODUCTS(x, s0, s1)                                                                        \
  "vpbroadcastd " x "(%[x]), %%ymm13\n\t"                                                              \
  "vpmaddwd %%ymm13, %%ymm11, %%ymm11\n\tvpmaddwd %%ymm13, %%ymm12, %%ymm12\n\t"                       \
  "vpaddd %%ymm11, %%ymm" #s0 ", %%ymm" #s0 "\n\tvpaddd %%ymm12, %%ymm" #s1 ", %%ymm" #s1 "\n\t"
#define IN_PLACE(mask)                                                                                 \
  "vpand %%ymm" #mask ", %%ymm9, %%ymm11\n\tvpand %%ymm" #mask ", %%ymm10, %%ymm12\n\t"
#define LINE_OF_ONE(i)                                                                                 \
  LOAD(i, 9, 10) PREFETCH(i)                                                                           \
  IN_PLACE(6) ADD_PRODUCTS("8 * " #i, 0, 1)                                                            \
  IN_PLACE(8) ADD_PRODUCTS("8 * " #i " + 4", 4, 5)                                                     \
  IN_PLACE(7) ADD_PRODUCTS("8 * " #i " + 64", 2, 3)                                                    \
  SHIFT("vpsrlw", "12", 9, 10, 11, 12) ADD_PRODUCTS("8 * " #i " + 68", 0, 1)
#define CLEAR(s0, s1)                                                                                  \
  "vpxor %%xmm" #s0 ", %%xmm" #s0 ", %%xmm" #s0 "\n\tvpxor %%xmm" #s1 ", %%xmm" #s1 ", %%xmm" #s1 "\n\t"
#define PUT_RIGHT(count, s0, s1)                                                                       \
  SHIFT("vpsrad", count, s0, s1, s0, s1)                                                               \
  "vpaddd %%ymm" #s0 ", %%ymm0, %%ymm0\n\tvpaddd %%ymm" #s1 ", %%ymm1, %%ymm1\n\t"

template <ScaleType kScale>
void stream_chunk_of_one(const WeightPanel& panel, uint32_t chunk, const TileInput& input, float* v) {
  const std::byte* lines = panel.chunk_at(chunk);
  const std::byte* x = input.values;
  const uint64_t block_passes = panel.layout.inputs / 64;
  uint64_t groups = panel.chunk_groups(chunk), passes, n;
  asm volatile(
      CLEAR(14, 15) "vmovdqa (%[masks]), %%ymm6\n\tvmovdqa 32(%[masks]), %%ymm7\n\tvmovdqa 64(%[masks]), %%ymm8\n"
      "1:\n\t" CLEAR(0, 1) "mov %[block_passes], %[passes]\n"
      "2:\n\t" CLEAR(2, 3) CLEAR(4, 5) "mov $4, %k[n]\n\t.p2align 5\n"
      "3:\n\t" LINE_OF_ONE(0) LINE_OF_ONE(1) "add $128, %[lines]\n\tadd $16, %[x]\n\tdec %[n]\n\tjnz 3b\n\t"
      "add $64, %[x]\n\t" PUT_RIGHT("4", 2, 3) PUT_RIGHT("8", 4, 5) "dec %[passes]\n\tjnz 2b\n\t"
      "prefetcht1 (%[lines],%[ahead])\n\t" SCALES("%[lines]", 11, 12)
      "vcvtdq2ps %%ymm0, %%ymm0\n\tvcvtdq2ps %%ymm1, %%ymm1\n\t"
      "vfmadd231ps %%ymm0, %%ymm11, %%ymm14\n\tvfmadd231ps %%ymm1, %%ymm12, %%ymm15\n\t"
      "add %[scale_bytes], %[lines]\n\tdec %[groups]\n\tjnz 1b\n\t"
      "vbroadcastss (%[d]), %%ymm13\n\t"
      "vfmadd213ps (%[v]), %%ymm13, %%ymm14\n\tvfmadd213ps 32(%[v]), %%ymm13, %%ymm15\n\t"
      "vmovups %%ymm14, (%[v])\n\tvmovups %%ymm15, 32(%[v])\n\t"
      : [lines] "+&r"(lines), [x] "+&r"(x), [groups] "+&r"(groups), [passes] "=&r"(passes), [n] "=&r"(n)
      : [block_passes] "r"(block_passes), [masks] "r"(&kPlaceMasks), [ahead] "r"(input.prefetch_bytes), [v] "r"(v),
        [d] "r"(input.d), [scale_type] "i"(static_cast<int>(kScale)),
        [scale_bytes] "r"(static_cast<size_t>(panel.layout.block_bytes - panel.layout.value_bytes))
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

template <int kBits, bool kSigned, ScaleType kScale>
StreamFunction function_for_rows(uint32_t rows) {
  switch (rows) {
    case 1: return stream_chunk<kBits, kSigned, kScale, 1>;
    case 2: return stream_chunk<kBits, kSigned, kScale, 2>;
    case 3: return stream_chunk<kBits, kSigned, kScale, 3>;
    case 4: return stream_chunk<kBits, kSigned, kScale, 4>;
    case 5: return stream_chunk<kBits, kSigned, kScale, 5>;
    default: return stream_chunk<kBits, kSigned, kScale, 6>;
  }
}

StreamFunction function_of_one(ScaleType scales) {
  switch (scales) {
    case ScaleType::kBf16: return stream_chunk_of_one<ScaleType::kBf16>;
    case ScaleType::kFp16: return stream_chunk_of_one<ScaleType::kFp16>;
    default: return stream_chunk_of_one<ScaleType::kFp32>;
  }
}

template <int kBits, bool kSigned>
StreamFunction function_for_scales(ScaleType scales, uint32_t rows) {
  switch (scales) {
    case ScaleType::kBf16: return function_for_rows<kBits, kSigned, ScaleType::kBf16>(rows);
    case ScaleType::kFp16: return function_for_rows<kBits, kSigned, ScaleType::kFp16>(rows);
    default: return function_for_rows<kBits, kSigned, ScaleType::kFp32>(rows);
  }
}

}  // namespace

StreamFunction avx2_stream_function(const MatrixFormat& format, uint32_t tile_rows) {
  const bool affine = format.type == WeightType::kUnsigned;
  if (format.bits == 4) {
    if (affine && format.group != 32 && tile_rows == 1) return function_of_one(format.scales);
    return affine ? function_for_scales<4, false>(format.scales, tile_rows)
                  : function_for_scales<4, true>(format.scales, tile_rows);
  }
  return affine ? function_for_scales<8, false>(format.scales, tile_rows)
                : function_for_scales<8, true>(format.scales, tile_rows);
}

}  // namespace slipstream
