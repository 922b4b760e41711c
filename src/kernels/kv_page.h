// Where a token's K and V stand (KvView in kernels.h).
//
//   block  [head 0: page 0, page 1 ... ][head 1: ...]         (block_stride, head_stride)
//   page   K [head_dim][page_tokens], then V [page_tokens][head_dim]
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/fixed_arithmetic.h"
#include "kernels/kernels.h"

namespace slipstream {

struct KvPages {
  const std::byte* base;  // of block 0 and this KV head
  const uint32_t* block_table;
  size_t block_stride;
  uint32_t block_tokens;
  uint32_t page_tokens;
  size_t value_offset;  // from a page's K to its V
  size_t page_bytes;

  // The page that holds `position`.
  const std::byte* page(uint32_t position) const {
    return base + block_table[position / block_tokens] * block_stride +
           position % block_tokens / page_tokens * page_bytes;
  }
};

static inline KvPages kv_pages(const KvView& kv, const AttentionSlice& slice, uint32_t kv_head) {
  KvPages pages;
  pages.base = kv.base + kv_head * kv.head_stride;
  pages.block_table = slice.block_table;
  pages.block_stride = kv.block_stride;
  pages.block_tokens = kv.block_tokens;
  pages.page_tokens = kv.block_tokens < kMaxPageTokens ? kv.block_tokens : kMaxPageTokens;
  pages.value_offset = static_cast<size_t>(kv.head_dim) * pages.page_tokens * (kv.fp32 ? 4 : 2);
  pages.page_bytes = 2 * pages.value_offset;
  return pages;
}

// Asks for the lines of K of one token, whose first number is at `keys`, before it is stored: each is far from the last
// one, and seldom in a cache, so none is waited for before all are on their way.
static inline void fetch_keys(const KvPages& pages, const uint16_t* keys, uint32_t head_dim) {
  for (uint32_t d = 0; d < head_dim; ++d) __builtin_prefetch(keys + size_t{d} * pages.page_tokens);
}

}  // namespace slipstream
