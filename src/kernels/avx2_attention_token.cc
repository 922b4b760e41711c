// Attention of one token: K and V stream through registers, each vector widened once for up to four query heads.
// Tokens in lanes for q.k, dims in lanes for p.v; no lane is ever summed with another (AVX2.md 5).

#include <cstring>

#include "kernels/avx2_attention.h"
#include "kernels/avx2_lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kMaxHeads = 8;  // of one pass over K and V; more heads are more passes
constexpr uint32_t kMaxPages = kSegmentTokens / 8;
constexpr uint32_t kPagesAhead = 2;  // K or V of so many pages is asked for in advance; it never changes bits

template <bool kFp32>
inline __attribute__((always_inline)) __m256 load_kv(const std::byte* from) {
  if constexpr (kFp32) return _mm256_loadu_ps(reinterpret_cast<const float*>(from));
  return load_fp16(from);
}

// Into L2, as in avx2_stream.cc, a line at a time while a line of the present page is computed: asking for a whole page
// at once would keep the present page's loads waiting.
inline __attribute__((always_inline)) void prefetch(const std::byte* line) {
  _mm_prefetch(reinterpret_cast<const char*>(line), _MM_HINT_T1);
}

// One segment of one sequence, as it is read: K of all its pages, then their V, then the next segment's.
struct Segment {
  uint32_t n = 0;  // tokens
  uint32_t num_pages = 0;
  const std::byte* halves[2 * kMaxPages + kPagesAhead];

  const std::byte* const* keys(uint32_t page) const { return halves + page; }
  const std::byte* const* values(uint32_t page) const { return halves + num_pages + page; }

  // Positions [first, ...) of those before `end`, which are read one segment after the other.
  void find(const KvPages& pages, uint32_t first, uint32_t end) {
    n = smaller(kSegmentTokens, end - first);
    num_pages = (n + pages.page_tokens - 1) / pages.page_tokens;
    for (uint32_t page = 0; page < num_pages; ++page) {
      halves[page] = pages.page(first + page * pages.page_tokens);
      halves[num_pages + page] = halves[page] + pages.value_offset;
    }
    for (uint32_t page = 0; page < kPagesAhead; ++page) {  // behind the last token: what is there already
      const uint32_t position = first + n + page * pages.page_tokens;
      halves[2 * num_pages + page] = position < end ? pages.page(position) : halves[0];
    }
  }
};
struct Token {
  uint32_t group;
  uint32_t head_dim;
  uint32_t page_tokens;
  const float* q;  // [head_dim][group], scaled
  float* scores;   // [group][256]
  float* out;      // [group][out_stride], of the segment
  size_t out_stride;
};

// -- scores --------------------------------------------------------------------------------------
// Scores of kHeads heads from `head` with kVectors * 8 tokens of a page, from slot `slot` on.
template <bool kFp32, int kHeads, int kVectors>
void score_tokens(const Token& token, const Segment& segment, uint32_t page, uint32_t head, uint32_t slot) {
  constexpr size_t kBytes = kFp32 ? 4 : 2;
  __m256 sum[kHeads][kVectors];
  UNROLL for (int h = 0; h < kHeads; ++h) {
    UNROLL for (int i = 0; i < kVectors; ++i) sum[h][i] = _mm256_setzero_ps();
  }
  const std::byte* keys = segment.keys(page)[0] + slot * kBytes;
  // A part of the lines for each range of slots; the passes of later heads ask for what is there already.
  const std::byte* ahead = segment.keys(page)[head == 0 ? kPagesAhead : 0] + slot * token.head_dim * kBytes;
  const size_t step = token.page_tokens * kBytes;
  const float* q = token.q + head;
  for (const float* const end = q + size_t{token.head_dim} * token.group; q < end; q += token.group) {
    __m256 x[kHeads];
    UNROLL for (int h = 0; h < kHeads; ++h) x[h] = _mm256_broadcast_ss(q + h);
    UNROLL for (size_t i = 0; i < kVectors * 8 * kBytes; i += 64) prefetch(ahead + i);
    UNROLL for (int i = 0; i < kVectors; ++i) {
      const __m256 k = load_kv<kFp32>(keys + i * 8 * kBytes);
      UNROLL for (int h = 0; h < kHeads; ++h) sum[h][i] = _mm256_fmadd_ps(x[h], k, sum[h][i]);
    }
    keys += step;
    ahead += kVectors * 8 * kBytes;
  }
  float* const scores = token.scores + size_t{head} * kSegmentTokens + page * token.page_tokens + slot;
  UNROLL for (int h = 0; h < kHeads; ++h) {
    UNROLL for (int i = 0; i < kVectors; ++i) _mm256_storeu_ps(scores + h * kSegmentTokens + i * 8, sum[h][i]);
  }
}

template <bool kFp32, int kHeads>
void score_page(const Token& token, const Segment& segment, uint32_t page, uint32_t head) {
  constexpr uint32_t kWide = kHeads <= 3 ? 4 : 2;  // of 16 registers: heads * vectors sums, one q a head, one vector
  uint32_t slot = 0;
  for (; slot + kWide * 8 <= token.page_tokens; slot += kWide * 8) {
    score_tokens<kFp32, kHeads, kWide>(token, segment, page, head, slot);
  }
  for (; slot < token.page_tokens; slot += 8) score_tokens<kFp32, kHeads, 1>(token, segment, page, head, slot);
}

// -- p V -----------------------------------------------------------------------------------------
// out[head ...][dim ...] += p V of one page, for kHeads heads and kVectors * 8 dims.
template <bool kFp32, int kHeads, int kVectors>
void weigh_dims(const Token& token, const Segment& segment, uint32_t page, uint32_t head, uint32_t dim) {
  constexpr size_t kBytes = kFp32 ? 4 : 2;
  __m256 sum[kHeads][kVectors];
  float* const out = token.out + head * token.out_stride + dim;
  UNROLL for (int h = 0; h < kHeads; ++h) {
    UNROLL for (int i = 0; i < kVectors; ++i) {
      sum[h][i] = page == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(out + h * token.out_stride + i * 8);
    }
  }
  const size_t row_bytes = token.head_dim * kBytes;
  const std::byte* values = segment.values(page)[0] + dim * kBytes;
  const std::byte* ahead = segment.values(page)[head == 0 ? kPagesAhead : 0] + dim * kBytes;
  const float* p = token.scores + size_t{head} * kSegmentTokens + page * token.page_tokens;
  const float* const end = p + smaller(token.page_tokens, segment.n - page * token.page_tokens);
  for (; p < end; ++p, values += row_bytes, ahead += row_bytes) {
    __m256 x[kHeads];
    UNROLL for (int h = 0; h < kHeads; ++h) x[h] = _mm256_broadcast_ss(p + h * kSegmentTokens);
    UNROLL for (size_t i = 0; i < kVectors * 8 * kBytes; i += 64) prefetch(ahead + i);
    UNROLL for (int i = 0; i < kVectors; ++i) {
      const __m256 v = load_kv<kFp32>(values + i * 8 * kBytes);
      UNROLL for (int h = 0; h < kHeads; ++h) sum[h][i] = _mm256_fmadd_ps(x[h], v, sum[h][i]);
    }
  }
  UNROLL for (int h = 0; h < kHeads; ++h) {
    UNROLL for (int i = 0; i < kVectors; ++i) _mm256_storeu_ps(out + h * token.out_stride + i * 8, sum[h][i]);
  }
}

template <bool kFp32, int kHeads>
void weigh_page(const Token& token, const Segment& segment, uint32_t page, uint32_t head) {
  constexpr uint32_t kWide = kHeads == 1 ? 8 : kHeads <= 3 ? 4 : 2;
  uint32_t dim = 0;
  for (; dim + kWide * 8 <= token.head_dim; dim += kWide * 8) {
    weigh_dims<kFp32, kHeads, kWide>(token, segment, page, head, dim);
  }
  for (; dim < token.head_dim; dim += 16) weigh_dims<kFp32, kHeads, 2>(token, segment, page, head, dim);
}

// ------------------------------------------------------------------------------------------------
// work.operator()<kHeads>(head) for all heads: 5 are 3 + 2, at most 4 at once, and never one after four.
template <class Work>
void for_heads(uint32_t group, const Work& work) {
  for (uint32_t head = 0; head < group;) {
    const uint32_t left = group - head;
    if (left >= 4 && left != 5) {
      work.template operator()<4>(head);
      head += 4;
    } else if (left >= 3) {
      work.template operator()<3>(head);
      head += 3;
    } else if (left == 2) {
      work.template operator()<2>(head);
      head += 2;
    } else {
      work.template operator()<1>(head);
      head += 1;
    }
  }
}

template <bool kFp32>
void attend_segment(const Token& token, const Segment& segment, AttentionSum* sums) {
  for (uint32_t page = 0; page < segment.num_pages; ++page) {
    for_heads(token.group, [&]<int kHeads>(uint32_t head) { score_page<kFp32, kHeads>(token, segment, page, head); });
  }
  for (uint32_t h = 0; h < token.group; ++h) {
    sums[h] = avx2_softmax_segment(token.scores + h * kSegmentTokens, segment.n);
  }
  for (uint32_t page = 0; page < segment.num_pages; ++page) {
    for_heads(token.group, [&]<int kHeads>(uint32_t head) { weigh_page<kFp32, kHeads>(token, segment, page, head); });
  }
}

// Positions [first, end): work(position, sums) after each segment, whose weighted V is in token.out then.
template <class Work>
void attend_segments(const KvPages& pages, bool fp32, Token& token, uint32_t first, uint32_t end, const Work& work) {
  Segment segment;
  for (; first < end; first += kSegmentTokens) {
    segment.find(pages, first, end);
    AttentionSum sums[kMaxHeads];
    fp32 ? attend_segment<true>(token, segment, sums) : attend_segment<false>(token, segment, sums);
    work(first, sums);
  }
}

// q scaled, and room for scores, in `scratch`; what is left of it begins at token.out.
Token begin_token(const KvPages& pages, uint32_t head_dim, uint32_t heads, const float* q, float* scratch) {
  const float scale = query_scale(head_dim);
  for (uint32_t h = 0; h < heads; ++h) {
    for (uint32_t d = 0; d < head_dim; ++d) scratch[d * heads + h] = q[h * head_dim + d] * scale;
  }
  float* scores = scratch + heads * head_dim;
  return {heads, head_dim, pages.page_tokens, scratch, scores, scores + heads * kSegmentTokens, head_dim};
}

}  // namespace

void avx2_attend_token(const KvPages& pages, const KvView& kv, uint32_t group, uint32_t context, const float* q,
                       float* out, float* scratch) {
  const uint32_t head_dim = kv.head_dim;
  for (uint32_t head = 0; head < group; head += kMaxHeads) {
    const uint32_t heads = smaller(kMaxHeads, group - head);
    Token token = begin_token(pages, head_dim, heads, q + size_t{head} * head_dim, scratch);
    float* to = out + size_t{head} * head_dim;
    AttentionSum merged[kMaxHeads];
    attend_segments(pages, kv.fp32, token, 0, context, [&](uint32_t first, const AttentionSum* sums) {
      for (uint32_t h = 0; h < heads; ++h) {
        avx2_merge_segment(merged[h], to + h * head_dim, sums[h], token.out + h * head_dim, head_dim, first == 0);
      }
    });
    for (uint32_t h = 0; h < heads; ++h) avx2_divide(to + h * head_dim, merged[h].sum, head_dim);
  }
}

void avx2_attend_parts(const KvPages& pages, const KvView& kv, uint32_t group, uint32_t context, Range segments,
                       const float* q, const SegmentParts& parts, float* scratch) {
  const uint32_t head_dim = kv.head_dim;
  const size_t floats = segment_floats(head_dim);
  for (uint32_t head = 0; head < group; head += kMaxHeads) {
    const uint32_t heads = smaller(kMaxHeads, group - head);
    Token token = begin_token(pages, head_dim, heads, q + size_t{head} * head_dim, scratch);
    token.out = parts.data + (size_t{head} * parts.num_segments + segments.begin) * floats;
    token.out_stride = parts.num_segments * floats;
    const uint32_t end = smaller(segments.end * kSegmentTokens, context);
    attend_segments(pages, kv.fp32, token, segments.begin * kSegmentTokens, end,
                    [&](uint32_t, const AttentionSum* sums) {
                      for (uint32_t h = 0; h < heads; ++h) {
                        std::memcpy(token.out + h * token.out_stride + head_dim, sums + h, sizeof(AttentionSum));
                      }
                      token.out += floats;
                    });
  }
}

}  // namespace slipstream
