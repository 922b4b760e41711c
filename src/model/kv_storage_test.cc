#include "model/kv_storage.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

namespace slipstream {
namespace {

KvShape small_shape(uint32_t block_tokens, bool fp32 = false) {
  return {
      .num_layers = 2, .num_kv_heads = 3, .head_dim = 8, .num_blocks = 5, .block_tokens = block_tokens, .fp32 = fp32};
}

// Where kernels.h says that token `token` of a head's block keeps dimension `dim`: of K, or of V. In values.
size_t slot(const KvShape& shape, uint32_t token, uint32_t dim, bool of_v) {
  const size_t page_tokens = shape.page_tokens();
  const size_t page = token / page_tokens * 2 * page_tokens * shape.head_dim;
  const size_t in_page = token % page_tokens;
  return page + (of_v ? page_tokens * shape.head_dim + in_page * shape.head_dim + dim : dim * page_tokens + in_page);
}

std::byte* head_of(const KvView& view, uint32_t block, uint32_t head) {
  return view.base + block * view.block_stride + head * view.head_stride;
}

TEST(KvStorage, every_slot_of_every_layer_block_and_head_has_its_own_bytes) {
  for (const uint32_t block_tokens : {1u, 16u, 64u}) {
    const KvShape shape = small_shape(block_tokens);
    const KvStorage storage = std::move(KvStorage::make(shape).value());
    std::set<const std::byte*> seen;
    for (uint32_t layer = 0; layer < shape.num_layers; ++layer) {
      const KvView view = storage.layer(layer);
      for (uint32_t block = 0; block < shape.num_blocks; ++block) {
        for (uint32_t head = 0; head < shape.num_kv_heads; ++head) {
          for (uint32_t token = 0; token < block_tokens; ++token) {
            for (uint32_t dim = 0; dim < shape.head_dim; ++dim) {
              for (const bool of_v : {false, true}) {
                EXPECT_TRUE(seen.insert(head_of(view, block, head) + 2 * slot(shape, token, dim, of_v)).second);
              }
            }
          }
        }
      }
    }
    // As many bytes as a block is said to take, but for whole cache lines per head.
    EXPECT_GE(shape.block_bytes() * shape.num_blocks, seen.size() * 2);
    EXPECT_LT(shape.block_bytes() * shape.num_blocks, seen.size() * 2 + 64 * 2 * 3 * 5);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(storage.layer(1).base) % 64, 0u);
  }
}

TEST(KvStorage, copy_copies_the_first_tokens_of_one_layer_and_nothing_else) {
  for (const bool fp32 : {false, true}) {
    for (const uint32_t block_tokens : {16u, 32u, 64u}) {
      for (uint32_t num_tokens = 0; num_tokens <= block_tokens; num_tokens += 5) {
        const KvShape shape = small_shape(block_tokens, fp32);
        const KvStorage storage = std::move(KvStorage::make(shape).value());
        const size_t bytes = shape.block_bytes() * shape.num_blocks;
        std::byte* const all = storage.layer(0).base;
        for (size_t at = 0; at < bytes; ++at) all[at] = static_cast<std::byte>(at * 131 + at / 251);
        const std::vector<std::byte> before(all, all + bytes);
        storage.copy(1, {.from = 4, .to = 2, .num_tokens = num_tokens});

        std::vector<std::byte> expected = before;
        const KvView view = storage.layer(1);
        const size_t value = shape.value_bytes();
        for (uint32_t head = 0; head < shape.num_kv_heads; ++head) {
          const size_t from = static_cast<size_t>(head_of(view, 4, head) - all);
          const size_t to = static_cast<size_t>(head_of(view, 2, head) - all);
          for (uint32_t token = 0; token < num_tokens; ++token) {
            for (uint32_t dim = 0; dim < shape.head_dim; ++dim) {
              for (const bool of_v : {false, true}) {
                const size_t offset = slot(shape, token, dim, of_v) * value;
                std::memcpy(expected.data() + to + offset, before.data() + from + offset, value);
              }
            }
          }
        }
        EXPECT_EQ(std::vector<std::byte>(all, all + bytes), expected) << num_tokens << " of " << block_tokens;
      }
    }
  }
}

TEST(KvStorage, a_saved_block_is_loaded_into_another_and_nowhere_else) {
  for (const bool fp32 : {false, true}) {
    const KvShape shape = small_shape(16, fp32);
    const KvStorage storage = std::move(KvStorage::make(shape).value());
    const size_t bytes = shape.block_bytes() * shape.num_blocks;
    std::byte* const all = storage.layer(0).base;
    for (size_t at = 0; at < bytes; ++at) all[at] = static_cast<std::byte>(at * 131 + at / 251);
    std::vector<std::byte> expected(all, all + bytes);
    std::vector<std::byte> saved(shape.block_bytes());
    storage.save(4, saved);
    storage.load(1, saved);
    const size_t layer_block = shape.layer_block_bytes();
    for (uint32_t layer = 0; layer < shape.num_layers; ++layer) {
      const auto begin = expected.begin() + static_cast<ptrdiff_t>(layer * layer_block * shape.num_blocks);
      std::copy_n(begin + static_cast<ptrdiff_t>(4 * layer_block), layer_block,
                  begin + static_cast<ptrdiff_t>(layer_block));
    }
    EXPECT_EQ(std::vector<std::byte>(all, all + bytes), expected);
  }
}

TEST(KvStorage, touching_keeps_it_zero) {
  ThreadPool pool(2);
  const KvShape shape = small_shape(64);
  const KvStorage storage = std::move(KvStorage::make(shape).value());
  storage.touch(pool);
  for (size_t at = 0; at < shape.block_bytes() * shape.num_blocks; ++at)
    ASSERT_EQ(storage.layer(0).base[at], std::byte{0});
}

TEST(KvStorageDeath, a_copy_outside_the_pool_is_a_bug) {
  const KvStorage storage = std::move(KvStorage::make(small_shape(16)).value());
  EXPECT_DEATH(storage.copy(0, {.from = 5, .to = 0, .num_tokens = 1}), "copy 5");
  EXPECT_DEATH(storage.copy(0, {.from = 0, .to = 1, .num_tokens = 17}), "17 tokens");
}

}  // namespace
}  // namespace slipstream
