#include "model/kv_storage.h"

#include <bit>
#include <cstring>

#include "base/check.h"

namespace slipstream {

size_t KvShape::head_bytes() const { return round_up(size_t{2} * head_dim * block_tokens * value_bytes(), 64); }

Result<KvStorage> KvStorage::make(const KvShape& shape) {
  CHECK(std::has_single_bit(shape.block_tokens) && shape.block_tokens <= 256, "block_tokens {}", shape.block_tokens);
  CHECK(shape.num_layers > 0 && shape.num_kv_heads > 0 && shape.head_dim > 0);
  ASSIGN_OR_RETURN(Arena memory, Arena::make(shape.block_bytes() * shape.num_blocks));
  return KvStorage(shape, std::move(memory));
}

KvView KvStorage::layer(uint32_t layer) const {
  CHECK(layer < shape_.num_layers, "layer {} of {}", layer, shape_.num_layers);
  KvView view;
  view.base = memory_.data() + shape_.layer_block_bytes() * shape_.num_blocks * layer;
  view.block_stride = shape_.layer_block_bytes();
  view.head_stride = shape_.head_bytes();
  view.block_tokens = shape_.block_tokens;
  view.head_dim = shape_.head_dim;
  view.fp32 = shape_.fp32;
  return view;
}

void KvStorage::copy(uint32_t layer, const BlockCopy& copy) const {
  CHECK(copy.from < shape_.num_blocks && copy.to < shape_.num_blocks && copy.num_tokens <= shape_.block_tokens,
        "copy {} -> {} of {} tokens", copy.from, copy.to, copy.num_tokens);
  const KvView view = this->layer(layer);
  const uint32_t page_tokens = shape_.page_tokens();
  const size_t value = shape_.value_bytes();
  const size_t half_page = size_t{page_tokens} * shape_.head_dim * value;  // K of a page, and V of it
  for (uint32_t head = 0; head < shape_.num_kv_heads; ++head) {
    const std::byte* from = view.base + copy.from * view.block_stride + head * view.head_stride;
    std::byte* to = view.base + copy.to * view.block_stride + head * view.head_stride;
    for (uint32_t done = 0; done < copy.num_tokens; done += page_tokens, from += 2 * half_page, to += 2 * half_page) {
      const uint32_t tokens = std::min(page_tokens, copy.num_tokens - done);
      if (tokens == page_tokens) {
        std::memcpy(to, from, 2 * half_page);
        continue;
      }
      // The first tokens of a page: a column strip of K, whole rows of V. What lies behind them stays the other block's
      // own.
      for (uint32_t dim = 0; dim < shape_.head_dim; ++dim) {
        const size_t row = dim * page_tokens * value;
        std::memcpy(to + row, from + row, tokens * value);
      }
      std::memcpy(to + half_page, from + half_page, tokens * shape_.head_dim * value);
    }
  }
}

std::byte* KvStorage::layer_block(uint32_t layer, uint32_t block) const {
  return memory_.data() + shape_.layer_block_bytes() * (size_t{shape_.num_blocks} * layer + block);
}

void KvStorage::save(uint32_t block, std::span<std::byte> into) const {
  CHECK(block < shape_.num_blocks && into.size() == shape_.block_bytes(), "block {} into {} bytes", block, into.size());
  const size_t bytes = shape_.layer_block_bytes();
  for (uint32_t layer = 0; layer < shape_.num_layers; ++layer) {
    std::memcpy(into.data() + layer * bytes, layer_block(layer, block), bytes);
  }
}

void KvStorage::load(uint32_t block, std::span<const std::byte> from) const {
  CHECK(block < shape_.num_blocks && from.size() == shape_.block_bytes(), "block {} from {} bytes", block, from.size());
  const size_t bytes = shape_.layer_block_bytes();
  for (uint32_t layer = 0; layer < shape_.num_layers; ++layer) {
    std::memcpy(layer_block(layer, block), from.data() + layer * bytes, bytes);
  }
}

void KvStorage::touch(ThreadPool& pool) const {
  constexpr size_t kPage = 4096;
  const size_t pages = (memory_.size() + kPage - 1) / kPage;
  const uint32_t num_threads = pool.num_threads();
  pool.run([&](uint32_t thread) {
    const size_t end = pages * (thread + 1) / num_threads;
    for (size_t page = pages * thread / num_threads; page < end; ++page) {
      memory_.data()[page * kPage] = std::byte{0};  // nothing was stored yet: an arena is zero
    }
  });
}

}  // namespace slipstream
