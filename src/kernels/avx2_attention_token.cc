// Attention of one token: K and V stream through registers, each vector widened once for up to four query heads.
// Tokens in lanes for q.k, dims in lanes for p.v; no lane is ever summed with another (AVX2.md 5).

#include "kernels/avx2_attention.h"
#include "kernels/avx2_lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kPagesAhead = 2;      // to ask for; never changes bits
constexpr uint32_t kMaxHeadsAtOnce = 8;  // of one pass over K and V; more heads are more passes

template <bool kFp32>
inline __attribute__((always_inline)) __m256 load_kv(const std::byte* from, size_t index) {
  if constexpr (kFp32) return _mm256_loadu_ps(reinterpret_cast<const float*>(from) + index);
  return load_fp16(from + index * 2);
}

// Asks for the bytes [offset, offset + n) of the K or V that comes later, while the same place of the present one is
// computed: asking for a whole page at once would keep the present page's loads waiting. Into L2, as in
// avx2_stream.cc (21 GB/s against 12 on Zen 4).
template <int n>
inline __attribute__((always_inline)) void prefetch(const std::byte* ahead, size_t offset) {
  UNROLL for (int i = 0; i < n; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(ahead) + offset + i, _MM_HINT_T1);
  }
}

// K or V of one page, and what is read after it.
struct HalfPage {
  const std::byte* data;
  const std::byte* ahead;
};

// What one call works on. q: [head_dim][group], scaled. scores: [group][256]. out: [group][head_dim] of the segment.
struct Token {
  uint32_t group;
  uint32_t head_dim;
  uint32_t page_tokens;
  const float* q;
  float* scores;
  float* out;
};

// Scores of kHeads heads from `head` with kVectors * 8 tokens of a page, from slot `slot`; to scores[head][to ...].
template <bool kFp32, int kHeads, int kVectors>
void score_tokens(const Token& token, HalfPage keys, uint32_t slot, uint32_t head, uint32_t to) {
  __m256 sum[kHeads][kVectors];
  UNROLL for (int h = 0; h < kHeads; ++h) {
    UNROLL for (int i = 0; i < kVectors; ++i) {
      sum[h][i] = _mm256_setzero_ps();
    }
  }
  constexpr int kBytes = kFp32 ? 4 : 2;
  const float* q = token.q + head;
  for (uint32_t d = 0; d < token.head_dim; ++d, q += token.group) {
    __m256 x[kHeads];
    UNROLL for (int h = 0; h < kHeads; ++h) {
      x[h] = _mm256_broadcast_ss(q + h);
    }
    const size_t place = static_cast<size_t>(d) * token.page_tokens + slot;
    prefetch<kVectors * 8 * kBytes>(keys.ahead, place * kBytes);
    UNROLL for (int i = 0; i < kVectors; ++i) {
      const __m256 k = load_kv<kFp32>(keys.data, place + i * 8);
      UNROLL for (int h = 0; h < kHeads; ++h) {
        sum[h][i] = _mm256_fmadd_ps(x[h], k, sum[h][i]);
      }
    }
  }
  UNROLL for (int h = 0; h < kHeads; ++h) {
    UNROLL for (int i = 0; i < kVectors; ++i) {
      _mm256_storeu_ps(token.scores + (head + h) * kSegmentTokens + to + i * 8, sum[h][i]);
    }
  }
}

// out[head][dim ...] += p V over `n` tokens of a page, for kHeads heads and kVectors * 8 dims.
template <bool kFp32, int kHeads, int kVectors>
void weigh_dims(const Token& token, HalfPage values, uint32_t n, uint32_t head, uint32_t dim, uint32_t from) {
  __m256 sum[kHeads][kVectors];
  UNROLL for (int h = 0; h < kHeads; ++h) {
    UNROLL for (int i = 0; i < kVectors; ++i) {
      sum[h][i] = _mm256_loadu_ps(token.out + (head + h) * token.head_dim + dim + i * 8);
    }
  }
  constexpr int kBytes = kFp32 ? 4 : 2;
  const float* p = token.scores + head * kSegmentTokens + from;
  for (uint32_t t = 0; t < n; ++t) {
    __m256 x[kHeads];
    UNROLL for (int h = 0; h < kHeads; ++h) {
      x[h] = _mm256_broadcast_ss(p + h * kSegmentTokens + t);
    }
    const size_t place = static_cast<size_t>(t) * token.head_dim + dim;
    prefetch<kVectors * 8 * kBytes>(values.ahead, place * kBytes);
    UNROLL for (int i = 0; i < kVectors; ++i) {
      const __m256 v = load_kv<kFp32>(values.data, place + i * 8);
      UNROLL for (int h = 0; h < kHeads; ++h) {
        sum[h][i] = _mm256_fmadd_ps(x[h], v, sum[h][i]);
      }
    }
  }
  UNROLL for (int h = 0; h < kHeads; ++h) {
    UNROLL for (int i = 0; i < kVectors; ++i) {
      _mm256_storeu_ps(token.out + (head + h) * token.head_dim + dim + i * 8, sum[h][i]);
    }
  }
}

template <bool kFp32, int kHeads>
void score_page(const Token& token, HalfPage keys, uint32_t head, uint32_t to) {
  constexpr int kWide = kHeads <= 3 ? 4 : 2;  // of 16 registers: heads * vectors sums, one q a head, one vector
  uint32_t slot = 0;
  for (; slot + kWide * 8 <= token.page_tokens; slot += kWide * 8) {
    score_tokens<kFp32, kHeads, kWide>(token, keys, slot, head, to + slot);
  }
  for (; slot < token.page_tokens; slot += 8) score_tokens<kFp32, kHeads, 1>(token, keys, slot, head, to + slot);
}

template <bool kFp32, int kHeads>
void weigh_page(const Token& token, HalfPage values, uint32_t n, uint32_t head, uint32_t from) {
  constexpr int kWide = kHeads == 1 ? 8 : kHeads <= 3 ? 4 : 2;
  uint32_t dim = 0;
  for (; dim + kWide * 8 <= token.head_dim; dim += kWide * 8) {
    weigh_dims<kFp32, kHeads, kWide>(token, values, n, head, dim, from);
  }
  for (; dim < token.head_dim; dim += 16) weigh_dims<kFp32, kHeads, 2>(token, values, n, head, dim, from);
}

template <bool kFp32>
void score_heads(const Token& token, HalfPage keys, uint32_t to) {
  for (uint32_t head = 0; head < token.group;) {
    const uint32_t left = token.group - head;
    // 5 heads are 3 + 2: at most 4 at once, and never a pass of one after a pass of four.
    if (left >= 4 && left != 5) {
      score_page<kFp32, 4>(token, keys, head, to);
      head += 4;
    } else if (left >= 3) {
      score_page<kFp32, 3>(token, keys, head, to);
      head += 3;
    } else if (left == 2) {
      score_page<kFp32, 2>(token, keys, head, to);
      head += 2;
    } else {
      score_page<kFp32, 1>(token, keys, head, to);
      head += 1;
    }
  }
}

template <bool kFp32>
void weigh_heads(const Token& token, HalfPage values, uint32_t n, uint32_t from) {
  for (uint32_t head = 0; head < token.group;) {
    const uint32_t left = token.group - head;
    if (left >= 4 && left != 5) {
      weigh_page<kFp32, 4>(token, values, n, head, from);
      head += 4;
    } else if (left >= 3) {
      weigh_page<kFp32, 3>(token, values, n, head, from);
      head += 3;
    } else if (left == 2) {
      weigh_page<kFp32, 2>(token, values, n, head, from);
      head += 2;
    } else {
      weigh_page<kFp32, 1>(token, values, n, head, from);
      head += 1;
    }
  }
}

// What is read kPagesAhead half pages after K or V of the page at `first` + t: K of the segment's n tokens comes
// first, then their V, then the next segment. The last ones have nothing ahead of them but themselves.
const std::byte* half_page_ahead(const KvPages& pages, uint32_t context, uint32_t first, uint32_t n, uint32_t t,
                                 bool value) {
  const uint32_t pages_left = (n - t - 1) / pages.page_tokens;  // after this one, in this segment
  if (pages_left >= kPagesAhead) {
    return pages.page(first + t + kPagesAhead * pages.page_tokens) + (value ? pages.value_offset : 0);
  }
  const uint32_t further = (kPagesAhead - pages_left - 1) * pages.page_tokens;  // in what follows
  if (!value) return pages.page(first + smaller(further, n - 1)) + pages.value_offset;
  const uint32_t next = first + n + further;
  return next < context ? pages.page(next) : pages.page(first + t);
}

template <bool kFp32>
void attend_token(const KvPages& pages, Token token, uint32_t context, AttentionSum* sums, float* out) {
  for (uint32_t first = 0; first < context; first += kSegmentTokens) {
    const uint32_t n = smaller(kSegmentTokens, context - first);
    for (uint32_t t = 0; t < n; t += pages.page_tokens) {
      const std::byte* keys = pages.page(first + t);
      score_heads<kFp32>(token, {keys, half_page_ahead(pages, context, first, n, t, false)}, t);
    }
    AttentionSum segment[kMaxHeadsAtOnce];
    for (uint32_t h = 0; h < token.group; ++h) {
      segment[h] = avx2_softmax_segment(token.scores + h * kSegmentTokens, n);
    }
    for (uint32_t i = 0; i < token.group * token.head_dim; i += 8) {
      _mm256_storeu_ps(token.out + i, _mm256_setzero_ps());
    }
    for (uint32_t t = 0; t < n; t += pages.page_tokens) {
      const std::byte* values = pages.page(first + t) + pages.value_offset;
      const std::byte* ahead = half_page_ahead(pages, context, first, n, t, true);
      weigh_heads<kFp32>(token, {values, ahead}, smaller(pages.page_tokens, n - t), t);
    }
    for (uint32_t h = 0; h < token.group; ++h) {
      avx2_merge_segment(sums[h], out + static_cast<size_t>(h) * token.head_dim, segment[h],
                         token.out + h * token.head_dim, token.head_dim, first == 0);
    }
  }
}

}  // namespace

void avx2_attend_token(const KvPages& pages, const KvView& kv, uint32_t group, uint32_t context, const float* q,
                       float* out, float* scratch) {
  const float scale = query_scale(kv.head_dim);
  for (uint32_t head = 0; head < group; head += kMaxHeadsAtOnce) {
    const uint32_t heads = smaller(kMaxHeadsAtOnce, group - head);
    float* scaled = scratch;
    const float* from = q + static_cast<size_t>(head) * kv.head_dim;
    float* to = out + static_cast<size_t>(head) * kv.head_dim;
    for (uint32_t h = 0; h < heads; ++h) {
      for (uint32_t d = 0; d < kv.head_dim; ++d) scaled[d * heads + h] = from[h * kv.head_dim + d] * scale;
    }
    float* scores = scaled + heads * kv.head_dim;
    const Token token{heads, kv.head_dim, pages.page_tokens, scaled, scores, scores + heads * kSegmentTokens};
    AttentionSum sums[kMaxHeadsAtOnce];
    kv.fp32 ? attend_token<true>(pages, token, context, sums, to)
            : attend_token<false>(pages, token, context, sums, to);
    for (uint32_t h = 0; h < heads; ++h) {
      const __m256 sum = _mm256_set1_ps(sums[h].sum);
      for (uint32_t d = 0; d < kv.head_dim; d += 8) {
        float* o = to + h * kv.head_dim + d;
        _mm256_storeu_ps(o, _mm256_div_ps(_mm256_loadu_ps(o), sum));
      }
    }
  }
}

}  // namespace slipstream
