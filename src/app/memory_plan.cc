#include "app/memory_plan.h"

namespace slipstream {

CpuExecutorOptions executor_options(const ServeSettings& settings) {
  CpuExecutorOptions options;
  options.isa = settings.isa;
  options.block_tokens = settings.block_tokens;
  options.max_rows = settings.max_num_batched_tokens;
  options.max_slices = settings.continuous_batching ? settings.max_num_seqs : 1;
  return options;
}

CapacityInput capacity_input(const ServeSettings& settings, const ModelConfig& config, uint32_t num_threads,
                             uint64_t weights_bytes, uint64_t available_bytes) {
  CpuExecutorOptions options = executor_options(settings);
  options.max_context = settings.max_model_len.value_or(config.max_position_embeddings);
  CapacityInput input;
  input.available_bytes = available_bytes;
  input.weights_bytes = weights_bytes;
  input.workspace_bytes = executor_workspace_bytes(config, options, num_threads);
  input.block_bytes = kv_block_bytes(config, settings.block_tokens, options.activations);
  input.block_tokens = settings.block_tokens;
  input.model_max_len = config.max_position_embeddings;
  input.cache_memory_mb = settings.cache_memory_mb;
  input.cache_memory_percent = settings.cache_memory_percent.value_or(kDefaultCacheFraction);
  input.max_model_len = settings.max_model_len;
  return input;
}

}  // namespace slipstream
