// The memory a pass over the layers computes in: made once, bounded by the rows of a pass, so that a step allocates
// nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/matrix.h"
#include "base/memory.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "model/model_config.h"

namespace slipstream {

struct WorkspaceLimits {
  uint32_t pass_rows = 0;    // rows computed together
  uint32_t logit_rows = 0;   // rows of logits in one step
  uint32_t max_context = 0;  // longest sequence, in tokens
  uint32_t num_threads = 1;
};

// All [rows, ...] with rows = pass_rows. A name is used for one thing at a time; what overlaps says so.
struct Workspace {
  // What make() would take.
  static uint64_t bytes(const ModelConfig& config, const Kernels& kernels, const WorkspaceLimits& limits);
  // Error: the system refuses the memory. Touches all of it, with every thread of the pool.
  static Result<Workspace> make(const ModelConfig& config, const Kernels& kernels, const WorkspaceLimits& limits,
                                ThreadPool& pool);

  Matrix<float> residual;  // [rows, hidden_size]
  Matrix<float> hidden;    // [rows, hidden_size]: the normed residual, then what a block adds to the residual
  Matrix<float> qkv;  // [rows, (num_heads + 2 * num_kv_heads) * head_dim]: q, k and v of a row, one after the other
  Matrix<float> attended;            // [rows, num_heads * head_dim]
  std::span<float> attention_parts;  // of contexts cut between segments (attention_plan.h)
  Matrix<float> gate;                // [rows, intermediate_size]
  Matrix<float> up;                  // [rows, intermediate_size]
  Matrix<float> cos;                 // [rows, head_dim / 2]
  Matrix<float> sin;                 // [rows, head_dim / 2]
  Matrix<float> router_logits;       // [rows, num_experts]
  // Of experts, by slot (expert_mlp.h): rows * experts_per_token slots; empty without experts.
  Matrix<float> expert_rows;         // [slots, hidden_size]: what goes in, then what comes out
  Matrix<float> expert_gate;         // [slots, expert_size]
  Matrix<float> expert_up;           // [slots, expert_size]
  std::byte* expert_quantised = nullptr;       // int16 form of expert_rows
  std::byte* expert_gate_quantised = nullptr;  // int16 form of expert_gate, which is made while the other is read
  std::byte* quantised = nullptr;    // int16 form of hidden or attended: the next product's input
  std::byte* gate_quantised = nullptr;  // int16 form of gate, which is made while quantised is read
  Matrix<float> logit_hidden;        // [logit_rows, hidden_size]: final norm of the rows that want logits
  Matrix<float> logits;              // [logit_rows, vocab_size]
  std::span<uint8_t> finite;         // [rows]
  std::span<uint8_t> logits_finite;  // [num_threads * logit_rows]: what each thread saw in its columns
  std::span<std::byte> scratch;      // num_threads equal parts

  std::byte* thread_scratch(uint32_t thread) const { return scratch.data() + thread * scratch_bytes; }
  size_t scratch_bytes = 0;  // of one thread

  Arena memory;  // holds all of the above
};

}  // namespace slipstream
