#include "kernels/avx512_attention.h"

#include "kernels/avx512_fp32_lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kFewTokens = 2;  // up to here widening a segment for the rows does not pay

bool has_own_path(const KvView& kv) {
  return !kv.fp32 && kv.block_tokens >= 16 && kv.head_dim % 16 == 0 && kv.head_dim <= kAvx512MaxHeadDim;
}

}  // namespace

AttentionSum avx512_softmax_segment(float* scores, uint32_t n) {
  constexpr uint32_t kAtOnce = 4;
  const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
  __m512 largest[2] = {lowest, lowest};
  const uint32_t whole = n / 16 * 16;
  const __mmask16 rest = first_lanes(n - whole);
  uint32_t t = 0;
  for (; t + 32 <= whole; t += 32) {
    largest[0] = _mm512_max_ps(largest[0], _mm512_loadu_ps(scores + t));
    largest[1] = _mm512_max_ps(largest[1], _mm512_loadu_ps(scores + t + 16));
  }
  if (t < whole) largest[0] = _mm512_max_ps(largest[0], _mm512_loadu_ps(scores + t));
  if (rest != 0) largest[1] = _mm512_max_ps(largest[1], _mm512_mask_loadu_ps(lowest, rest, scores + whole));
  const float maximum = largest_lane(_mm512_max_ps(largest[0], largest[1]));

  const __m512 maxima = _mm512_set1_ps(maximum);
  __m512 lanes = _mm512_setzero_ps();
  for (t = 0; t + kAtOnce * 16 <= whole; t += kAtOnce * 16) {
    __m512 p[kAtOnce];
    UNROLL for (uint32_t j = 0; j < kAtOnce; ++j) p[j] = _mm512_sub_ps(_mm512_loadu_ps(scores + t + j * 16), maxima);
    exp2_wide_below_one(p);
    UNROLL for (uint32_t j = 0; j < kAtOnce; ++j) {
      _mm512_storeu_ps(scores + t + j * 16, p[j]);
      lanes = _mm512_add_ps(lanes, p[j]);
    }
  }
  for (; t < n; t += 16) {
    const __mmask16 mask = t < whole ? 0xffff : rest;
    __m512 p[1] = {_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, scores + t), maxima)};
    exp2_wide_below_one(p);
    _mm512_mask_storeu_ps(scores + t, mask, p[0]);
    lanes = _mm512_mask_add_ps(lanes, mask, lanes, p[0]);
  }
  return {maximum, sum_lanes(lanes)};
}

void avx512_merge_segment(AttentionSum& sum, float* out, const AttentionSum& next, const float* next_out,
                          uint32_t head_dim, bool first) {
  if (first) {
    sum = next;
    for (uint32_t d = 0; d < head_dim; d += 16) _mm512_storeu_ps(out + d, _mm512_loadu_ps(next_out + d));
    return;
  }
  const MergeShares shares = merge_sums(sum, next);
  const __m512 old_share = _mm512_set1_ps(shares.old_share), new_share = _mm512_set1_ps(shares.new_share);
  for (uint32_t d = 0; d < head_dim; d += 16) {
    const __m512 added = _mm512_mul_ps(_mm512_loadu_ps(next_out + d), new_share);
    _mm512_storeu_ps(out + d, _mm512_fmadd_ps(_mm512_loadu_ps(out + d), old_share, added));
  }
}

void avx512_divide(float* out, float sum, uint32_t head_dim) {
  const __m512 sums = _mm512_set1_ps(sum);
  for (uint32_t d = 0; d < head_dim; d += 16) {
    _mm512_storeu_ps(out + d, _mm512_div_ps(_mm512_loadu_ps(out + d), sums));
  }
}

uint32_t avx512_store_kv(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t position,
                         const float* k, const float* v) {
  if (kv.fp32 || kv.head_dim % 16 != 0) return avx2_store_kv(kv, slice, kv_head, position, k, v);
  const KvPages pages = kv_pages(kv, slice, kv_head);
  auto* page = const_cast<std::byte*>(pages.page(position));
  const uint32_t slot = position % pages.page_tokens;
  auto* keys = reinterpret_cast<uint16_t*>(page) + slot;
  auto* values = reinterpret_cast<uint16_t*>(page + pages.value_offset) + size_t{slot} * kv.head_dim;
  fetch_keys(pages, keys, kv.head_dim);
  const __m512 limit = _mm512_set1_ps(kFp16Max), sign = _mm512_set1_ps(-0.0f);
  uint32_t clamped = 0;
  const auto narrow = [&](const float* from) __attribute__((always_inline)) {
    const __m512 x = _mm512_loadu_ps(from);
    clamped += static_cast<uint32_t>(
        __builtin_popcount(_mm512_cmp_ps_mask(_mm512_andnot_ps(sign, x), limit, _CMP_GT_OQ)));
    // The second operand is the result where one is NaN: a NaN stays one, and its row is found out later.
    const __m512 inside = _mm512_min_ps(limit, _mm512_max_ps(_mm512_xor_ps(limit, sign), x));
    return _mm512_cvtps_ph(inside, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  };
  for (uint32_t d = 0; d < kv.head_dim; d += 16) {
    alignas(32) uint16_t key[16];
    _mm256_store_si256(reinterpret_cast<__m256i*>(key), narrow(k + d));
    for (uint32_t i = 0; i < 16; ++i) keys[size_t{d + i} * pages.page_tokens] = key[i];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + d), narrow(v + d));
  }
  return clamped;
}

void avx512_attention(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group, Range which,
                      Matrix<const float> q, Matrix<float> out, std::byte* scratch) {
  if (!has_own_path(kv)) return avx2_attention(kv, slice, kv_head, group, which, q, out, scratch);
  const KvPages pages = kv_pages(kv, slice, kv_head);
  auto* floats = reinterpret_cast<float*>(scratch);
  if (which.size() <= kFewTokens) {
    for (uint32_t r = which.begin; r < which.end; ++r) {
      avx512_attend_token(pages, kv, group, slice.first_position + r + 1, q.row(r), out.row(r), floats);
    }
    return;
  }
  for (uint32_t head = 0; head < group; head += kAvx512RowsAtOnce) {
    const uint32_t heads = smaller(kAvx512RowsAtOnce, group - head);
    const uint32_t parts = (which.size() * heads + kAvx512RowsAtOnce - 1) / kAvx512RowsAtOnce;
    const uint32_t tokens = smaller((which.size() + parts - 1) / parts, kAvx512RowsAtOnce / heads);
    for (uint32_t r = which.begin; r < which.end; r += tokens) {
      avx512_attend_rows(pages, kv, slice, heads, size_t{head} * kv.head_dim, {r, smaller(r + tokens, which.end)}, q,
                         out, floats);
    }
  }
}

void avx512_attend_segments(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group,
                            uint32_t row, Range segments, const float* q, const SegmentParts& parts,
                            std::byte* scratch) {
  if (!has_own_path(kv)) {
    return avx2_attend_segments(kv, slice, kv_head, group, row, segments, q, parts, scratch);
  }
  avx512_attend_parts(kv_pages(kv, slice, kv_head), kv, group, slice.first_position + row + 1, segments, q, parts,
                      reinterpret_cast<float*>(scratch));
}

void avx512_merge_segments(const SegmentParts& parts, uint32_t group, uint32_t head_dim, float* out) {
  if (head_dim % 16 != 0) return avx2_merge_segments(parts, group, head_dim, out);
  const size_t floats = segment_floats(head_dim);
  for (uint32_t head = 0; head < group; ++head, out += head_dim) {
    AttentionSum merged;
    for (uint32_t i = 0; i < parts.num_segments; ++i) {
      const float* part = parts.data + (size_t{head} * parts.num_segments + i) * floats;
      avx512_merge_segment(merged, out, {part[head_dim], part[head_dim + 1]}, part, head_dim, i == 0);
    }
    avx512_divide(out, merged.sum, head_dim);
  }
}

}  // namespace slipstream
