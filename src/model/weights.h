// A model's weights, packed. Made once at load, then only read; any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/memory.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "files/tensor_source.h"
#include "kernels/packed_matrix.h"
#include "model/model_config.h"

namespace slipstream {

// down(silu(gate x) * up x). size = intermediate_size, or expert_size.
struct MlpWeights {
  PackedMatrix gate, up;  // [size, hidden_size]
  PackedMatrix down;      // [hidden_size, size]
};

struct LayerWeights {
  const float* attention_norm = nullptr;  // [hidden_size]
  const float* mlp_norm = nullptr;        // [hidden_size]
  const float* q_norm = nullptr;          // [head_dim], null without qk_norm
  const float* k_norm = nullptr;
  const float* q_bias = nullptr;          // [num_heads * head_dim], null without qkv_bias
  const float* k_bias = nullptr;          // [num_kv_heads * head_dim]
  const float* v_bias = nullptr;
  PackedMatrix q, k, v;                   // [heads * head_dim, hidden_size]
  PackedMatrix o;                         // [hidden_size, num_heads * head_dim]
  MlpWeights mlp;                         // of a dense layer
  PackedMatrix router;                    // of a sparse layer: [num_experts, hidden_size]
  std::vector<MlpWeights> experts;        // of a sparse layer: num_experts, else empty

  bool sparse() const { return !experts.empty(); }
};

struct Weights {
  PackedMatrix embedding;                 // [vocab_size, hidden_size]
  PackedMatrix lm_head;                   // = embedding when tied
  const float* final_norm = nullptr;      // [hidden_size]
  std::vector<LayerWeights> layers;
  uint64_t packed_bytes = 0;
  Arena memory;                           // holds all of the above
};

// Called on the loading thread while packing: bytes of the checkpoint done, and in all.
using LoadProgress = std::function<void(uint64_t done, uint64_t total)>;

enum class TensorNames : uint8_t { kHuggingFace, kGguf };

// Checks every tensor's shape and type against the config, plans the arena, then packs panel by panel over the pool's
// threads and gives the file's pages back as it goes (peak memory <= 1.15 x packed + 200 MB). What could not fit in
// memory is refused before.
// Rows of attn_q / attn_k of a GGUF llama are put back from neighbour order to Hugging Face's halves.
Result<Weights> load_weights(const ModelConfig& config, const TensorSource& source, TensorNames names, ThreadPool& pool,
                             const LoadProgress& progress);

}  // namespace slipstream
