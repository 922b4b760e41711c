#include <cstring>

#include "kernels/avx2_matmul.h"
#include "kernels/avx2_panel.h"

namespace slipstream {
namespace {

// One chunk on its way: integers in the order of pairs, their scale, and by parts of 32 inputs their sums and the
// coupled ones' products (activation_layout.h).
struct Chunk {
  alignas(32) int32_t pairs[kChunkPairs];
  int32_t sums[kChunkParts];
  int32_t products[kChunkParts];
  float d;
};

uint32_t largest_magnitude(const float* x, uint32_t n) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i largest = _mm256_setzero_si256();
  uint32_t i = 0;
  for (; i + 8 <= n; i += 8) largest = _mm256_max_epu32(largest, _mm256_and_si256(load_integers(x + i), magnitude));
  if (i < n) {
    const __m256i rest = _mm256_castps_si256(_mm256_maskload_ps(x + i, lane_mask(n - i)));
    largest = _mm256_max_epu32(largest, _mm256_and_si256(rest, magnitude));
  }
  __m128i four = _mm_max_epu32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(four));
}

// 16 values from x + i, those at n and beyond 0, times `inverse`, rounded to int16 in order.
__m256i round_16(const float* x, uint32_t i, uint32_t n, __m256 inverse) {
  __m256 first, second;
  if (i + 16 <= n) {
    first = _mm256_loadu_ps(x + i);
    second = _mm256_loadu_ps(x + i + 8);
  } else {
    first = i < n ? _mm256_maskload_ps(x + i, lane_mask(smaller(n - i, 8))) : _mm256_setzero_ps();
    second = i + 8 < n ? _mm256_maskload_ps(x + i + 8, lane_mask(n - i - 8)) : _mm256_setzero_ps();
  }
  const __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(first, inverse));
  const __m256i b = _mm256_cvtps_epi32(_mm256_mul_ps(second, inverse));
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
}

int32_t sum_integers(__m256i value) {
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

// All ones in the first of each couple's two pairs, for a part's first four couples or its last.
__m256i pair_mask(uint32_t couples) {
  const __m256i bits = _mm256_setr_epi32(1, 0, 2, 0, 4, 0, 8, 0);
  return _mm256_cmpgt_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(couples)), bits),
                            _mm256_setzero_si256());
}

// The sum of x0 x1 + x2 x3 over the couples of a mask.
int32_t sum_products(__m256i first, __m256i second, uint8_t couples) {
  const __m256i a = _mm256_madd_epi16(first, _mm256_shuffle_epi32(first, 0xb1));
  const __m256i b = _mm256_madd_epi16(second, _mm256_shuffle_epi32(second, 0xb1));
  return sum_integers(_mm256_add_epi32(_mm256_and_si256(a, pair_mask(couples)),
                                       _mm256_and_si256(b, pair_mask(couples >> 4u))));
}

// False: some value is not finite; the chunk is then zero.
bool quantise_chunk(const float* x, uint32_t n, const Coupling& coupling, Chunk& chunk) {
  const uint32_t largest = largest_magnitude(x, n);
  if (largest < kTinyBits || largest >= kNotFiniteBits) {
    memset(&chunk, 0, sizeof chunk);
    return largest < kNotFiniteBits;
  }
  const float amax = std::bit_cast<float>(largest);
  chunk.d = amax / kInt16Range;
  const __m256 inverse = _mm256_set1_ps(kInt16Range / amax);
  const __m256i to_pairs = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15,  //
                                            0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
  const __m256i ones = _mm256_set1_epi16(1);
  for (uint32_t part = 0; part < kChunkParts; ++part) {
    const uint32_t i = part * kPartInputs;
    const __m256i a = _mm256_shuffle_epi8(round_16(x, i, n, inverse), to_pairs);
    const __m256i b = _mm256_shuffle_epi8(round_16(x, i + 16, n, inverse), to_pairs);
    _mm256_store_si256(reinterpret_cast<__m256i*>(chunk.pairs + i / 2), a);
    _mm256_store_si256(reinterpret_cast<__m256i*>(chunk.pairs + i / 2 + 8), b);
    chunk.sums[part] = sum_integers(_mm256_add_epi32(_mm256_madd_epi16(a, ones), _mm256_madd_epi16(b, ones)));
    const uint8_t couples = part % 2 == 0 ? coupling.even_part : coupling.odd_part;
    if (couples != 0) chunk.products[part] = sum_products(a, b, couples);
  }
  return true;
}

void store_pairs(const Chunk& chunk, uint32_t tile_rows, std::byte* to) {
  if (tile_rows == 1) {
    memcpy(to, chunk.pairs, sizeof chunk.pairs);
    return;
  }
  for (uint32_t i = 0; i < kChunkPairs; ++i) {
    memcpy(to + static_cast<size_t>(i) * tile_rows * 4, chunk.pairs + i, 4);
  }
}

// Minus the products of the chunk's groups, to their places beside those of the tile's other rows.
void store_products(const Chunk& chunk, uint32_t group, uint32_t chunk_index, const ActivationLayout& layout,
                    uint32_t row, std::byte* out) {
  const uint32_t parts = group / kPartInputs;
  const uint32_t tile = layout.tile_of(row);
  const uint32_t tile_rows = layout.tile_begin(tile + 1) - layout.tile_begin(tile);
  std::byte* to = out + layout.products_at(group, chunk_index, tile) + (row - layout.tile_begin(tile)) * 4;
  for (uint32_t first = 0; first < kChunkParts; first += parts, to += size_t{tile_rows} * 4) {
    uint32_t products = 0;  // modulo 2^32
    for (uint32_t i = 0; i < parts; ++i) products -= static_cast<uint32_t>(chunk.products[first + i]);
    memcpy(to, &products, 4);
  }
}

// The chunk's sums for one group size, in two bf16 parts, to their places in the row's bias block.
void store_sums(const Chunk& chunk, uint32_t group, uint32_t chunk_index, const ActivationLayout& layout,
                uint32_t row, std::byte* out) {
  const uint32_t groups = kChunkInputs / group, parts = group / 32;
  alignas(32) int32_t sums[8] = {};
  for (uint32_t i = 0; i < kChunkInputs / 32; ++i) sums[i / parts] += chunk.sums[i];
  const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(load_integers(sums)), _mm256_set1_ps(chunk.d));
  const __m256 high = round_to_bf16(scaled);
  const __m256 low = round_to_bf16(_mm256_sub_ps(scaled, high));
  const uint32_t first = chunk_index * groups;
  auto* to = reinterpret_cast<float*>(out + layout.sums_at(group, first / kBiasGroups, row)) + first % kBiasGroups;
  _mm256_maskstore_ps(to, lane_mask(groups), high);
  _mm256_maskstore_ps(to + kBiasGroups, lane_mask(groups), low);
}

// Groups of the last bias block that no chunk fills.
void clear_sums(uint32_t group, const ActivationLayout& layout, uint32_t row, std::byte* out) {
  const uint32_t filled = layout.chunks * (kChunkInputs / group);
  if (filled % kBiasGroups == 0) return;
  auto* sums = reinterpret_cast<float*>(out + layout.sums_at(group, filled / kBiasGroups, row));
  for (uint32_t part = 0; part < 2; ++part, sums += kBiasGroups) {
    memset(sums + filled % kBiasGroups, 0, (kBiasGroups - filled % kBiasGroups) * sizeof(float));
  }
}

}  // namespace

size_t avx2_quantised_bytes(uint32_t num_rows, uint32_t cols) {
  return avx2_activation_layout(num_rows, cols).bytes;
}

void avx2_quantise(Matrix<const float> x, Range which, Range chunks, std::byte* out, uint8_t* finite) {
  const ActivationLayout layout = avx2_activation_layout(x.rows, x.cols);
  for (uint32_t row = which.begin; row < which.end; ++row) {
    const uint32_t tile = layout.tile_of(row);
    const uint32_t tile_rows = layout.tile_begin(tile + 1) - layout.tile_begin(tile);
    const uint32_t in_tile = row - layout.tile_begin(tile);
    if (chunks.end == layout.chunks) {
      for (uint32_t group : kGroupSizes) clear_sums(group, layout, row, out);
    }
    for (uint32_t c = chunks.begin; c < chunks.end; ++c) {
      Chunk chunk;
      const uint32_t first = c * kChunkInputs;
      const uint32_t n = smaller(x.cols - first, kChunkInputs);
      if (!quantise_chunk(x.row(row) + first, n, layout.coupling, chunk)) mark_not_finite(finite[row]);
      store_pairs(chunk, tile_rows, out + layout.values_at(c, tile) + in_tile * 4);
      memcpy(out + layout.d_at(c, row), &chunk.d, sizeof chunk.d);
      for (uint32_t group : kGroupSizes) {
        store_sums(chunk, group, c, layout, row, out);
        if (layout.coupling.even_part != 0) store_products(chunk, group, c, layout, row, out);
      }
    }
  }
}

}  // namespace slipstream
