// The bytes of K and V. Which block belongs to whom is the ledger's business (cache/); here a block is a number.
//
//   memory   = layer 0 | layer 1 | ...                  a layer is what attention reads: one KvView
//   layer    = block 0 | block 1 | ... num_blocks - 1
//   block    = KV head 0 | KV head 1 | ...
//   KV head  = page 0 | page 1 | ...                    a page is min(32, block_tokens) tokens: K [head_dim][tokens],
//                                                       then V [tokens][head_dim] (kernels/kernels.h)
//
// so that all tokens of one block and one head are one run: 64 tokens of head size 128 are 32 KB, and runs of >= 16 KB
// are needed to read memory near its limit (PERFORMANCE.md 1.1). Owned by the engine thread; kernels write through the
// views.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/memory.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "model/step_input.h"

namespace slipstream {

struct KvShape {
  uint32_t num_layers = 0;
  uint32_t num_kv_heads = 0;
  uint32_t head_dim = 0;
  uint32_t num_blocks = 0;
  uint32_t block_tokens = 0;  // power of two, <= 256
  bool fp32 = false;          // fp32 instead of fp16: --activations f32

  uint32_t page_tokens() const { return block_tokens < 32 ? block_tokens : 32; }
  size_t value_bytes() const { return fp32 ? 4 : 2; }
  size_t head_bytes() const;  // one KV head of one block, in whole cache lines
  size_t layer_block_bytes() const { return head_bytes() * num_kv_heads; }
  size_t block_bytes() const { return layer_block_bytes() * num_layers; }  // all layers
};

class KvStorage {
 public:
  // Error: the system refuses the memory. Nothing is touched yet: a block costs real memory from its first token on.
  static Result<KvStorage> make(const KvShape& shape);

  const KvShape& shape() const { return shape_; }
  KvView layer(uint32_t layer) const;

  // Slots [0, copy.num_tokens) of block copy.from to block copy.to in one layer; layers may be copied by several
  // threads at once.
  void copy(uint32_t layer, const BlockCopy& copy) const;

  // All layers of a block, one after the other, to and from memory of block_bytes().
  void save(uint32_t block, std::span<std::byte> into) const;
  void load(uint32_t block, std::span<const std::byte> from) const;

  // Asks the system for all pages now, with every thread: else the first tokens of each block pay for it (about
  // 10 us per 4 KB in a virtual machine, PERFORMANCE.md 0.10).
  void touch(ThreadPool& pool) const;

 private:
  KvStorage(const KvShape& shape, Arena memory) : shape_(shape), memory_(std::move(memory)) {}

  std::byte* layer_block(uint32_t layer, uint32_t block) const;

  KvShape shape_;
  Arena memory_;
};

}  // namespace slipstream
