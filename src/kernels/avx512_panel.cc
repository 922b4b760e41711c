#include "kernels/avx512_panel.h"

#include "kernels/avx512_lanes.h"

namespace slipstream {
namespace {

// -- values --------------------------------------------------------------------------------------
// Bits of each 16-bit word -> one value per word, as in avx2_panel.cc.
template <uint32_t kBits, bool kSigned, uint32_t kPlace>
inline __attribute__((always_inline)) __m512i value_at(__m512i words) {
  constexpr uint32_t kLeft = 16 - kBits - kPlace;
  if constexpr (kSigned) {
    return _mm512_srai_epi16(_mm512_slli_epi16(words, kLeft), 16 - kBits);
  } else if constexpr (kLeft == 0) {
    return _mm512_srli_epi16(words, 16 - kBits);
  } else {
    return _mm512_and_si512(_mm512_srli_epi16(words, kPlace), _mm512_set1_epi16((1 << kBits) - 1));
  }
}

// The 8 couples of a part, from 8 lines of `kPlace`'s halves: widened to `values`; and if kCoupled, the sum of their
// products.
template <uint32_t kBits, bool kSigned, bool kCoupled, uint32_t kPlace>
inline __attribute__((always_inline)) __m512i widen_part(const std::byte* lines, uint32_t* values) {
  __m512i products = _mm512_setzero_si512();
  for (uint32_t couple = 0; couple < kPartCouples; ++couple) {
    const __m512i words = _mm512_loadu_si512(lines + couple * 64);
    const __m512i first = value_at<kBits, kSigned, kPlace>(words);
    const __m512i second = value_at<kBits, kSigned, kPlace + 8>(words);
    _mm512_store_si512(values + couple * 2 * kPanelRows, first);
    _mm512_store_si512(values + (couple * 2 + 1) * kPanelRows, second);
    if constexpr (!kCoupled) continue;
    if (kAvx512TileCoupling.even_part >> couple & 1) products = _mm512_dpwssd_epi32(products, first, second);
  }
  return products;
}

// 64 inputs: two parts.
template <uint32_t kBits, bool kSigned, bool kCoupled>
void widen_parts(const std::byte* lines, uint32_t* values, __m512i (&products)[2]) {
  constexpr uint32_t kPartWords = kPartInputs / 2 * kPanelRows;
  products[0] = widen_part<kBits, kSigned, kCoupled, 0>(lines, values);
  products[1] = kBits == 8 ? widen_part<kBits, kSigned, kCoupled, 0>(lines + 512, values + kPartWords)
                           : widen_part<kBits, kSigned, kCoupled, kBits == 8 ? 0 : 4>(lines, values + kPartWords);
}

using WidenParts = void (*)(const std::byte* lines, uint32_t* values, __m512i (&products)[2]);

template <bool kCoupled>
WidenParts widen_function(const MatrixFormat& format) {
  const bool affine = format.type == WeightType::kUnsigned;
  if (format.bits == 8) return affine ? widen_parts<8, false, kCoupled> : widen_parts<8, true, kCoupled>;
  return affine ? widen_parts<4, false, kCoupled> : widen_parts<4, true, kCoupled>;
}

template <ScaleType kType>
void load_scales(const WeightPanel& panel, uint32_t first, uint32_t groups, float* scales, size_t stride) {
  for (uint32_t g = 0; g < groups; ++g) {
    _mm512_store_ps(scales + g * stride, load_scales_16<kType>(panel.group_at(first + g)));
  }
}

}  // namespace

void avx512_load_scales(const WeightPanel& panel, uint32_t first_group, uint32_t groups, float* scales,
                        size_t stride) {
  switch (panel.format.scales) {
    case ScaleType::kBf16: return load_scales<ScaleType::kBf16>(panel, first_group, groups, scales, stride);
    case ScaleType::kFp16: return load_scales<ScaleType::kFp16>(panel, first_group, groups, scales, stride);
    case ScaleType::kFp32: return load_scales<ScaleType::kFp32>(panel, first_group, groups, scales, stride);
  }
}

namespace {

template <bool kCoupled>
void make_ready(const WeightPanel& panel, uint32_t chunk, uint32_t place, ReadyChunk& ready) {
  const uint32_t group = panel.format.group;
  ready.group_parts = group / kPartInputs;
  ready.num_groups = panel.chunk_groups(chunk);
  avx512_load_scales(panel, chunk * (kChunkInputs / group), ready.num_groups, ready.scales[0][place],
                     kMaxTilePanels * kPanelRows);
  const uint32_t inputs = ready.num_groups * group;
  const std::byte* block = panel.chunk_at(chunk);
  uint32_t* values = ready.values[place];
  const WidenParts widen = widen_function<kCoupled>(panel.format);
  __m512i sum = _mm512_setzero_si512();
  for (uint32_t k = 0; k < inputs; k += 64, values += 32 * kPanelRows) {
    const std::byte* lines = block + k / panel.layout.inputs * panel.layout.block_bytes +
                             k % panel.layout.inputs / 64 * panel.format.bits * 128;
    __m512i products[2];
    widen(lines, values, products);
    if constexpr (!kCoupled) continue;
    for (uint32_t part = 0; part < 2; ++part) {
      sum = _mm512_sub_epi32(sum, products[part]);
      const uint32_t end = k + (part + 1) * kPartInputs;
      if (end % group != 0 || end > inputs) continue;
      _mm512_store_si512(ready.products[end / group - 1][place], sum);
      sum = _mm512_setzero_si512();
    }
  }
}

}  // namespace

void avx512_make_ready(const WeightPanel& panel, uint32_t chunk, uint32_t place, ReadyChunk& ready) {
  make_ready<false>(panel, chunk, place, ready);
}

void avx512_make_coupled_ready(const WeightPanel& panel, uint32_t chunk, uint32_t place, ReadyChunk& ready) {
  make_ready<true>(panel, chunk, place, ready);
}

}  // namespace slipstream
