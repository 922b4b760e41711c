// KV and attention for AVX-512 (kernels.h; AVX2.md 5.1, arithmetic F).
#pragma once

#include "kernels/avx2_attention.h"
#include "kernels/kernels.h"
#include "kernels/kv_page.h"

namespace slipstream {

uint32_t avx512_store_kv(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t position,
                         const float* k, const float* v);
void avx512_attention(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group, Range which,
                      Matrix<const float> q, Matrix<float> out, std::byte* scratch);
void avx512_attend_segments(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group,
                            uint32_t row, Range segments, const float* q, const SegmentParts& parts,
                            std::byte* scratch);
void avx512_merge_segments(const SegmentParts& parts, uint32_t group, uint32_t head_dim, float* out);

// As avx2_softmax_segment, avx2_merge_segment and avx2_divide.
AttentionSum avx512_softmax_segment(float* scores, uint32_t n);
void avx512_merge_segment(AttentionSum& sum, float* out, const AttentionSum& next, const float* next_out,
                          uint32_t head_dim, bool first);
void avx512_divide(float* out, float sum, uint32_t head_dim);

// One token's `group` query heads over positions [0, context), and rows with their heads, as in avx2_attention.h. Of
// fp16 K and V, pages of 16 tokens or more, head sizes that are a multiple of 16.
inline constexpr uint32_t kAvx512MaxHeadDim = 256;
inline constexpr uint32_t kAvx512RowsAtOnce = 96;  // tokens * heads of one call
inline constexpr uint32_t kAvx512RowStride = kSegmentTokens + 16;  // floats: no multiple of a page, for the L1 cache
void avx512_attend_token(const KvPages& pages, const KvView& kv, uint32_t group, uint32_t context, const float* q,
                         float* out, float* scratch);
void avx512_attend_parts(const KvPages& pages, const KvView& kv, uint32_t group, uint32_t context, Range segments,
                         const float* q, const SegmentParts& parts, float* scratch);
void avx512_attend_rows(const KvPages& pages, const KvView& kv, const AttentionSlice& slice, uint32_t heads,
                        size_t column, Range which, Matrix<const float> q, Matrix<float> out, float* scratch);

}  // namespace slipstream
