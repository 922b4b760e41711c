#include "kernels/avx2_attention.h"

#include "kernels/avx2_lanes.h"
#include "kernels/float16.h"
#include "kernels/reference_attention.h"

namespace slipstream {
namespace {

constexpr uint32_t kFewTokens = 2;  // up to here tiles of rows do not pay

// Vectors of 8 tokens must not cross a page, and dims go in pairs of vectors.
bool has_own_path(const KvView& kv) { return kv.block_tokens >= 8 && kv.head_dim % 16 == 0; }

}  // namespace

AttentionSum avx2_softmax_segment(float* scores, uint32_t n) {
  const __m256 lowest = _mm256_set1_ps(-__builtin_inff());
  __m256 largest[2] = {lowest, lowest};
  uint32_t t = 0;
  for (; t + 16 <= n; t += 16) {
    largest[0] = _mm256_max_ps(largest[0], _mm256_loadu_ps(scores + t));
    largest[1] = _mm256_max_ps(largest[1], _mm256_loadu_ps(scores + t + 8));
  }
  for (; t < n; t += 8) {
    const __m256 mask = _mm256_castsi256_ps(lane_mask(smaller(n - t, 8)));
    largest[0] = _mm256_max_ps(largest[0], _mm256_blendv_ps(lowest, _mm256_loadu_ps(scores + t), mask));
  }
  const float maximum = largest_lane(_mm256_max_ps(largest[0], largest[1]));

  // Lanes t % 16 in two registers; a lane beyond n adds 0, which changes no sum of positive numbers.
  const __m256 maxima = _mm256_set1_ps(maximum);
  __m256 lanes[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (t = 0; t + 32 <= n; t += 32) {
    __m256 p[4];
    UNROLL for (int j = 0; j < 4; ++j) p[j] = _mm256_sub_ps(_mm256_loadu_ps(scores + t + j * 8), maxima);
    exp2_lanes_below_one(p);
    UNROLL for (int j = 0; j < 4; ++j) {
      _mm256_storeu_ps(scores + t + j * 8, p[j]);
      lanes[j % 2] = _mm256_add_ps(lanes[j % 2], p[j]);
    }
  }
  for (; t < n; t += 16) {
    __m256 p[2];
    UNROLL for (uint32_t j = 0; j < 2; ++j) p[j] = _mm256_sub_ps(_mm256_loadu_ps(scores + t + j * 8), maxima);
    exp2_lanes_below_one(p);
    UNROLL for (uint32_t j = 0; j < 2; ++j) {
      const uint32_t left = n - t > j * 8 ? smaller(n - t - j * 8, 8) : 0;
      p[j] = _mm256_and_ps(p[j], _mm256_castsi256_ps(lane_mask(left)));
      _mm256_storeu_ps(scores + t + j * 8, p[j]);
      lanes[j] = _mm256_add_ps(lanes[j], p[j]);
    }
  }
  return {maximum, sum_lanes(lanes[0], lanes[1])};
}

void avx2_merge_segment(AttentionSum& sum, float* out, const AttentionSum& next, const float* next_out,
                        uint32_t head_dim, bool first) {
  if (first) {
    sum = next;
    for (uint32_t d = 0; d < head_dim; d += 8) _mm256_storeu_ps(out + d, _mm256_loadu_ps(next_out + d));
    return;
  }
  const MergeShares shares = merge_sums(sum, next);
  const __m256 old_share = _mm256_set1_ps(shares.old_share), new_share = _mm256_set1_ps(shares.new_share);
  for (uint32_t d = 0; d < head_dim; d += 8) {
    const __m256 added = _mm256_mul_ps(_mm256_loadu_ps(next_out + d), new_share);
    _mm256_storeu_ps(out + d, _mm256_fmadd_ps(_mm256_loadu_ps(out + d), old_share, added));
  }
}

void avx2_divide(float* out, float sum, uint32_t head_dim) {
  const __m256 sums = _mm256_set1_ps(sum);
  for (uint32_t d = 0; d < head_dim; d += 8) _mm256_storeu_ps(out + d, _mm256_div_ps(_mm256_loadu_ps(out + d), sums));
}

uint32_t avx2_store_kv(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t position,
                       const float* k, const float* v) {
  if (kv.fp32 || kv.head_dim % 8 != 0) return reference_store_kv(kv, slice, kv_head, position, k, v);
  const KvPages pages = kv_pages(kv, slice, kv_head);
  auto* page = const_cast<std::byte*>(pages.page(position));
  const uint32_t slot = position % pages.page_tokens;
  auto* keys = reinterpret_cast<uint16_t*>(page) + slot;
  auto* values = reinterpret_cast<uint16_t*>(page + pages.value_offset) + static_cast<size_t>(slot) * kv.head_dim;
  fetch_keys(pages, keys, kv.head_dim);
  const __m256 limit = _mm256_set1_ps(kFp16Max), sign = _mm256_set1_ps(-0.0f);
  uint32_t clamped = 0;
  const auto narrow = [&](const float* from) __attribute__((always_inline)) {
    const __m256 x = _mm256_loadu_ps(from);
    const __m256 beyond = _mm256_cmp_ps(_mm256_andnot_ps(sign, x), limit, _CMP_GT_OQ);
    clamped += static_cast<uint32_t>(__builtin_popcount(static_cast<uint32_t>(_mm256_movemask_ps(beyond))));
    // The second operand is the result where one is NaN: a NaN stays one, and its row is found out later.
    const __m256 inside = _mm256_min_ps(limit, _mm256_max_ps(_mm256_xor_ps(limit, sign), x));
    return _mm256_cvtps_ph(inside, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  };
  for (uint32_t d = 0; d < kv.head_dim; d += 8) {
    alignas(16) uint16_t key[8];
    _mm_store_si128(reinterpret_cast<__m128i*>(key), narrow(k + d));
    for (uint32_t i = 0; i < 8; ++i) keys[static_cast<size_t>(d + i) * pages.page_tokens] = key[i];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(values + d), narrow(v + d));
  }
  return clamped;
}

void avx2_attention(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group, Range which,
                    Matrix<const float> q, Matrix<float> out, std::byte* scratch) {
  if (!has_own_path(kv)) return reference_attention(kv, slice, kv_head, group, which, q, out, scratch);
  const KvPages pages = kv_pages(kv, slice, kv_head);
  auto* floats = reinterpret_cast<float*>(scratch);
  if (which.size() <= kFewTokens) {
    for (uint32_t r = which.begin; r < which.end; ++r) {
      avx2_attend_token(pages, kv, group, slice.first_position + r + 1, q.row(r), out.row(r), floats);
    }
    return;
  }
  for (uint32_t head = 0; head < group; head += kAvx2RowsAtOnce) {
    const uint32_t heads = smaller(kAvx2RowsAtOnce, group - head);
    const uint32_t parts = (which.size() * heads + kAvx2RowsAtOnce - 1) / kAvx2RowsAtOnce;
    const uint32_t tokens = smaller((which.size() + parts - 1) / parts, kAvx2RowsAtOnce / heads);
    for (uint32_t r = which.begin; r < which.end; r += tokens) {
      avx2_attend_rows(pages, kv, slice, heads, size_t{head} * kv.head_dim, {r, smaller(r + tokens, which.end)}, q,
                       out, floats);
    }
  }
}

void avx2_attend_segments(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group, uint32_t row,
                          Range segments, const float* q, const SegmentParts& parts, std::byte* scratch) {
  if (!has_own_path(kv)) {
    return reference_attend_segments(kv, slice, kv_head, group, row, segments, q, parts, scratch);
  }
  avx2_attend_parts(kv_pages(kv, slice, kv_head), kv, group, slice.first_position + row + 1, segments, q, parts,
                    reinterpret_cast<float*>(scratch));
}

void avx2_merge_segments(const SegmentParts& parts, uint32_t group, uint32_t head_dim, float* out) {
  if (head_dim % 8 != 0) return reference_merge_segments(parts, group, head_dim, out);
  const size_t floats = segment_floats(head_dim);
  for (uint32_t head = 0; head < group; ++head, out += head_dim) {
    AttentionSum merged;
    for (uint32_t i = 0; i < parts.num_segments; ++i) {
      const float* part = parts.data + (size_t{head} * parts.num_segments + i) * floats;
      avx2_merge_segment(merged, out, {part[head_dim], part[head_dim + 1]}, part, head_dim, i == 0);
    }
    avx2_divide(out, merged.sum, head_dim);
  }
}

}  // namespace slipstream
