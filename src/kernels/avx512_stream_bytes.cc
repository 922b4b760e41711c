#include "kernels/avx512_stream_bytes.h"

#include "kernels/avx2_lanes.h"
#include "kernels/avx512_lanes.h"

namespace slipstream {
namespace {

constexpr size_t kFarBytes = 16384;  // for two rows and more, which depend on it more and are not tuned
constexpr uint32_t kPartWords = kPartInputs / 4;  // of a row's low bytes, and of its high ones

// Of a part: integers times low bytes and times high bytes, of each row.
template <int R>
struct Sums {
  __m512i low[R], high[R];
};

// What this stream asks for before it is needed: into L2 early, into L1 shortly before. Line by line as it goes, as
// many at once would wait for each other: the compiler gathers builtins, and leaves asm statements in their order.
struct Ahead {
  size_t far, near;  // 0: nothing is asked for

  inline __attribute__((always_inline)) void fetch(const std::byte* line) const {
    if (far != 0) asm volatile("prefetcht1 %0\n\tprefetcht0 %1" : : "m"(line[far]), "m"(line[near]));
  }
  inline __attribute__((always_inline)) __m512i load(const std::byte* line) const {
    __m512i loaded;
    asm volatile("vmovdqa64 %1, %0" : "=v"(loaded) : "m"(*reinterpret_cast<const __m512i*>(line)));
    fetch(line);
    return loaded;
  }
};

// The weights of a line as unsigned bytes. Signed ones are 8 or 128 too large then. Of 4 bits those of the even part
// or, kOdd, of the odd one: where they are, 16 times too large; so are their sums, until a group ends.
template <int kBits, bool kSigned, bool kOdd>
inline __attribute__((always_inline)) __m512i unsigned_bytes(__m512i line) {
  if constexpr (kBits == 8) return kSigned ? _mm512_xor_si512(line, _mm512_set1_epi8(-128)) : line;
  const __m512i half = _mm512_set1_epi8(static_cast<char>(kOdd ? 0xf0 : 0x0f));
  if constexpr (!kSigned) return _mm512_and_si512(line, half);
  return _mm512_ternarylogic_epi32(line, half, _mm512_set1_epi8(static_cast<char>(kOdd ? 0x80 : 0x08)), 0x6a);  // & ^
}

// The same, those of the odd part brought down to where the even one's are.
template <int kBits, bool kSigned, bool kOdd>
inline __attribute__((always_inline)) __m512i lower_bytes(__m512i line) {
  if constexpr (kBits == 4 && kOdd) line = _mm512_srli_epi16(line, 4);
  return unsigned_bytes<kBits, kSigned, false>(line);
}

// sum += the weights times a word of activations, in each row of the panel. gcc, given the builtin, widens all words of
// a pass before it asks whether anything is to be fetched, and has not enough registers for them.
inline __attribute__((always_inline)) void add_products(__m512i weights, const int32_t& x, __m512i& sum) {
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(weights), "m"(x));
}

// x: word i of the part's low bytes, [kPartWords][R]; the high bytes follow.
template <int R>
inline __attribute__((always_inline)) void add_line(__m512i weights, const int32_t* x, Sums<R>& sums) {
  UNROLL for (int r = 0; r < R; ++r) {
    add_products(weights, x[r], sums.low[r]);
    add_products(weights, x[kPartWords * R + r], sums.high[r]);
  }
}

template <int R>
inline __attribute__((always_inline)) void clear(Sums<R>& sums) {
  UNROLL for (int r = 0; r < R; ++r) sums.low[r] = sums.high[r] = _mm512_setzero_si512();
}

// acc = fma(float(sum), scale, acc), where a group's sum is `low` + 256 `high`, less what its signed weights are too
// large by: `products` is minus 8 times the group's activations.
template <int kBits, bool kSigned, int R>
inline __attribute__((always_inline)) void end_group(const __m512i (&low)[R], const __m512i (&high)[R], __m512 scales,
                                                     const int32_t* products, __m512 (&acc)[R]) {
  UNROLL for (int r = 0; r < R; ++r) {
    __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(high[r], 8), low[r]);
    if constexpr (kSigned) sum = _mm512_add_epi32(sum, _mm512_set1_epi32(products[r] * (kBits == 8 ? 16 : 1)));
    acc[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scales, acc[r]);
  }
}

// 64 inputs: both parts' sums grow.
template <int kBits, bool kSigned, int R>
inline __attribute__((always_inline)) void add_pass(const std::byte* lines, const int32_t* x, const Ahead& ahead,
                                                    Sums<R>& even, Sums<R>& odd) {
  constexpr uint32_t kOddWords = 2 * kPartWords * R;
  UNROLL for (uint32_t i = 0; i < kPartWords; ++i, lines += 64, x += R) {
    const __m512i line = ahead.load(lines);
    add_line<R>(unsigned_bytes<kBits, kSigned, false>(line), x, even);
    if constexpr (kBits == 4) add_line<R>(unsigned_bytes<kBits, kSigned, true>(line), x + kOddWords, odd);
  }
  if constexpr (kBits == 8) {
    x += kPartWords * R;  // behind the even part's high bytes
    UNROLL for (uint32_t i = 0; i < kPartWords; ++i, lines += 64, x += R) {
      add_line<R>(unsigned_bytes<kBits, kSigned, false>(ahead.load(lines)), x, odd);
    }
  }
}

template <int kBits, bool kSigned, bool kGroup32, ScaleType kScales, int R>
void stream_bytes(const WeightPanel& panel, uint32_t chunk, const TileInput& input, float* v) {
  const size_t far = R == 1 ? input.prefetch_bytes : kFarBytes;
  const Ahead ahead{far, far / 4};
  const std::byte* lines = panel.chunk_at(chunk);
  const auto* x = reinterpret_cast<const int32_t*>(input.values);
  const int32_t* products = input.products;
  const uint32_t passes = panel.layout.inputs / 64, scale_bytes = panel.layout.block_bytes - panel.layout.value_bytes;
  __m512 acc[R];
  UNROLL for (int r = 0; r < R; ++r) acc[r] = _mm512_setzero_ps();
  for (uint32_t groups = panel.chunk_groups(chunk);;) {
    Sums<R> even, odd;
    clear(even);
    clear(odd);
    for (uint32_t pass = 0; pass < passes; ++pass, lines += kBits * 128, x += 64 / 2 * R) {
      add_pass<kBits, kSigned, R>(lines, x, ahead, even, odd);
    }
    if constexpr (kBits == 4) {  // two blocks of 64 inputs are the most: 128 * 240 * 128 is far from 2^31
      UNROLL for (int r = 0; r < R; ++r) {
        odd.low[r] = _mm512_srai_epi32(odd.low[r], 4);
        odd.high[r] = _mm512_srai_epi32(odd.high[r], 4);
      }
    }
    const __m512 scales = load_scales_16<kScales>(lines);
    if constexpr (kGroup32) {
      end_group<kBits, kSigned, R>(even.low, even.high, scales, products, acc);
      if (--groups == 0) break;
      end_group<kBits, kSigned, R>(odd.low, odd.high, load_scales_16<kScales>(lines + panel.layout.group_bytes),
                                   products + R, acc);
      products += 2 * R;
    } else {
      UNROLL for (int r = 0; r < R; ++r) {
        even.low[r] = _mm512_add_epi32(even.low[r], odd.low[r]);
        even.high[r] = _mm512_add_epi32(even.high[r], odd.high[r]);
      }
      end_group<kBits, kSigned, R>(even.low, even.high, scales, products, acc);
      products += R;
    }
    if (--groups == 0) break;
    for (uint32_t i = 0; i < scale_bytes; i += 64) ahead.fetch(lines + i);
    lines += scale_bytes;
  }
  UNROLL for (int r = 0; r < R; ++r) {
    float* to = v + r * kPanelRows;
    _mm512_store_ps(to, _mm512_fmadd_ps(acc[r], _mm512_set1_ps(input.d[r]), _mm512_load_ps(to)));
  }
}

// -- more rows -----------------------------------------------------------------------------------
// There are sums enough for a part only, and each takes the products of even and odd parts in turn: those of an odd
// part of 4 bits come with lines that the even one has brought into L1.
template <int kBits, bool kSigned, bool kOdd, int R>
inline __attribute__((always_inline)) void add_part(const std::byte*& lines, const int32_t*& x, const Ahead& ahead,
                                                    Sums<R>& sums) {
  UNROLL for (uint32_t i = 0; i < kPartWords; ++i, lines += 64, x += R) {
    const __m512i line = kBits == 4 && kOdd ? _mm512_load_si512(lines) : ahead.load(lines);
    add_line<R>(lower_bytes<kBits, kSigned, kOdd>(line), x, sums);
  }
  x += kPartWords * R;  // behind the high bytes
  if constexpr (kBits == 4 && !kOdd) lines -= 64 * kPartWords;
}

// Of the sums, which are 0 thereafter. acc: [R][16], in memory as registers are few; and gcc has not enough of them, if
// it may have several rows' at once.
template <int kBits, bool kSigned, int R>
inline __attribute__((always_inline)) void end_group(Sums<R>& sums, __m512 scales, const int32_t* products,
                                                     float* acc) {
  auto& all = *reinterpret_cast<float(*)[R * kPanelRows]>(acc);
  UNROLL for (int r = 0; r < R; ++r) {
    asm("vpslld $8, %0, %0\n\tvpaddd %1, %0, %0" : "+v"(sums.high[r]) : "v"(sums.low[r]));
    if constexpr (kSigned) {
      asm("vpbroadcastd %1, %0" : "=v"(sums.low[r]) : "m"(products[r]));
      if constexpr (kBits == 8) asm("vpslld $4, %0, %0" : "+v"(sums.low[r]));
      asm("vpaddd %1, %0, %0" : "+v"(sums.high[r]) : "v"(sums.low[r]));
    }
    asm("vcvtdq2ps %0, %0\n\tvfmadd213ps %c[at](%[to]), %[scales], %0\n\tvmovaps %0, %c[at](%[to])\n\t"
        "vpxord %0, %0, %0\n\tvpxord %1, %1, %1"
        : "+v"(sums.high[r]), "+v"(sums.low[r]), "+m"(all)
        : [scales] "v"(scales), [to] "r"(acc), [at] "i"(r * kPanelRows * sizeof(float)));
  }
}

// v = fma(acc, d, v)
template <int R>
void add_chunk(const float* acc, const float* d, float* v) {
  UNROLL for (int r = 0; r < R; ++r, acc += kPanelRows, v += kPanelRows) {
    _mm512_store_ps(v, _mm512_fmadd_ps(_mm512_load_ps(acc), _mm512_set1_ps(d[r]), _mm512_load_ps(v)));
  }
}

inline __attribute__((always_inline)) __m512 load_scales_of(ScaleType type, const std::byte* from) {
  if (type == ScaleType::kBf16) return load_scales_16<ScaleType::kBf16>(from);
  return type == ScaleType::kFp16 ? load_scales_16<ScaleType::kFp16>(from) : load_scales_16<ScaleType::kFp32>(from);
}

template <int kBits, bool kSigned, bool kGroup32, int R>
void stream_many(const WeightPanel& panel, uint32_t chunk, const TileInput& input, float* v) {
  const Ahead ahead{kFarBytes, kFarBytes / 4};
  const std::byte* lines = panel.chunk_at(chunk);
  const auto* x = reinterpret_cast<const int32_t*>(input.values);
  const int32_t* products = input.products;
  const uint32_t passes = panel.layout.inputs / 64, scale_bytes = panel.layout.block_bytes - panel.layout.value_bytes;
  const ScaleType scale_type = panel.format.scales;
  alignas(64) float in_memory[R * kPanelRows];
  float* acc = in_memory;
  asm("" : "+r"(acc) : : "memory");  // gcc would keep it in registers that are none
  UNROLL for (int r = 0; r < R; ++r) _mm512_store_ps(acc + r * kPanelRows, _mm512_setzero_ps());
  Sums<R> sums;
  clear(sums);
  for (uint32_t groups = panel.chunk_groups(chunk);;) {
    for (uint32_t pass = 0; pass < passes; ++pass) {
      add_part<kBits, kSigned, false, R>(lines, x, ahead, sums);
      if constexpr (kGroup32) {
        end_group<kBits, kSigned, R>(sums, load_scales_of(scale_type, lines + 64 * kPartWords), products, acc);
        products += R;
        if (--groups == 0) return add_chunk<R>(acc, input.d, v);
      }
      add_part<kBits, kSigned, true, R>(lines, x, ahead, sums);
    }
    end_group<kBits, kSigned, R>(sums, load_scales_of(scale_type, lines + (kGroup32 ? panel.layout.group_bytes : 0)),
                                 products, acc);
    products += R;
    if (--groups == 0) return add_chunk<R>(acc, input.d, v);
    for (uint32_t i = 0; i < scale_bytes; i += 64) ahead.fetch(lines + i);
    lines += scale_bytes;
  }
}

template <int kBits, bool kSigned, bool kGroup32>
StreamFunction function_for_many(uint32_t rows) {
  switch (rows) {
    case 5: return stream_many<kBits, kSigned, kGroup32, 5>;
    case 6: return stream_many<kBits, kSigned, kGroup32, 6>;
    case 7: return stream_many<kBits, kSigned, kGroup32, 7>;
    case 8: return stream_many<kBits, kSigned, kGroup32, 8>;
    case 9: return stream_many<kBits, kSigned, kGroup32, 9>;
    case 10: return stream_many<kBits, kSigned, kGroup32, 10>;
    case 11: return stream_many<kBits, kSigned, kGroup32, 11>;
    default: return stream_many<kBits, kSigned, kGroup32, 12>;
  }
}

template <int kBits, bool kSigned, bool kGroup32, int R>
StreamFunction function_for_scales(ScaleType scales) {
  switch (scales) {
    case ScaleType::kBf16: return stream_bytes<kBits, kSigned, kGroup32, ScaleType::kBf16, R>;
    case ScaleType::kFp16: return stream_bytes<kBits, kSigned, kGroup32, ScaleType::kFp16, R>;
    case ScaleType::kFp32: break;
  }
  return stream_bytes<kBits, kSigned, kGroup32, ScaleType::kFp32, R>;
}

template <int kBits, bool kSigned, bool kGroup32>
StreamFunction function_for_rows(ScaleType scales, uint32_t rows) {
  switch (rows) {
    case 1: return function_for_scales<kBits, kSigned, kGroup32, 1>(scales);
    case 2: return function_for_scales<kBits, kSigned, kGroup32, 2>(scales);
    case 3: return function_for_scales<kBits, kSigned, kGroup32, 3>(scales);
    case 4: return function_for_scales<kBits, kSigned, kGroup32, 4>(scales);
    default: return function_for_many<kBits, kSigned, kGroup32>(rows);
  }
}

template <int kBits, bool kSigned>
StreamFunction function_for(const MatrixFormat& format, uint32_t rows) {
  return format.group == 32 ? function_for_rows<kBits, kSigned, true>(format.scales, rows)
                            : function_for_rows<kBits, kSigned, false>(format.scales, rows);
}

}  // namespace

StreamFunction avx512_stream_bytes_function(const MatrixFormat& format, uint32_t rows) {
  const bool affine = format.type == WeightType::kUnsigned;
  if (format.bits == 8) return affine ? function_for<8, false>(format, rows) : function_for<8, true>(format, rows);
  return affine ? function_for<4, false>(format, rows) : function_for<4, true>(format, rows);
}

}  // namespace slipstream
