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

struct LayerWeights {
  const float* attention_norm = nullptr;  // [hidden_size]
  const float* mlp_norm = nullptr;        // [hidden_size]
  const float* q_norm = nullptr;          // [head_dim], null without qk_norm
  const float* k_norm = nullptr;
  PackedMatrix q, k, v;                   // [heads * head_dim, hidden_size]
  PackedMatrix o;                         // [hidden_size, num_heads * head_dim]
  PackedMatrix gate, up;                  // [intermediate_size, hidden_size]
  PackedMatrix down;                      // [hidden_size, intermediate_size]
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
