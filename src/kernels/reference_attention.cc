// KV and attention as ARITHMETIC.md 9 and AVX2.md 5.1 define them, in plain C, to the bit.

#include "kernels/reference_attention.h"

#include "kernels/fixed_arithmetic.h"
#include "kernels/float16.h"
#include "kernels/kv_page.h"

namespace slipstream {
namespace {

float read_element(const std::byte* from, size_t index, bool fp32) {
  if (fp32) return reinterpret_cast<const float*>(from)[index];
  return widen_fp16(reinterpret_cast<const uint16_t*>(from)[index]);
}

// Returns whether the value was beyond fp16's range.
bool write_element(std::byte* to, size_t index, float value, bool fp32) {
  if (fp32) {
    reinterpret_cast<float*>(to)[index] = value;
    return false;
  }
  const float clamped = value > kFp16Max ? kFp16Max : value < -kFp16Max ? -kFp16Max : value;
  reinterpret_cast<uint16_t*>(to)[index] = narrow_fp16(clamped);
  return value > kFp16Max || value < -kFp16Max;
}

// The softmax of one segment, not yet divided: maximum, sum, and the weighted V.
struct Segment {
  float maximum;
  float sum;
  float* out;  // [head_dim]
};

// Positions [first, first + n) of one query: scores s_t = q . k_t, p_t = 2^(s_t - max), l by 16 lanes and a tree.
void attend_segment(const KvPages& pages, const KvView& kv, const float* q, uint32_t first, uint32_t n,
                    Segment& segment) {
  float p[kSegmentTokens];
  float maximum = -__builtin_inff();
  for (uint32_t t = 0; t < n; ++t) {
    const std::byte* keys = pages.page(first + t);
    const uint32_t slot = (first + t) % pages.page_tokens;
    float score = 0.0f;
    for (uint32_t d = 0; d < kv.head_dim; ++d) {
      score = __builtin_fmaf(q[d], read_element(keys, static_cast<size_t>(d) * pages.page_tokens + slot, kv.fp32),
                             score);
    }
    p[t] = score;
    maximum = score > maximum ? score : maximum;
  }
  float lanes[16] = {};
  for (uint32_t t = 0; t < n; ++t) {
    p[t] = exp2_polynomial(p[t] - maximum);
    lanes[t % 16] += p[t];
  }
  segment.maximum = maximum;
  segment.sum = sum_tree(lanes);
  for (uint32_t d = 0; d < kv.head_dim; ++d) segment.out[d] = 0.0f;
  for (uint32_t t = 0; t < n; ++t) {
    const std::byte* values = pages.page(first + t) + pages.value_offset;
    const size_t row = static_cast<size_t>((first + t) % pages.page_tokens) * kv.head_dim;
    for (uint32_t d = 0; d < kv.head_dim; ++d) {
      segment.out[d] = __builtin_fmaf(p[t], read_element(values, row + d, kv.fp32), segment.out[d]);
    }
  }
}

// The softmax of the segments so far, and the next one in ascending order. The first is copied.
struct Merged {
  float maximum = 0.0f;
  float sum = 0.0f;
  bool empty = true;

  void add(const Segment& segment, uint32_t head_dim, float* out) {
    if (empty) {
      empty = false;
      maximum = segment.maximum;
      sum = segment.sum;
      for (uint32_t d = 0; d < head_dim; ++d) out[d] = segment.out[d];
      return;
    }
    const float larger = segment.maximum > maximum ? segment.maximum : maximum;
    const float a = exp2_polynomial(maximum - larger);
    const float b = exp2_polynomial(segment.maximum - larger);
    maximum = larger;
    sum = __builtin_fmaf(sum, a, segment.sum * b);
    for (uint32_t d = 0; d < head_dim; ++d) out[d] = __builtin_fmaf(out[d], a, segment.out[d] * b);
  }
};

uint32_t segment_tokens(uint32_t first, uint32_t context) {
  return context - first < kSegmentTokens ? context - first : kSegmentTokens;
}

// One query over positions [0, context). scratch: 3 * head_dim floats.
void attend(const KvPages& pages, const KvView& kv, const float* query, uint32_t context, float* out,
            float* scratch) {
  const uint32_t head_dim = kv.head_dim;
  float* q = scratch;
  float* sum_out = scratch + head_dim;
  Segment segment{0.0f, 0.0f, scratch + 2 * head_dim};
  const float scale = query_scale(head_dim);
  for (uint32_t d = 0; d < head_dim; ++d) q[d] = query[d] * scale;
  Merged merged;
  for (uint32_t first = 0; first < context; first += kSegmentTokens) {
    attend_segment(pages, kv, q, first, segment_tokens(first, context), segment);
    merged.add(segment, head_dim, sum_out);
  }
  for (uint32_t d = 0; d < head_dim; ++d) out[d] = sum_out[d] / merged.sum;
}

}  // namespace

uint32_t reference_store_kv(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t position,
                            const float* k, const float* v) {
  const KvPages pages = kv_pages(kv, slice, kv_head);
  auto* page = const_cast<std::byte*>(pages.page(position));
  const uint32_t slot = position % pages.page_tokens;
  uint32_t clamped = 0;
  for (uint32_t d = 0; d < kv.head_dim; ++d) {
    clamped += write_element(page, static_cast<size_t>(d) * pages.page_tokens + slot, k[d], kv.fp32);
    clamped += write_element(page + pages.value_offset, static_cast<size_t>(slot) * kv.head_dim + d, v[d], kv.fp32);
  }
  return clamped;
}

void reference_attention(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group,
                         Range which, Matrix<const float> q, Matrix<float> out, std::byte* scratch) {
  const KvPages pages = kv_pages(kv, slice, kv_head);
  for (uint32_t r = which.begin; r < which.end; ++r) {
    for (uint32_t head = 0; head < group; ++head) {
      const size_t offset = static_cast<size_t>(head) * kv.head_dim;
      attend(pages, kv, q.row(r) + offset, slice.first_position + r + 1, out.row(r) + offset,
             reinterpret_cast<float*>(scratch));
    }
  }
}

// A part: the weighted V, then the largest score and the sum of weights.
void reference_attend_segments(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head, uint32_t group,
                               uint32_t row, Range segments, const float* q, const SegmentParts& parts,
                               std::byte* scratch) {
  const KvPages pages = kv_pages(kv, slice, kv_head);
  const uint32_t head_dim = kv.head_dim, context = slice.first_position + row + 1;
  const float scale = query_scale(head_dim);
  auto* scaled = reinterpret_cast<float*>(scratch);
  for (uint32_t head = 0; head < group; ++head) {
    for (uint32_t d = 0; d < head_dim; ++d) scaled[d] = q[size_t{head} * head_dim + d] * scale;
    for (uint32_t i = segments.begin; i < segments.end; ++i) {
      float* part = parts.data + (size_t{head} * parts.num_segments + i) * segment_floats(head_dim);
      Segment segment{0.0f, 0.0f, part};
      const uint32_t first = i * kSegmentTokens;
      attend_segment(pages, kv, scaled, first, segment_tokens(first, context), segment);
      part[head_dim] = segment.maximum;
      part[head_dim + 1] = segment.sum;
    }
  }
}

void reference_merge_segments(const SegmentParts& parts, uint32_t group, uint32_t head_dim, float* out) {
  for (uint32_t head = 0; head < group; ++head, out += head_dim) {
    Merged merged;
    for (uint32_t i = 0; i < parts.num_segments; ++i) {
      float* part = parts.data + (size_t{head} * parts.num_segments + i) * segment_floats(head_dim);
      merged.add({part[head_dim], part[head_dim + 1], part}, head_dim, out);
    }
    for (uint32_t d = 0; d < head_dim; ++d) out[d] = out[d] / merged.sum;
  }
}

}  // namespace slipstream
