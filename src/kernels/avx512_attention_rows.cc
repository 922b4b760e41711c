// Attention of many rows (a prompt's tokens, each with its query heads) in tiles of 12 rows x 32 tokens or dims. K and
// V are widened by each tile anew: two conversions hide behind 24 products, and a copy in fp32 would have to be written
// and read. The sums and their order are those of one token alone (avx512_attention_token.cc).

#include "kernels/avx512_attention.h"
#include "kernels/avx512_fp32_lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kMaxRows = kAvx512RowsAtOnce;
constexpr uint32_t kTile = 12;  // 24 of 32 registers are sums
constexpr uint32_t kLanes = 32;  // tokens or dims of a tile
constexpr uint32_t kStride = kAvx512RowStride;

// Rows are token by token, a token's heads together: row = token * heads + head.
struct Rows {
  uint32_t head_dim;
  uint32_t heads;
  uint32_t num_rows;
  uint32_t num_tiles;
  uint32_t first_context;  // positions that the first token sees
  uint32_t page_tokens;    // 16 or 32
  size_t value_offset;     // from a page's K to its V
  const std::byte* keys[kSegmentTokens / 16];  // of the segment's pages
  float* q;                // [rows][kStride], scaled
  float* scores;           // [rows][kStride]
  float* total;            // [rows][head_dim], merged so far
  AttentionSum sums[kMaxRows];
  MergeShares shares[kMaxRows];
  uint32_t visible[kMaxRows];  // positions of this segment that the row sees

  // V of the segment's token `t`, from dim `dim` on.
  const std::byte* values(uint32_t t, uint32_t dim) const {
    return keys[t / page_tokens] + value_offset + (size_t{t % page_tokens} * head_dim + dim) * 2;
  }
  // Tiles are as equal as can be: one of few rows waits for its chains.
  Range tile(uint32_t index) const {
    return {num_rows * index / num_tiles, num_rows * (index + 1) / num_tiles};
  }
};

// -- scores --------------------------------------------------------------------------------------
// A page's slots for tokens that do not exist yet are scored too: whatever they hold stays in lanes of its own and is
// dropped. Never slots of V.
struct KeyTile {
  const std::byte* keys;
  size_t step;  // bytes from dim to dim
  uint32_t head_dim;
};

// scores[row][...] = q . k for kRows rows and kVectors * 16 tokens.
template <int kRows, int kVectors>
void score_tile(const KeyTile& tile, const float* q, float* scores) {
  __m512 sum[kRows][kVectors];
  UNROLL for (int r = 0; r < kRows; ++r) {
    UNROLL for (int i = 0; i < kVectors; ++i) sum[r][i] = _mm512_setzero_ps();
  }
  const std::byte* keys = tile.keys;
  const size_t step = tile.step;
  for (const float* const end = q + tile.head_dim; q < end; ++q, keys += step) {
    __m512 k[kVectors];
    UNROLL for (int i = 0; i < kVectors; ++i) k[i] = load_fp16_wide(keys + i * 32);
    UNROLL for (int r = 0; r < kRows; ++r) {
      UNROLL for (int i = 0; i < kVectors; ++i) add_product(q + r * kStride, k[i], sum[r][i]);
    }
  }
  UNROLL for (int r = 0; r < kRows; ++r) {
    UNROLL for (int i = 0; i < kVectors; ++i) _mm512_storeu_ps(scores + r * kStride + i * 16, sum[r][i]);
  }
}

template <int kVectors>
void score_rows_of_tile(const KeyTile& tile, uint32_t num_rows, const float* q, float* scores) {
#define CASE(R) case R: return score_tile<R, kVectors>(tile, q, scores);
  switch (num_rows) {
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
  }
#undef CASE
}

// No tile of tokens that none of its rows sees.
void score_rows(const Rows& rows, uint32_t n) {
  for (uint32_t t = 0; t < n; t += rows.page_tokens) {
    const KeyTile keys{rows.keys[t / rows.page_tokens], size_t{rows.page_tokens} * 2, rows.head_dim};
    for (uint32_t index = 0; index < rows.num_tiles; ++index) {
      const Range tile = rows.tile(index);
      const uint32_t visible = rows.visible[tile.end - 1];
      const float* q = rows.q + size_t{tile.begin} * kStride;
      float* scores = rows.scores + size_t{tile.begin} * kStride + t;
      if (visible > t + 16 && rows.page_tokens == 32) {
        score_rows_of_tile<2>(keys, tile.size(), q, scores);
      } else if (visible > t) {
        score_rows_of_tile<1>(keys, tile.size(), q, scores);
      }
    }
  }
}

// -- p V -----------------------------------------------------------------------------------------
struct ValueTile {
  const Rows& rows;
  Range which;
  uint32_t dim;
  bool first;           // segment
};

// Rows of a tile may see a few tokens more than its first row: those are added under a mask, so that no row ever meets
// a token beyond its own position. Then the merge: total = total * old_share + sum * new_share.
template <int kRows, int kVectors>
void weigh_tile(const ValueTile& tile) {
  const Rows& rows = tile.rows;
  const uint32_t begin = tile.which.begin;
  const uint32_t* visible = rows.visible + begin;
  __m512 sum[kRows][kVectors];
  UNROLL for (int r = 0; r < kRows; ++r) {
    UNROLL for (int i = 0; i < kVectors; ++i) sum[r][i] = _mm512_setzero_ps();
  }
  const float* p = rows.scores + size_t{begin} * kStride;
  const size_t row_bytes = size_t{rows.head_dim} * 2;
  for (uint32_t t = 0; t < visible[0]; t += rows.page_tokens) {
    const std::byte* values = rows.values(t, tile.dim);
    const float* const end = p + smaller(rows.page_tokens, visible[0] - t);
    for (; p < end; ++p, values += row_bytes) {
      __m512 v[kVectors];
      UNROLL for (int i = 0; i < kVectors; ++i) v[i] = load_fp16_wide(values + i * 32);
      UNROLL for (int r = 0; r < kRows; ++r) {
        UNROLL for (int i = 0; i < kVectors; ++i) add_product(p + r * kStride, v[i], sum[r][i]);
      }
    }
  }
  for (uint32_t t = visible[0]; t < visible[kRows - 1]; ++t, ++p) {
    const std::byte* values = rows.values(t, tile.dim);
    __m512 v[kVectors];
    UNROLL for (int i = 0; i < kVectors; ++i) v[i] = load_fp16_wide(values + i * 32);
    UNROLL for (int r = 1; r < kRows; ++r) {
      const auto sees = static_cast<__mmask16>(t < visible[r] ? 0xffff : 0);
      const __m512 x = _mm512_set1_ps(p[r * kStride]);
      UNROLL for (int i = 0; i < kVectors; ++i) sum[r][i] = _mm512_mask3_fmadd_ps(x, v[i], sum[r][i], sees);
    }
  }
  UNROLL for (int r = 0; r < kRows; ++r) {
    float* total = rows.total + size_t{begin + r} * rows.head_dim + tile.dim;
    const __m512 old_share = _mm512_set1_ps(rows.shares[begin + r].old_share);
    const __m512 new_share = _mm512_set1_ps(rows.shares[begin + r].new_share);
    UNROLL for (int i = 0; i < kVectors; ++i) {
      __m512 merged = sum[r][i];
      if (!tile.first) {
        merged = _mm512_fmadd_ps(_mm512_loadu_ps(total + i * 16), old_share, _mm512_mul_ps(merged, new_share));
      }
      if (visible[r] > 0) _mm512_storeu_ps(total + i * 16, merged);
    }
  }
}

template <int kVectors>
void weigh_rows_of_tile(const ValueTile& tile) {
#define CASE(R) case R: return weigh_tile<R, kVectors>(tile);
  switch (tile.which.size()) {
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
  }
#undef CASE
}

void weigh_rows(const Rows& rows, bool first) {
  for (uint32_t d = 0; d < rows.head_dim; d += kLanes) {
    for (uint32_t index = 0; index < rows.num_tiles; ++index) {
      const ValueTile tile{rows, rows.tile(index), d, first};
      if (rows.visible[tile.which.end - 1] == 0) continue;
      rows.head_dim - d >= kLanes ? weigh_rows_of_tile<2>(tile) : weigh_rows_of_tile<1>(tile);
    }
  }
}

// -- softmax -------------------------------------------------------------------------------------
void soften_rows(Rows& rows, bool first) {
  for (uint32_t r = 0; r < rows.num_rows; ++r) {
    if (rows.visible[r] == 0) continue;
    const AttentionSum next = avx512_softmax_segment(rows.scores + size_t{r} * kStride, rows.visible[r]);
    AttentionSum& sum = rows.sums[r];
    if (first) {
      sum = next;
      continue;
    }
    rows.shares[r] = merge_sums(sum, next);
  }
}

void load_queries(const Rows& rows, Matrix<const float> q, uint32_t first_row, size_t column) {
  const __m512 scale = _mm512_set1_ps(query_scale(rows.head_dim));
  for (uint32_t r = 0; r < rows.num_rows; ++r) {
    const float* from = q.row(first_row + r / rows.heads) + column + size_t{r % rows.heads} * rows.head_dim;
    float* to = rows.q + size_t{r} * kStride;
    for (uint32_t d = 0; d < rows.head_dim; d += 16) {
      _mm512_storeu_ps(to + d, _mm512_mul_ps(_mm512_loadu_ps(from + d), scale));
    }
  }
}

void store_rows(const Rows& rows, Matrix<float> out, uint32_t first_row, size_t column) {
  for (uint32_t r = 0; r < rows.num_rows; ++r) {
    float* to = out.row(first_row + r / rows.heads) + column + size_t{r % rows.heads} * rows.head_dim;
    const float* from = rows.total + size_t{r} * rows.head_dim;
    for (uint32_t d = 0; d < rows.head_dim; d += 16) _mm512_storeu_ps(to + d, _mm512_loadu_ps(from + d));
    avx512_divide(to, rows.sums[r].sum, rows.head_dim);
  }
}

}  // namespace

void avx512_attend_rows(const KvPages& pages, const KvView& kv, const AttentionSlice& slice, uint32_t heads,
                        size_t column, Range which, Matrix<const float> q, Matrix<float> out, float* scratch) {
  Rows rows;
  rows.head_dim = kv.head_dim;
  rows.heads = heads;
  rows.num_rows = which.size() * heads;
  rows.num_tiles = (rows.num_rows + kTile - 1) / kTile;
  rows.first_context = slice.first_position + which.begin + 1;
  rows.page_tokens = pages.page_tokens;
  rows.value_offset = pages.value_offset;
  rows.q = scratch;
  rows.scores = rows.q + size_t{kMaxRows} * kStride;
  rows.total = rows.scores + size_t{kMaxRows} * kStride;
  load_queries(rows, q, which.begin, column);

  const uint32_t context = slice.first_position + which.end;
  for (uint32_t first = 0; first < context; first += kSegmentTokens) {
    const uint32_t n = smaller(kSegmentTokens, context - first);
    for (uint32_t r = 0; r < rows.num_rows; ++r) {
      const uint32_t seen = rows.first_context + r / heads;
      rows.visible[r] = seen <= first ? 0 : smaller(seen - first, n);
    }
    for (uint32_t t = 0; t < n; t += pages.page_tokens) rows.keys[t / pages.page_tokens] = pages.page(first + t);
    score_rows(rows, n);
    soften_rows(rows, first == 0);
    weigh_rows(rows, first == 0);
  }
  store_rows(rows, out, which.begin, column);
}

}  // namespace slipstream
