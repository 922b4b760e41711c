// Attention of many rows (a prompt's tokens, each with its query heads) in tiles of 6 rows x 16 tokens or dims. K and
// V are widened by each tile anew: two conversions hide behind 12 products, and a copy in fp32 would have to be written
// and read. The sums and their order are those of one token alone (avx2_attention_token.cc).

#include "kernels/avx2_attention.h"
#include "kernels/avx2_lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kMaxRows = kAvx2RowsAtOnce;
constexpr uint32_t kTile = 6;  // 12 of 16 registers are sums

// Rows are token by token, a token's heads together: row = token * heads + head.
struct Rows {
  uint32_t head_dim;
  uint32_t heads;
  uint32_t num_rows;
  uint32_t num_tiles;
  uint32_t first_context;  // positions that the first token sees
  uint32_t page_tokens;
  size_t value_offset;                        // from a page's K to its V
  const std::byte* keys[kSegmentTokens / 8];  // of the segment's pages
  float* q;                                   // [tiles][head_dim][6], scaled
  float* scores;                              // [rows][256]
  float* total;                               // [rows][head_dim], merged so far
  AttentionSum sums[kMaxRows];
  MergeShares shares[kMaxRows];
  uint32_t visible[kMaxRows];  // positions of this segment that the row sees

  // Tiles are as equal as can be: one of few rows waits for its chains.
  Range tile(uint32_t index) const { return {num_rows * index / num_tiles, num_rows * (index + 1) / num_tiles}; }
};

template <bool kFp32>
inline __attribute__((always_inline)) __m256 load_kv(const std::byte* from) {
  if constexpr (kFp32) return _mm256_loadu_ps(reinterpret_cast<const float*>(from));
  return load_fp16(from);
}

// sum[r][i] += x[r] * lanes[i].
template <bool kFp32, int kRows, int kVectors>
inline __attribute__((always_inline)) void add_products(const float* x, size_t step, const std::byte* lanes,
                                                        __m256 (&sum)[kRows][kVectors]) {
  __m256 values[kVectors];
  UNROLL for (int i = 0; i < kVectors; ++i) values[i] = load_kv<kFp32>(lanes + i * (kFp32 ? 32 : 16));
  UNROLL for (int r = 0; r < kRows; ++r) {
    const __m256 value = _mm256_broadcast_ss(x + static_cast<size_t>(r) * step);
    UNROLL for (int i = 0; i < kVectors; ++i) sum[r][i] = _mm256_fmadd_ps(value, values[i], sum[r][i]);
  }
}

// -- scores --------------------------------------------------------------------------------------
// A page's slots for tokens that do not exist yet are scored too: whatever they hold stays in lanes of its own and is
// dropped. Never slots of V.
struct KeyTile {
  const std::byte* keys;
  size_t step;  // bytes from dim to dim
  uint32_t head_dim;
};

// scores[row][...] = q . k for kRows rows and kVectors * 8 tokens.
template <bool kFp32, int kRows, int kVectors>
void score_tile(const KeyTile& tile, const float* q, float* scores) {
  __m256 sum[kRows][kVectors];
  UNROLL for (int r = 0; r < kRows; ++r) {
    UNROLL for (int i = 0; i < kVectors; ++i) sum[r][i] = _mm256_setzero_ps();
  }
  const std::byte* keys = tile.keys;
  const size_t step = tile.step;
  for (const float* const end = q + size_t{tile.head_dim} * kTile; q < end; q += kTile, keys += step) {
    add_products<kFp32>(q, 1, keys, sum);
  }
  UNROLL for (int r = 0; r < kRows; ++r) {
    UNROLL for (int i = 0; i < kVectors; ++i) _mm256_storeu_ps(scores + r * kSegmentTokens + i * 8, sum[r][i]);
  }
}

template <bool kFp32, int kVectors>
void score_rows_of_tile(const KeyTile& tile, uint32_t num_rows, const float* q, float* scores) {
  switch (num_rows) {
    case 1: return score_tile<kFp32, 1, kVectors>(tile, q, scores);
    case 2: return score_tile<kFp32, 2, kVectors>(tile, q, scores);
    case 3: return score_tile<kFp32, 3, kVectors>(tile, q, scores);
    case 4: return score_tile<kFp32, 4, kVectors>(tile, q, scores);
    case 5: return score_tile<kFp32, 5, kVectors>(tile, q, scores);
    default: return score_tile<kFp32, 6, kVectors>(tile, q, scores);
  }
}

// No tile of tokens that none of its rows sees.
template <bool kFp32>
void score_rows(const Rows& rows, uint32_t n) {
  constexpr size_t kBytes = kFp32 ? 4 : 2;
  const uint32_t width = smaller(rows.page_tokens, 16);
  for (uint32_t t = 0; t < n; t += width) {
    const std::byte* page = rows.keys[t / rows.page_tokens];
    const KeyTile keys{page + t % rows.page_tokens * kBytes, rows.page_tokens * kBytes, rows.head_dim};
    for (uint32_t index = 0; index < rows.num_tiles; ++index) {
      const Range tile = rows.tile(index);
      const uint32_t visible = rows.visible[tile.end - 1];
      const float* q = rows.q + size_t{index} * rows.head_dim * kTile;
      float* scores = rows.scores + size_t{tile.begin} * kSegmentTokens + t;
      if (visible > t + 8 && width == 16) {
        score_rows_of_tile<kFp32, 2>(keys, tile.size(), q, scores);
      } else if (visible > t) {
        score_rows_of_tile<kFp32, 1>(keys, tile.size(), q, scores);
      }
    }
  }
}

// -- p V -----------------------------------------------------------------------------------------
struct ValueTile {
  const Rows& rows;
  Range which;
  uint32_t dim;
  bool first;  // segment
};

// Rows of a tile may see a few tokens more than its first row: those are added row by row, so that no row ever meets a
// token beyond its own position. Then the merge: total = total * old_share + sum * new_share.
template <bool kFp32, int kRows>
void weigh_tile(const ValueTile& tile) {
  constexpr size_t kBytes = kFp32 ? 4 : 2;
  const Rows& rows = tile.rows;
  const uint32_t begin = tile.which.begin;
  const uint32_t* visible = rows.visible + begin;
  __m256 sum[kRows][2];
  UNROLL for (int r = 0; r < kRows; ++r) sum[r][0] = sum[r][1] = _mm256_setzero_ps();
  const float* p = rows.scores + size_t{begin} * kSegmentTokens;
  const size_t row_bytes = rows.head_dim * kBytes;
  for (uint32_t t = 0; t < visible[0]; t += rows.page_tokens) {
    const std::byte* values = rows.keys[t / rows.page_tokens] + rows.value_offset + tile.dim * kBytes;
    for (const float* const end = p + smaller(rows.page_tokens, visible[0] - t); p < end; ++p, values += row_bytes) {
      add_products<kFp32>(p, kSegmentTokens, values, sum);
    }
  }
  UNROLL for (int r = 0; r < kRows; ++r) {
    for (uint32_t t = visible[0]; t < visible[r]; ++t) {
      const std::byte* values =
          rows.keys[t / rows.page_tokens] + rows.value_offset + t % rows.page_tokens * row_bytes + tile.dim * kBytes;
      const __m256 x = _mm256_broadcast_ss(rows.scores + size_t{begin + r} * kSegmentTokens + t);
      sum[r][0] = _mm256_fmadd_ps(x, load_kv<kFp32>(values), sum[r][0]);
      sum[r][1] = _mm256_fmadd_ps(x, load_kv<kFp32>(values + 8 * kBytes), sum[r][1]);
    }
    if (visible[r] == 0) continue;
    float* total = rows.total + size_t{begin + r} * rows.head_dim + tile.dim;
    if (!tile.first) {
      const __m256 old_share = _mm256_broadcast_ss(&rows.shares[begin + r].old_share);
      const __m256 new_share = _mm256_broadcast_ss(&rows.shares[begin + r].new_share);
      sum[r][0] = _mm256_fmadd_ps(_mm256_loadu_ps(total), old_share, _mm256_mul_ps(sum[r][0], new_share));
      sum[r][1] = _mm256_fmadd_ps(_mm256_loadu_ps(total + 8), old_share, _mm256_mul_ps(sum[r][1], new_share));
    }
    _mm256_storeu_ps(total, sum[r][0]);
    _mm256_storeu_ps(total + 8, sum[r][1]);
  }
}

template <bool kFp32>
void weigh_rows(const Rows& rows, bool first) {
  for (uint32_t d = 0; d < rows.head_dim; d += 16) {
    for (uint32_t index = 0; index < rows.num_tiles; ++index) {
      const ValueTile tile{rows, rows.tile(index), d, first};
      if (rows.visible[tile.which.end - 1] == 0) continue;
      switch (tile.which.size()) {
        case 1: weigh_tile<kFp32, 1>(tile); break;
        case 2: weigh_tile<kFp32, 2>(tile); break;
        case 3: weigh_tile<kFp32, 3>(tile); break;
        case 4: weigh_tile<kFp32, 4>(tile); break;
        case 5: weigh_tile<kFp32, 5>(tile); break;
        default: weigh_tile<kFp32, 6>(tile); break;
      }
    }
  }
}

// ------------------------------------------------------------------------------------------------
void soften_rows(Rows& rows, bool first) {
  for (uint32_t r = 0; r < rows.num_rows; ++r) {
    if (rows.visible[r] == 0) continue;
    const AttentionSum next = avx2_softmax_segment(rows.scores + size_t{r} * kSegmentTokens, rows.visible[r]);
    AttentionSum& sum = rows.sums[r];
    if (first) {
      sum = next;
      continue;
    }
    rows.shares[r] = merge_sums(sum, next);
  }
}

void load_queries(const Rows& rows, Matrix<const float> q, uint32_t first_row, size_t column) {
  const float scale = query_scale(rows.head_dim);
  for (uint32_t index = 0; index < rows.num_tiles; ++index) {
    const Range tile = rows.tile(index);
    for (uint32_t r = tile.begin; r < tile.end; ++r) {
      float* to = rows.q + size_t{index} * rows.head_dim * kTile + (r - tile.begin);
      const float* from = q.row(first_row + r / rows.heads) + column + size_t{r % rows.heads} * rows.head_dim;
      for (uint32_t d = 0; d < rows.head_dim; ++d) to[d * kTile] = from[d] * scale;
    }
  }
}

void store_rows(const Rows& rows, Matrix<float> out, uint32_t first_row, size_t column) {
  for (uint32_t r = 0; r < rows.num_rows; ++r) {
    float* to = out.row(first_row + r / rows.heads) + column + size_t{r % rows.heads} * rows.head_dim;
    const float* from = rows.total + size_t{r} * rows.head_dim;
    for (uint32_t d = 0; d < rows.head_dim; d += 8) _mm256_storeu_ps(to + d, _mm256_loadu_ps(from + d));
    avx2_divide(to, rows.sums[r].sum, rows.head_dim);
  }
}

}  // namespace

void avx2_attend_rows(const KvPages& pages, const KvView& kv, const AttentionSlice& slice, uint32_t heads,
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
  rows.scores = rows.q + size_t{kMaxRows + kTile} * kv.head_dim;
  rows.total = rows.scores + size_t{kMaxRows} * kSegmentTokens;
  load_queries(rows, q, which.begin, column);

  const uint32_t context = slice.first_position + which.end;
  for (uint32_t first = 0; first < context; first += kSegmentTokens) {
    const uint32_t n = smaller(kSegmentTokens, context - first);
    for (uint32_t r = 0; r < rows.num_rows; ++r) {
      const uint32_t seen = rows.first_context + r / heads;
      rows.visible[r] = seen <= first ? 0 : smaller(seen - first, n);
    }
    for (uint32_t t = 0; t < n; t += pages.page_tokens) rows.keys[t / pages.page_tokens] = pages.page(first + t);
    kv.fp32 ? score_rows<true>(rows, n) : score_rows<false>(rows, n);
    soften_rows(rows, first == 0);
    kv.fp32 ? weigh_rows<true>(rows, first == 0) : weigh_rows<false>(rows, first == 0);
  }
  store_rows(rows, out, which.begin, column);
}

}  // namespace slipstream
