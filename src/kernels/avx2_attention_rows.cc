// Attention of many rows (a prompt's tokens, each with its query heads): K and V of a segment are widened to fp32
// once and pass over tiles of 6 rows x 16. The sums and their order are those of one token alone
// (avx2_attention_token.cc).

#include "kernels/avx2_attention.h"
#include "kernels/avx2_lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kMaxRows = 48;
constexpr uint32_t kTile = 6;

// Rows are token by token, a token's heads together: row = token * heads + head.
struct Rows {
  uint32_t head_dim;
  uint32_t heads;
  uint32_t num_rows;
  uint32_t first_context;  // positions that the first token sees
  float* keys;             // [16 groups of 16 tokens][head_dim][16]
  float* values;           // [head_dim / 16][256 tokens][16]
  float* q;                // [tiles][head_dim][6], scaled
  float* scores;           // [48][256]
  float* out;              // [48][head_dim], of the segment
  float* total;            // [48][head_dim], merged
  AttentionSum segment[kMaxRows];
  AttentionSum sums[kMaxRows];

  // Positions of the segment [first, first + n) that a row sees.
  uint32_t visible(uint32_t row, uint32_t first, uint32_t n) const {
    const uint32_t context = first_context + row / heads;
    return context <= first ? 0 : smaller(context - first, n);
  }
};

template <bool kFp32>
__m256 load_kv(const std::byte* from, size_t index) {
  if constexpr (kFp32) return _mm256_loadu_ps(reinterpret_cast<const float*>(from) + index);
  return load_fp16(from + index * 2);
}

// Slots of the last page that hold no token yet are widened too (whatever they hold stays in lanes of its own and is
// dropped), but never slots of V.
template <bool kFp32>
void widen_segment(const KvPages& pages, Rows& rows, uint32_t first, uint32_t n) {
  for (uint32_t t = 0; t < n; t += pages.page_tokens) {
    const std::byte* keys = pages.page(first + t);
    for (uint32_t slot = 0; slot < pages.page_tokens; slot += 8) {
      float* to = rows.keys + static_cast<size_t>((t + slot) / 16) * rows.head_dim * 16 + (t + slot) % 16;
      for (uint32_t d = 0; d < rows.head_dim; ++d) {
        _mm256_storeu_ps(to + d * 16, load_kv<kFp32>(keys, static_cast<size_t>(d) * pages.page_tokens + slot));
      }
    }
    const std::byte* values = keys + pages.value_offset;
    for (uint32_t i = 0; i < smaller(pages.page_tokens, n - t); ++i) {
      for (uint32_t d = 0; d < rows.head_dim; d += 8) {
        float* to = rows.values + (static_cast<size_t>(d / 16) * kSegmentTokens + t + i) * 16 + d % 16;
        _mm256_storeu_ps(to, load_kv<kFp32>(values, static_cast<size_t>(i) * rows.head_dim + d));
      }
    }
  }
}

// sum[6 rows][16] += x[i][row] * lanes[i][16] for i < n, ascending.  x: i apart by `step`, rows apart by `row_step`.
inline __attribute__((always_inline)) void multiply_tile(const float* x, size_t step, size_t row_step,
                                                         const float* lanes, uint32_t n, float* to,
                                                         size_t to_step) {
  __m256 sum[kTile][2];
  UNROLL for (uint32_t r = 0; r < kTile; ++r) {
    sum[r][0] = sum[r][1] = _mm256_setzero_ps();
  }
  for (uint32_t i = 0; i < n; ++i, x += step, lanes += 16) {
    const __m256 first = _mm256_loadu_ps(lanes), second = _mm256_loadu_ps(lanes + 8);
    UNROLL for (uint32_t r = 0; r < kTile; ++r) {
      const __m256 value = _mm256_broadcast_ss(x + r * row_step);
      sum[r][0] = _mm256_fmadd_ps(value, first, sum[r][0]);
      sum[r][1] = _mm256_fmadd_ps(value, second, sum[r][1]);
    }
  }
  UNROLL for (uint32_t r = 0; r < kTile; ++r) {
    _mm256_storeu_ps(to + r * to_step, sum[r][0]);
    _mm256_storeu_ps(to + r * to_step + 8, sum[r][1]);
  }
}

// Scores of all rows with n tokens.
void score_rows(const Rows& rows, uint32_t n) {
  const uint32_t tiles = (rows.num_rows + kTile - 1) / kTile;
  for (uint32_t t = 0; t < n; t += 16) {
    const float* keys = rows.keys + static_cast<size_t>(t / 16) * rows.head_dim * 16;
    for (uint32_t tile = 0; tile < tiles; ++tile) {
      const float* q = rows.q + static_cast<size_t>(tile) * rows.head_dim * kTile;
      multiply_tile(q, kTile, 1, keys, rows.head_dim, rows.scores + tile * kTile * kSegmentTokens + t,
                    kSegmentTokens);
    }
  }
}

// p V. Rows of a tile may see a few tokens more than its first row: those are added row by row, so that no row ever
// meets a token beyond its own position.
void weigh_rows(const Rows& rows, uint32_t first, uint32_t n) {
  const uint32_t tiles = (rows.num_rows + kTile - 1) / kTile;
  for (uint32_t d = 0; d < rows.head_dim; d += 16) {
    const float* values = rows.values + static_cast<size_t>(d) * kSegmentTokens;
    for (uint32_t tile = 0; tile < tiles; ++tile) {
      const uint32_t begin = tile * kTile, end = smaller(begin + kTile, rows.num_rows);
      const uint32_t common = rows.visible(begin, first, n);
      multiply_tile(rows.scores + begin * kSegmentTokens, 1, kSegmentTokens, values, common,
                    rows.out + begin * rows.head_dim + d, rows.head_dim);
      for (uint32_t r = begin; r < end; ++r) {
        const uint32_t visible = rows.visible(r, first, n);
        float* to = rows.out + r * rows.head_dim + d;
        for (uint32_t t = common; t < visible; ++t) {
          const __m256 p = _mm256_broadcast_ss(rows.scores + r * kSegmentTokens + t);
          _mm256_storeu_ps(to, _mm256_fmadd_ps(p, _mm256_loadu_ps(values + t * 16), _mm256_loadu_ps(to)));
          _mm256_storeu_ps(to + 8,
                           _mm256_fmadd_ps(p, _mm256_loadu_ps(values + t * 16 + 8), _mm256_loadu_ps(to + 8)));
        }
      }
    }
  }
}

void load_queries(Rows& rows, Matrix<const float> q, uint32_t first_row, size_t column) {
  const float scale = query_scale(rows.head_dim);
  const uint32_t padded = (rows.num_rows + kTile - 1) / kTile * kTile;
  for (uint32_t r = 0; r < padded; ++r) {
    float* to = rows.q + static_cast<size_t>(r / kTile) * rows.head_dim * kTile + r % kTile;
    if (r >= rows.num_rows) {  // a tile's missing rows compute nothing that is read
      for (uint32_t d = 0; d < rows.head_dim; ++d) to[d * kTile] = 0.0f;
      continue;
    }
    const float* from =
        q.row(first_row + r / rows.heads) + column + static_cast<size_t>(r % rows.heads) * rows.head_dim;
    for (uint32_t d = 0; d < rows.head_dim; ++d) to[d * kTile] = from[d] * scale;
  }
}

void store_rows(const Rows& rows, Matrix<float> out, uint32_t first_row, size_t column) {
  for (uint32_t r = 0; r < rows.num_rows; ++r) {
    float* to = out.row(first_row + r / rows.heads) + column + static_cast<size_t>(r % rows.heads) * rows.head_dim;
    const float* from = rows.total + r * rows.head_dim;
    const __m256 sum = _mm256_set1_ps(rows.sums[r].sum);
    for (uint32_t d = 0; d < rows.head_dim; d += 8) {
      _mm256_storeu_ps(to + d, _mm256_div_ps(_mm256_loadu_ps(from + d), sum));
    }
  }
}

}  // namespace

void avx2_attend_rows(const KvPages& pages, const KvView& kv, const AttentionSlice& slice, uint32_t heads,
                      size_t column, Range which, Matrix<const float> q, Matrix<float> out, float* scratch) {
  Rows rows;
  rows.head_dim = kv.head_dim;
  rows.heads = heads;
  rows.num_rows = which.size() * heads;
  rows.first_context = slice.first_position + which.begin + 1;
  rows.keys = scratch;
  rows.values = rows.keys + static_cast<size_t>(kSegmentTokens) * kv.head_dim;
  rows.q = rows.values + static_cast<size_t>(kSegmentTokens) * kv.head_dim;
  rows.scores = rows.q + static_cast<size_t>(kMaxRows) * kv.head_dim;
  rows.out = rows.scores + static_cast<size_t>(kMaxRows) * kSegmentTokens;
  rows.total = rows.out + static_cast<size_t>(kMaxRows) * kv.head_dim;
  load_queries(rows, q, which.begin, column);

  const uint32_t context = slice.first_position + which.end;
  for (uint32_t first = 0; first < context; first += kSegmentTokens) {
    const uint32_t n = smaller(kSegmentTokens, context - first);
    kv.fp32 ? widen_segment<true>(pages, rows, first, n) : widen_segment<false>(pages, rows, first, n);
    score_rows(rows, n);
    for (uint32_t r = 0; r < rows.num_rows; ++r) {
      const uint32_t visible = rows.visible(r, first, n);
      if (visible > 0) rows.segment[r] = avx2_softmax_segment(rows.scores + r * kSegmentTokens, visible);
    }
    weigh_rows(rows, first, n);
    for (uint32_t r = 0; r < rows.num_rows; ++r) {
      if (rows.visible(r, first, n) == 0) continue;
      avx2_merge_segment(rows.sums[r], rows.total + r * kv.head_dim, rows.segment[r], rows.out + r * kv.head_dim,
                         kv.head_dim, first == 0);
    }
  }
  store_rows(rows, out, which.begin, column);
}

}  // namespace slipstream
