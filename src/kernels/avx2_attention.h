// KV and attention for AVX2 (kernels.h; AVX2.md 5.1, arithmetic F).
#pragma once

#include "kernels/kernels.h"
#include "kernels/kv_page.h"

namespace slipstream {

uint32_t avx2_store_kv(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t position,
                       const float* k, const float* v);
void avx2_attention(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group, Range which,
                    Matrix<const float> q, Matrix<float> out, std::byte* scratch);

void avx2_attend_segments(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group, uint32_t row,
                          Range segments, const float* q, const SegmentParts& parts, std::byte* scratch);
void avx2_merge_segments(const SegmentParts& parts, uint32_t group, uint32_t head_dim, float* out);

// The softmax of one query head, not yet divided: of a segment, or of all that are merged so far.
struct AttentionSum {
  float maximum;
  float sum;
};
// What merged numbers are multiplied by when another segment comes: those so far, and the new ones.
struct MergeShares {
  float old_share;
  float new_share;
};
static inline MergeShares merge_sums(AttentionSum& sum, const AttentionSum& next) {
  const float larger = next.maximum > sum.maximum ? next.maximum : sum.maximum;
  const MergeShares shares{exp2_polynomial(sum.maximum - larger), exp2_polynomial(next.maximum - larger)};
  sum.maximum = larger;
  sum.sum = __builtin_fmaf(sum.sum, shares.old_share, next.sum * shares.new_share);
  return shares;
}

// Scores [0, n) of one segment -> 2^(score - max), in place; n > 0. Returns the maximum and the sum by 16 lanes and a
// tree.
AttentionSum avx2_softmax_segment(float* scores, uint32_t n);
// Merges a segment (`next`, `next_out`) into the running one. The first segment is copied.
void avx2_merge_segment(AttentionSum& sum, float* out, const AttentionSum& next, const float* next_out,
                        uint32_t head_dim, bool first);
void avx2_divide(float* out, float sum, uint32_t head_dim);

// One token's `group` query heads (q, out: [group][head_dim], contiguous) over positions [0, context).
void avx2_attend_token(const KvPages& pages, const KvView& kv, uint32_t group, uint32_t context, const float* q,
                       float* out, float* scratch);
void avx2_attend_parts(const KvPages& pages, const KvView& kv, uint32_t group, uint32_t context, Range segments,
                       const float* q, const SegmentParts& parts, float* scratch);
// Rows [which) and their `heads` query heads from column `first` of q and out; at most kAvx2RowsAtOnce in all.
inline constexpr uint32_t kAvx2RowsAtOnce = 96;
void avx2_attend_rows(const KvPages& pages, const KvView& kv, const AttentionSlice& slice, uint32_t heads,
                      size_t first, Range which, Matrix<const float> q, Matrix<float> out, float* scratch);

}  // namespace slipstream
