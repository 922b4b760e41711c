#include <immintrin.h>

#include <cstring>

#include "kernels/avx512_matmul.h"
#include "kernels/avx512_panel.h"

namespace slipstream {
namespace {

// One chunk on its way: integers in the order of pairs, and by parts of 32 inputs their sums and the coupled ones'
// products (activation_layout.h).
struct Chunk {
  alignas(64) int32_t pairs[kChunkPairs];
  alignas(64) int32_t sums[kChunkParts];
  int32_t products[kChunkParts];
  float d;
};

__mmask16 first_lanes(uint32_t n) { return static_cast<__mmask16>(n >= 16 ? 0xffff : (1u << n) - 1); }

// 16 values from x + i, those at n and beyond 0.
__m512 load_values(const float* x, uint32_t i, uint32_t n) {
  return _mm512_maskz_loadu_ps(first_lanes(n > i ? n - i : 0), x + i);
}

uint32_t largest_magnitude(const float* x, uint32_t n) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i largest[2] = {};
  for (uint32_t i = 0; i < n; i += 32) {
    for (uint32_t half = 0; half < 2; ++half) {
      const __m512i bits = _mm512_castps_si512(load_values(x, i + half * 16, n));
      largest[half] = _mm512_max_epu32(largest[half], _mm512_and_si512(bits, magnitude));
    }
  }
  return _mm512_reduce_max_epu32(_mm512_max_epu32(largest[0], largest[1]));
}

// The lanes of each of 16 vectors summed: lane i is the sum of from[i].
__m512i sum_each(__m512i (&from)[16]) {
  __m512i fours[4];
  for (int i = 0; i < 4; ++i) {
    const __m512i* v = from + i * 4;
    const __m512i first = _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    const __m512i second = _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    fours[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second));
  }
  __m512i eights[2];
  for (int i = 0; i < 2; ++i) {
    eights[i] = _mm512_add_epi32(_mm512_shuffle_i32x4(fours[i * 2], fours[i * 2 + 1], 0x88),
                                 _mm512_shuffle_i32x4(fours[i * 2], fours[i * 2 + 1], 0xdd));
  }
  return _mm512_add_epi32(_mm512_shuffle_i32x4(eights[0], eights[1], 0x88),
                          _mm512_shuffle_i32x4(eights[0], eights[1], 0xdd));
}

// A bit for the first of each couple's two pairs.
constexpr __mmask16 pair_mask(uint8_t couples) {
  uint32_t mask = 0;
  for (uint32_t i = 0; i < kPartCouples; ++i) mask |= (couples >> i & 1u) << (2 * i);
  return static_cast<__mmask16>(mask);
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
  const __m512 inverse = _mm512_set1_ps(kInt16Range / amax);
  // What packing leaves, 4 values of the first 16 and 4 of the second in turn, to pairs (0, 2) and (1, 3) of each 4.
  const __m512i to_pairs = _mm512_set_epi16(31, 29, 30, 28, 23, 21, 22, 20, 15, 13, 14, 12, 7, 5, 6, 4,  //
                                            27, 25, 26, 24, 19, 17, 18, 16, 11, 9, 10, 8, 3, 1, 2, 0);
  const __mmask16 coupled[2] = {pair_mask(coupling.even_part), pair_mask(coupling.odd_part)};
  __m512i summands[16];
  for (uint32_t part = 0; part < kChunkParts; ++part) {
    const uint32_t i = part * kPartInputs;
    const __m512i first = _mm512_cvtps_epi32(_mm512_mul_ps(load_values(x, i, n), inverse));
    const __m512i second = _mm512_cvtps_epi32(_mm512_mul_ps(load_values(x, i + 16, n), inverse));
    const __m512i pairs = _mm512_permutexvar_epi16(to_pairs, _mm512_packs_epi32(first, second));
    _mm512_store_si512(chunk.pairs + i / 2, pairs);
    summands[part] = _mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
    summands[kChunkParts + part] =
        _mm512_maskz_madd_epi16(coupled[part % 2], pairs, _mm512_shuffle_epi32(pairs, _MM_PERM_CDAB));
  }
  _mm512_store_si512(chunk.sums, sum_each(summands));
  return true;
}

// One row's words of 32 bits among those of its tile.
void store_words(const int32_t (&words)[kChunkPairs], uint32_t tile_rows, std::byte* to) {
  if (tile_rows == 1) {
    memcpy(to, words, sizeof words);
    return;
  }
  for (uint32_t i = 0; i < kChunkPairs; ++i) memcpy(to + static_cast<size_t>(i) * tile_rows * 4, words + i, 4);
}

// The integers' low bytes and high bytes, each with the next four inputs' beside it.
void store_bytes(const Chunk& chunk, uint32_t tile_rows, std::byte* to) {
  alignas(64) int32_t words[kChunkPairs];  // [parts][low, high][8]
  const __m512i lower = _mm512_set1_epi32(0x00ff00ff);
  for (uint32_t part = 0; part < kChunkParts; ++part) {
    const __m512i pairs = _mm512_load_si512(chunk.pairs + part * kPartInputs / 2);  // of 64 bits: (0, 2), (1, 3)
    const __m512i raised = _mm512_add_epi16(pairs, _mm512_set1_epi16(128));
    // lower ? a : b
    const __m512i low = _mm512_ternarylogic_epi32(lower, pairs, _mm512_srli_epi64(pairs, 24), 0xca);
    const __m512i high =
        _mm512_ternarylogic_epi32(lower, _mm512_srli_epi64(raised, 8), _mm512_srli_epi64(raised, 32), 0xca);
    auto* to_part = reinterpret_cast<__m256i*>(words + part * kPartInputs / 2);
    _mm256_store_si256(to_part, _mm512_cvtepi64_epi32(low));
    _mm256_store_si256(to_part + 1, _mm512_cvtepi64_epi32(high));
  }
  store_words(words, tile_rows, to);
}

// Groups of `parts` parts: the sums of each in the first 8 / parts lanes.
__m256i sum_parts(const int32_t* of_parts, uint32_t parts) {
  const __m256i ones = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(of_parts));
  if (parts == 1) return ones;
  const __m256i even_first = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
  const auto add_neighbours = [&](__m256i v) {
    const __m256i apart = _mm256_permutevar8x32_epi32(v, even_first);
    return _mm256_add_epi32(apart, _mm256_permute2x128_si256(apart, apart, 0x11));
  };
  const __m256i twos = add_neighbours(ones);
  return parts == 2 ? twos : add_neighbours(twos);
}

// The nearest bf16 as an fp32 number.
__m256 round_to_bf16(__m256 value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(_mm256_set1_epi32(0x7fff), odd));
  return _mm256_castsi256_ps(_mm256_and_si256(rounded, _mm256_set1_epi32(static_cast<int>(0xffff0000))));
}

// One bf16 part of a chunk's sums to its place among the bias block's: of pairs (avx512_biases.h).
void store_in_pairs(__m256 sums, uint32_t groups, uint32_t chunk_index, std::byte* to) {
  const __m256i bits = _mm256_castps_si256(sums);
  to += chunk_index * groups % kBiasGroups / 4 * 8;
  if (groups == 2) {  // one half of two pairs; the other is of the chunk beside it, and another thread's
    const __m128i both = _mm256_castsi256_si128(bits);
    const uint32_t even = static_cast<uint32_t>(_mm_extract_epi32(both, 0)) >> 16;
    const uint32_t odd = static_cast<uint32_t>(_mm_extract_epi32(both, 1)) >> 16;
    to += chunk_index % 2 == 0 ? 2 : 0;
    memcpy(to, &even, 2);
    memcpy(to + 4, &odd, 2);
    return;
  }
  const __m256i first = _mm256_permutevar8x32_epi32(bits, _mm256_setr_epi32(0, 1, 4, 5, 0, 0, 0, 0));
  const __m256i second = _mm256_permutevar8x32_epi32(bits, _mm256_setr_epi32(2, 3, 6, 7, 0, 0, 0, 0));
  const __m256i pairs = _mm256_or_si256(first, _mm256_srli_epi32(second, 16));
  _mm256_mask_storeu_epi32(to, groups == 8 ? 0xf : 0x3, pairs);
}

// The chunk's sums for one group size, in two bf16 parts, to their places in the row's bias block; and its products.
void store_groups(const Chunk& chunk, uint32_t group, uint32_t chunk_index, const ActivationLayout& layout,
                  uint32_t row, std::byte* out) {
  const uint32_t groups = kChunkInputs / group, parts = group / kPartInputs;
  const __m256 scaled =
      _mm256_mul_ps(_mm256_cvtepi32_ps(sum_parts(chunk.sums, parts)), _mm256_set1_ps(chunk.d));
  const __m256 high = round_to_bf16(scaled);
  const __m256 low = round_to_bf16(_mm256_sub_ps(scaled, high));
  std::byte* to = out + layout.sums_at(group, chunk_index * groups / kBiasGroups, row);
  if (layout.sum_bytes == sizeof(float)) {
    to += chunk_index * groups % kBiasGroups * sizeof(float);
    const auto mask = static_cast<__mmask8>((1u << groups) - 1);
    _mm256_mask_storeu_ps(to, mask, high);
    _mm256_mask_storeu_ps(to + kBiasGroups * sizeof(float), mask, low);
  } else {
    store_in_pairs(high, groups, chunk_index, to);
    store_in_pairs(low, groups, chunk_index, to + kBiasGroups * sizeof(uint16_t));
  }

  alignas(32) int32_t products[kChunkParts];
  const __m256i sums = layout.coupling.bytes ? _mm256_slli_epi32(sum_parts(chunk.sums, parts), 3)
                                             : sum_parts(chunk.products, parts);
  _mm256_store_si256(reinterpret_cast<__m256i*>(products), _mm256_sub_epi32(_mm256_setzero_si256(), sums));
  const uint32_t tile = layout.tile_of(row);
  const uint32_t tile_rows = layout.tile_begin(tile + 1) - layout.tile_begin(tile);
  std::byte* of_row = out + layout.products_at(group, chunk_index, tile) + (row - layout.tile_begin(tile)) * 4;
  for (uint32_t g = 0; g < groups; ++g) memcpy(of_row + static_cast<size_t>(g) * tile_rows * 4, products + g, 4);
}

// Groups of the last bias block that no chunk fills.
void clear_sums(uint32_t group, const ActivationLayout& layout, uint32_t row, std::byte* out) {
  const uint32_t filled = layout.chunks * (kChunkInputs / group);
  if (filled % kBiasGroups == 0) return;
  const uint32_t in_block = filled % kBiasGroups;
  std::byte* part = out + layout.sums_at(group, filled / kBiasGroups, row);
  for (uint32_t i = 0; i < 2; ++i, part += kBiasGroups * layout.sum_bytes) {
    if (layout.sum_bytes == sizeof(float)) {
      memset(part + in_block * sizeof(float), 0, (kBiasGroups - in_block) * sizeof(float));
      continue;
    }
    uint32_t begin = in_block / 4 * 8;
    if (in_block % 4 != 0) {  // the second halves of the last two pairs
      memset(part + begin, 0, 2);
      memset(part + begin + 4, 0, 2);
      begin += 8;
    }
    memset(part + begin, 0, kBiasGroups * sizeof(uint16_t) - begin);
  }
}

void quantise(const ActivationLayout& layout, Matrix<const float> x, Range which, Range chunks, std::byte* out,
              uint8_t* finite) {
  for (uint32_t row = which.begin; row < which.end; ++row) {
    const uint32_t tile = layout.tile_of(row);
    const uint32_t tile_rows = layout.tile_begin(tile + 1) - layout.tile_begin(tile);
    const uint32_t in_tile = row - layout.tile_begin(tile);
    const float* values = x.data + row * x.stride;
    if (chunks.end == layout.chunks) {
      for (uint32_t group : kGroupSizes) clear_sums(group, layout, row, out);
    }
    for (uint32_t c = chunks.begin; c < chunks.end; ++c) {
      Chunk chunk;
      const uint32_t first = c * kChunkInputs;
      if (!quantise_chunk(values + first, smaller(x.cols - first, kChunkInputs), layout.coupling, chunk)) {
        mark_not_finite(finite[row]);
      }
      std::byte* const to = out + layout.values_at(c, tile) + in_tile * 4;
      layout.coupling.bytes ? store_bytes(chunk, tile_rows, to) : store_words(chunk.pairs, tile_rows, to);
      memcpy(out + layout.d_at(c, row), &chunk.d, sizeof chunk.d);
      for (uint32_t group : kGroupSizes) store_groups(chunk, group, c, layout, row, out);
    }
  }
}

}  // namespace

size_t avx512_quantised_bytes(uint32_t num_rows, uint32_t cols) {
  return avx512_activation_layout(num_rows, cols).bytes;
}

size_t avx512_coupled_quantised_bytes(uint32_t num_rows, uint32_t cols) {
  return avx512_coupled_activation_layout(num_rows, cols).bytes;
}

void avx512_quantise(Matrix<const float> x, Range which, Range chunks, std::byte* out, uint8_t* finite) {
  quantise(avx512_activation_layout(x.rows, x.cols), x, which, chunks, out, finite);
}

void avx512_coupled_quantise(Matrix<const float> x, Range which, Range chunks, std::byte* out, uint8_t* finite) {
  quantise(avx512_coupled_activation_layout(x.rows, x.cols), x, which, chunks, out, finite);
}

}  // namespace slipstream
