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

}  // namespace slipstream
