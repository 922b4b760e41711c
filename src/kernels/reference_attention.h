// The reference's KV and attention (kernels.h). Other instruction sets also use them for shapes that are not worth a
// path of their own, such as pages of fewer than 8 tokens.
#pragma once

#include "kernels/kernels.h"

namespace slipstream {

uint32_t reference_store_kv(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t position,
                            const float* k, const float* v);
void reference_attention(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group,
                         Range which, Matrix<const float> q, Matrix<float> out, std::byte* scratch);
void reference_attend_segments(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group,
                               uint32_t row, Range segments, const float* q, const SegmentParts& parts,
                               std::byte* scratch);
void reference_merge_segments(const SegmentParts& parts, uint32_t group, uint32_t head_dim, float* out);

}  // namespace slipstream
