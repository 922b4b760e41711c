// What `serve` takes of this machine's memory with its settings: the numbers that engine/capacity.h reckons with.
#pragma once

#include <cstdint>
#include <vector>

#include "app/serve_settings.h"
#include "engine/capacity.h"
#include "model/cpu_executor.h"
#include "model/model_config.h"

namespace slipstream {

// num_blocks and max_context are not set: they come out of the plan.
CpuExecutorOptions executor_options(const ServeSettings& settings);

// weights_bytes: what they will take; 0 once they are in. available_bytes: available_memory_bytes() now.
CapacityInput capacity_input(const ServeSettings& settings, const ModelConfig& config, uint32_t num_threads,
                             uint64_t weights_bytes, uint64_t available_bytes);

// How many users with how long a context. No block is shared between them here; where their requests begin alike, more
// fit.
enum class Fit : uint8_t {
  kByDefault,  // in the KV pool that `serve` makes unless told otherwise
  kAtMost,     // in a larger one (--cache-memory-mb)
  kNot,
};
struct ContextFit {
  uint32_t num_tokens = 0;
  uint64_t pool_bytes = 0;  // what they need
  Fit fit = Fit::kNot;
};
struct UsersFit {
  uint32_t num_users = 0;
  std::vector<ContextFit> contexts;      // each of MemoryFit::contexts
  uint32_t longest_by_default = 0;       // tokens for each of them
  uint32_t longest_at_most = 0;
};
struct MemoryFit {
  uint64_t rest_bytes = 0;          // what weights and workspace leave; 0 where they do not fit themselves
  uint64_t default_pool_bytes = 0;  // of the rest
  std::vector<uint32_t> contexts;   // up to the model's own
  std::vector<UsersFit> users;
};
MemoryFit fit_users(const CapacityInput& input);

}  // namespace slipstream
