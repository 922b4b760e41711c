// Attention of one token: K and V stream through registers, each vector widened once for all query heads of the group.
// Tokens in lanes for q.k, dims in lanes for p.v; no lane is ever summed with another (AVX2.md 5).

#include <cstring>

#include "kernels/avx512_attention.h"
#include "kernels/avx512_fp32_lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kMaxHeads = 8;  // of one pass over K and V; more heads are more passes
constexpr uint32_t kMaxPages = kSegmentTokens / 16;
constexpr uint32_t kQueryStride = 256;  // floats from head to head
constexpr uint32_t kMaxVectors = 8;     // of 16 dims, at once
// K or V of so many pages is asked for in advance; it never changes bits. More of them even out what memory and
// arithmetic take, but while the last ones are computed memory is idle: few where arithmetic is little anyway, and
// where the context is short (GB/s at head size 128 on Zen 4: 3 heads, 8,192 tokens: 47 with 4 and 42 with 8; 4 heads:
// 40 and 43; 4 heads, 512 tokens: 37 and 34).
constexpr uint32_t kFewAhead = 4;
constexpr uint32_t kManyAhead = 8;
constexpr uint32_t kLongContext = 1024;

inline __attribute__((always_inline)) void prefetch(const std::byte* line) {
  _mm_prefetch(reinterpret_cast<const char*>(line), _MM_HINT_T1);
}

// One segment of one sequence, as it is read: K of all its pages, then their V, then the next segment's.
struct Segment {
  uint32_t n = 0;  // tokens
  uint32_t num_pages = 0;
  bool cold = true;  // nobody has asked for the first pages' K
  uint32_t pages_ahead = kFewAhead;
  const std::byte* halves[2 * kMaxPages + kManyAhead];

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
    for (uint32_t page = 0; page < pages_ahead; ++page) {  // behind the last token: what is there already
      const uint32_t position = first + n + page * pages.page_tokens;
      halves[2 * num_pages + page] = position < end ? pages.page(position) : halves[0];
    }
  }
};
struct Token {
  uint32_t head_dim;
  uint32_t page_tokens;  // 16 or 32
  const float* q;        // [heads][kQueryStride], scaled
  float* scores;         // [heads][256]
  float* out;            // [heads][out_stride], of the segment
  size_t out_stride;     // floats
};

// -- scores --------------------------------------------------------------------------------------
// Scores of kHeads heads with the tokens of kPages pages from page `page` on. The pages are read side by side: memory
// gives several streams faster than one.
template <bool kCold, int kHeads, int kPages, int kVectors>
void score_pages(const Token& token, const Segment& segment, uint32_t page) {
  const std::byte* keys[kPages];
  const std::byte* ahead[kPages];
  const std::byte* next[kPages];
  __m512 sum[kPages][kVectors][kHeads];
  UNROLL for (int p = 0; p < kPages; ++p) {
    keys[p] = segment.keys(page)[p];
    ahead[p] = segment.keys(page)[p + segment.pages_ahead];
    next[p] = segment.keys(page)[p + kPages];
    UNROLL for (int i = 0; i < kVectors; ++i) {
      UNROLL for (int h = 0; h < kHeads; ++h) sum[p][i][h] = _mm512_setzero_ps();
    }
  }
  const float* q = token.q;
  const float* const end = q + token.head_dim;
  for (size_t at = 0; q < end; ++q, at += kVectors * 32) {
    UNROLL for (int p = 0; p < kPages; ++p) {
      prefetch(ahead[p] + at);
      if constexpr (kCold) prefetch(next[p] + at);
      UNROLL for (int i = 0; i < kVectors; ++i) {
        const __m512 k = load_fp16_wide(keys[p] + at + i * 32);
        UNROLL for (int h = 0; h < kHeads; ++h) add_product(q + h * kQueryStride, k, sum[p][i][h]);
      }
    }
  }
  float* const scores = token.scores + page * kVectors * 16;
  UNROLL for (int p = 0; p < kPages; ++p) {
    UNROLL for (int i = 0; i < kVectors; ++i) {
      UNROLL for (int h = 0; h < kHeads; ++h) {
        _mm512_storeu_ps(scores + h * kSegmentTokens + (p * kVectors + i) * 16, sum[p][i][h]);
      }
    }
  }
}

template <int kHeads, int kVectors>
void score_segment(const Token& token, const Segment& segment) {
  // Of 32 registers at most 28 for sums.
  constexpr uint32_t kSums = 28 / kHeads / kVectors;
  constexpr uint32_t kMost = kSums >= 4 ? 4 : kSums >= 2 ? 2 : 1;
  uint32_t page = 0;
  if constexpr (kMost < kFewAhead) {
    const uint32_t cold = segment.cold ? smaller(segment.pages_ahead, segment.num_pages) : 0;
    for (; page + kMost <= cold; page += kMost) score_pages<true, kHeads, kMost, kVectors>(token, segment, page);
  }
  const auto score = [&]<int kPages>() {
    for (; page + kPages <= segment.num_pages; page += kPages) {
      score_pages<false, kHeads, kPages, kVectors>(token, segment, page);
    }
  };
  score.template operator()<kMost>();
  if constexpr (kMost > 2) score.template operator()<2>();
  if constexpr (kMost > 1) score.template operator()<1>();
}

// -- p V -----------------------------------------------------------------------------------------
// out[head][dim ...] (+)= p V over pages [pages), for kHeads heads and kVectors * 16 dims.
template <int kHeads, int kVectors>
void weigh_dims(const Token& token, const Segment& segment, Range pages, uint32_t dim) {
  __m512 sum[kVectors][kHeads];
  float* const out = token.out + dim;
  UNROLL for (int i = 0; i < kVectors; ++i) {
    UNROLL for (int h = 0; h < kHeads; ++h) {
      sum[i][h] = pages.begin == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(out + h * token.out_stride + i * 16);
    }
  }
  const size_t row_bytes = size_t{token.head_dim} * 2;
  const float* p = token.scores + pages.begin * token.page_tokens;
  for (uint32_t page = pages.begin; page < pages.end; ++page) {
    const std::byte* values = segment.values(page)[0] + dim * 2;
    const std::byte* ahead = segment.values(page)[segment.pages_ahead] + dim * 2;
    const float* const end = p + smaller(token.page_tokens, segment.n - page * token.page_tokens);
    for (; p < end; ++p, values += row_bytes, ahead += row_bytes) {
      UNROLL for (int i = 0; i < kVectors; ++i) {
        if (i % 2 == 0) prefetch(ahead + i * 32);
        const __m512 v = load_fp16_wide(values + i * 32);
        UNROLL for (int h = 0; h < kHeads; ++h) add_product(p + h * kSegmentTokens, v, sum[i][h]);
      }
    }
  }
  UNROLL for (int i = 0; i < kVectors; ++i) {
    UNROLL for (int h = 0; h < kHeads; ++h) _mm512_storeu_ps(out + h * token.out_stride + i * 16, sum[i][h]);
  }
}

template <int kHeads>
void weigh_segment(const Token& token, const Segment& segment) {
  constexpr uint32_t kMost = kHeads <= 3 ? kMaxVectors : 28 / kHeads;
  const uint32_t vectors = token.head_dim / 16;
  const uint32_t passes = (vectors + kMost - 1) / kMost;
  const uint32_t step = passes == 1 ? segment.num_pages : segment.pages_ahead;
  for (uint32_t page = 0; page < segment.num_pages; page += step) {
    const Range pages{page, smaller(page + step, segment.num_pages)};
    for (uint32_t pass = 0; pass < passes; ++pass) {
      const uint32_t begin = vectors * pass / passes, end = vectors * (pass + 1) / passes;
#define CASE(V) \
  case V: \
    if constexpr (V <= kMost) weigh_dims<kHeads, V>(token, segment, pages, begin * 16); \
    break;
      switch (end - begin) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) }
#undef CASE
    }
  }
}

// ------------------------------------------------------------------------------------------------
template <int kHeads>
void attend_segment(const Token& token, const Segment& segment, AttentionSum* sums) {
  token.page_tokens == 32 ? score_segment<kHeads, 2>(token, segment) : score_segment<kHeads, 1>(token, segment);
  for (int h = 0; h < kHeads; ++h) sums[h] = avx512_softmax_segment(token.scores + h * kSegmentTokens, segment.n);
  weigh_segment<kHeads>(token, segment);
}

// Positions [first, end): work(position, sums) after each segment, whose weighted V is in token.out then.
template <class Work>
void attend_segments(const KvPages& pages, Token& token, uint32_t heads, uint32_t first, uint32_t end,
                     const Work& work) {
  Segment segment;
  if (heads > 3 && end - first >= kLongContext) segment.pages_ahead = kManyAhead;
  for (; first < end; first += kSegmentTokens, segment.cold = false) {
    segment.find(pages, first, end);
    AttentionSum sums[kMaxHeads];
    switch (heads) {
      case 1: attend_segment<1>(token, segment, sums); break;
      case 2: attend_segment<2>(token, segment, sums); break;
      case 3: attend_segment<3>(token, segment, sums); break;
      case 4: attend_segment<4>(token, segment, sums); break;
      case 5: attend_segment<5>(token, segment, sums); break;
      case 6: attend_segment<6>(token, segment, sums); break;
      case 7: attend_segment<7>(token, segment, sums); break;
      default: attend_segment<8>(token, segment, sums); break;
    }
    work(first, sums);
  }
}

// q scaled, and room for scores, in `scratch`; what is left of it begins at token.out.
Token begin_token(const KvPages& pages, uint32_t head_dim, uint32_t heads, const float* q, float* scratch) {
  const __m512 scale = _mm512_set1_ps(query_scale(head_dim));
  for (uint32_t h = 0; h < heads; ++h) {
    for (uint32_t d = 0; d < head_dim; d += 16) {
      _mm512_storeu_ps(scratch + h * kQueryStride + d, _mm512_mul_ps(_mm512_loadu_ps(q + h * head_dim + d), scale));
    }
  }
  float* scores = scratch + heads * kQueryStride;
  return {head_dim, pages.page_tokens, scratch, scores, scores + heads * kSegmentTokens, head_dim};
}

}  // namespace

void avx512_attend_token(const KvPages& pages, const KvView& kv, uint32_t group, uint32_t context, const float* q,
                         float* out, float* scratch) {
  const uint32_t head_dim = kv.head_dim;
  for (uint32_t head = 0; head < group; head += kMaxHeads) {
    const uint32_t heads = smaller(kMaxHeads, group - head);
    Token token = begin_token(pages, head_dim, heads, q + size_t{head} * head_dim, scratch);
    float* to = out + size_t{head} * head_dim;
    AttentionSum merged[kMaxHeads];
    attend_segments(pages, token, heads, 0, context, [&](uint32_t first, const AttentionSum* sums) {
      for (uint32_t h = 0; h < heads; ++h) {
        avx512_merge_segment(merged[h], to + h * head_dim, sums[h], token.out + h * head_dim, head_dim, first == 0);
      }
    });
    for (uint32_t h = 0; h < heads; ++h) avx512_divide(to + h * head_dim, merged[h].sum, head_dim);
  }
}

void avx512_attend_parts(const KvPages& pages, const KvView& kv, uint32_t group, uint32_t context, Range segments,
                         const float* q, const SegmentParts& parts, float* scratch) {
  const uint32_t head_dim = kv.head_dim;
  const size_t floats = segment_floats(head_dim);
  for (uint32_t head = 0; head < group; head += kMaxHeads) {
    const uint32_t heads = smaller(kMaxHeads, group - head);
    Token token = begin_token(pages, head_dim, heads, q + size_t{head} * head_dim, scratch);
    token.out = parts.data + (size_t{head} * parts.num_segments + segments.begin) * floats;
    token.out_stride = parts.num_segments * floats;
    const uint32_t end = smaller(segments.end * kSegmentTokens, context);
    attend_segments(pages, token, heads, segments.begin * kSegmentTokens, end,
                    [&](uint32_t, const AttentionSum* sums) {
                      for (uint32_t h = 0; h < heads; ++h) {
                        std::memcpy(token.out + h * token.out_stride + head_dim, sums + h, sizeof(AttentionSum));
                      }
                      token.out += floats;
                    });
  }
}

}  // namespace slipstream
