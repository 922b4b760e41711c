// Attention of one token: K and V stream through registers, each vector widened once for all query heads of the group.
// Tokens in lanes for q.k, dims in lanes for p.v; no lane is ever summed with another (AVX2.md 5).

#include "kernels/avx512_attention.h"
#include "kernels/avx512_fp32_lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kMaxHeads = 8;  // of one pass over K and V; more heads are more passes
constexpr uint32_t kMaxPages = kSegmentTokens / 16;
constexpr uint32_t kQueryStride = 256;  // floats from head to head
constexpr uint32_t kMaxVectors = 8;     // of 16 dims, at once

inline __attribute__((always_inline)) void prefetch(const std::byte* line) {
  _mm_prefetch(reinterpret_cast<const char*>(line), _MM_HINT_T1);
}

// One segment of one token.
struct Segment {
  uint32_t n;          // tokens
  uint32_t num_pages;
  const std::byte* keys[kMaxPages];   // of each page
  const std::byte* ahead[kMaxPages];  // K of the next segment's pages (of this one's, where there is none)
};
struct Token {
  uint32_t head_dim;
  uint32_t page_tokens;  // 16 or 32
  size_t value_offset;   // from a page's K to its V
  const float* q;        // [heads][kQueryStride], scaled
  float* scores;         // [heads][256]
  float* out;            // [heads][head_dim], of the segment
};

// Scores of kHeads heads with the tokens of kPages pages from page `page` on. The pages are read side by side: memory
// gives several streams faster than one. Meanwhile their V is asked for.
template <bool kCold, int kHeads, int kPages, int kVectors>
void score_pages(const Token& token, const Segment& segment, uint32_t page) {
  const std::byte* keys[kPages];
  const std::byte* next[kPages];  // read after these
  __m512 sum[kPages][kVectors][kHeads];
  UNROLL for (int p = 0; p < kPages; ++p) {
    keys[p] = segment.keys[page + p];
    next[p] = segment.keys[smaller(page + p + kPages, segment.num_pages - 1)];
    UNROLL for (int i = 0; i < kVectors; ++i) {
      UNROLL for (int h = 0; h < kHeads; ++h) sum[p][i][h] = _mm512_setzero_ps();
    }
  }
  const float* q = token.q;
  const size_t value_offset = token.value_offset;
  const float* const end = q + token.head_dim;
  for (size_t at = 0; q < end; ++q, at += kVectors * 32) {
    UNROLL for (int p = 0; p < kPages; ++p) {
      prefetch(keys[p] + at + value_offset);
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

template <bool kCold, int kHeads, int kVectors>
void score_segment(const Token& token, const Segment& segment) {
  // Of 32 registers at most 28 for sums.
  constexpr uint32_t kSums = 28 / kHeads / kVectors;
  constexpr uint32_t kMost = kSums >= 8 ? 8 : kSums >= 4 ? 4 : kSums >= 2 ? 2 : 1;
  uint32_t page = 0;
  const auto score = [&]<int kPages>() {
    for (; page + kPages <= segment.num_pages; page += kPages) {
      score_pages<kCold, kHeads, kPages, kVectors>(token, segment, page);
    }
  };
  score.template operator()<kMost>();
  if constexpr (kMost > 4) score.template operator()<4>();
  if constexpr (kMost > 2) score.template operator()<2>();
  if constexpr (kMost > 1) score.template operator()<1>();
}

// out[head][dim ...] = p V over the segment, for kHeads heads and kVectors * 16 dims. Meanwhile the next segment's K is
// asked for.
template <int kHeads, int kVectors>
void weigh_dims(const Token& token, const Segment& segment, uint32_t dim) {
  __m512 sum[kVectors][kHeads];
  UNROLL for (int i = 0; i < kVectors; ++i) {
    UNROLL for (int h = 0; h < kHeads; ++h) sum[i][h] = _mm512_setzero_ps();
  }
  const size_t row_bytes = size_t{token.head_dim} * 2;
  const float* p = token.scores;
  for (uint32_t page = 0; page < segment.num_pages; ++page) {
    const std::byte* values = segment.keys[page] + token.value_offset + dim * 2;
    const std::byte* ahead = segment.ahead[page] + dim * 2;
    const float* const end = p + smaller(token.page_tokens, segment.n - page * token.page_tokens);
    for (; p < end; ++p, values += row_bytes, ahead += row_bytes) {
      UNROLL for (int i = 0; i < kVectors; ++i) {
        if (i % 2 == 0) prefetch(ahead + i * 32);
        const __m512 v = load_fp16_wide(values + i * 32);
        UNROLL for (int h = 0; h < kHeads; ++h) add_product(p + h * kSegmentTokens, v, sum[i][h]);
      }
    }
  }
  float* const out = token.out + dim;
  UNROLL for (int i = 0; i < kVectors; ++i) {
    UNROLL for (int h = 0; h < kHeads; ++h) _mm512_storeu_ps(out + h * size_t{token.head_dim} + i * 16, sum[i][h]);
  }
}

template <int kHeads>
void weigh_segment(const Token& token, const Segment& segment) {
  constexpr uint32_t kMost = kHeads <= 3 ? kMaxVectors : 28 / kHeads;
  const uint32_t vectors = token.head_dim / 16;
  const uint32_t passes = (vectors + kMost - 1) / kMost;
  for (uint32_t pass = 0; pass < passes; ++pass) {
    const uint32_t begin = vectors * pass / passes, end = vectors * (pass + 1) / passes;
#define CASE(V) case V: if constexpr (V <= kMost) weigh_dims<kHeads, V>(token, segment, begin * 16); break;
    switch (end - begin) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) }
#undef CASE
  }
}

void find_pages(const KvPages& pages, uint32_t first, uint32_t n, const std::byte** to) {
  for (uint32_t t = 0; t < n; t += pages.page_tokens) *to++ = pages.page(first + t);
}

template <int kHeads>
void attend(const KvPages& pages, const Token& token, uint32_t context, AttentionSum* sums, float* out) {
  Segment segment;
  segment.n = smaller(kSegmentTokens, context);
  find_pages(pages, 0, segment.n, segment.keys);
  for (uint32_t first = 0; first < context; first += kSegmentTokens) {
    segment.num_pages = (segment.n + pages.page_tokens - 1) / pages.page_tokens;
    const uint32_t next = first + segment.n;
    const uint32_t next_n = smaller(kSegmentTokens, context - next);
    for (uint32_t page = 0; page < segment.num_pages; ++page) segment.ahead[page] = segment.keys[page];
    find_pages(pages, next, next_n, segment.ahead);

    if (token.page_tokens == 32) {
      first == 0 ? score_segment<true, kHeads, 2>(token, segment) : score_segment<false, kHeads, 2>(token, segment);
    } else {
      score_segment<false, kHeads, 1>(token, segment);
    }
    AttentionSum part[kHeads];
    for (int h = 0; h < kHeads; ++h) part[h] = avx512_softmax_segment(token.scores + h * kSegmentTokens, segment.n);
    weigh_segment<kHeads>(token, segment);
    for (int h = 0; h < kHeads; ++h) {
      const size_t head = size_t{token.head_dim} * h;
      avx512_merge_segment(sums[h], out + head, part[h], token.out + head, token.head_dim, first == 0);
    }
    segment.n = next_n;
    for (uint32_t page = 0; page < kMaxPages; ++page) segment.keys[page] = segment.ahead[page];
  }
}

void attend_heads(uint32_t heads, const KvPages& pages, const Token& token, uint32_t context, AttentionSum* sums,
                  float* out) {
  switch (heads) {
    case 1: return attend<1>(pages, token, context, sums, out);
    case 2: return attend<2>(pages, token, context, sums, out);
    case 3: return attend<3>(pages, token, context, sums, out);
    case 4: return attend<4>(pages, token, context, sums, out);
    case 5: return attend<5>(pages, token, context, sums, out);
    case 6: return attend<6>(pages, token, context, sums, out);
    case 7: return attend<7>(pages, token, context, sums, out);
    default: return attend<8>(pages, token, context, sums, out);
  }
}

}  // namespace

void avx512_attend_token(const KvPages& pages, const KvView& kv, uint32_t group, uint32_t context, const float* q,
                         float* out, float* scratch) {
  const __m512 scale = _mm512_set1_ps(query_scale(kv.head_dim));
  const uint32_t head_dim = kv.head_dim;
  for (uint32_t head = 0; head < group; head += kMaxHeads) {
    const uint32_t heads = smaller(kMaxHeads, group - head);
    const float* from = q + size_t{head} * head_dim;
    float* to = out + size_t{head} * head_dim;
    for (uint32_t h = 0; h < heads; ++h) {
      for (uint32_t d = 0; d < head_dim; d += 16) {
        _mm512_storeu_ps(scratch + h * kQueryStride + d,
                         _mm512_mul_ps(_mm512_loadu_ps(from + h * head_dim + d), scale));
      }
    }
    float* scores = scratch + heads * kQueryStride;
    const Token token{head_dim, pages.page_tokens, pages.value_offset, scratch, scores, scores + heads * kSegmentTokens};
    AttentionSum sums[kMaxHeads];
    attend_heads(heads, pages, token, context, sums, to);
    for (uint32_t h = 0; h < heads; ++h) {
      const __m512 sum = _mm512_set1_ps(sums[h].sum);
      for (uint32_t d = 0; d < head_dim; d += 16) {
        float* o = to + h * head_dim + d;
        _mm512_storeu_ps(o, _mm512_div_ps(_mm512_loadu_ps(o), sum));
      }
    }
  }
}

}  // namespace slipstream
