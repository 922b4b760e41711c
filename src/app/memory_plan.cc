#include "app/memory_plan.h"

namespace slipstream {

// Rows of logits beyond one for each running request: so many prompt tokens a step are scored (echo with logprobs), or
// drafts verified. As many rows as make a matrix product worth its weights' reading, and 19 MB for a vocabulary of
// 152k.
constexpr uint32_t kScoredRows = 32;

CpuExecutorOptions executor_options(const ServeSettings& settings) {
  CpuExecutorOptions options;
  options.isa = settings.isa;
  options.block_tokens = settings.block_tokens;
  options.max_rows = settings.max_num_batched_tokens;
  options.max_slices = settings.continuous_batching ? settings.max_num_seqs : 1;
  options.max_logit_rows = options.max_slices + kScoredRows;
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

MemoryFit fit_users(const CapacityInput& input) {
  constexpr uint32_t kUsers[] = {1, 2, 5, 10, 50};
  constexpr uint32_t kContexts[] = {2048, 8192, 32768};
  MemoryFit fit;
  const uint64_t taken = input.weights_bytes + input.workspace_bytes;
  fit.rest_bytes = input.available_bytes > taken ? input.available_bytes - taken : 0;
  fit.default_pool_bytes =
      static_cast<uint64_t>(static_cast<double>(fit.rest_bytes) * input.cache_memory_percent);
  for (const uint32_t context : kContexts)
    if (context < input.model_max_len) fit.contexts.push_back(context);
  fit.contexts.push_back(input.model_max_len);
  for (const uint32_t num_users : kUsers) {
    UsersFit& users = fit.users.emplace_back();
    users.num_users = num_users;
    for (const uint32_t context : fit.contexts) {
      const uint64_t bytes = pool_bytes_for(input, num_users, context);
      const Fit how = bytes <= fit.default_pool_bytes ? Fit::kByDefault
                      : bytes <= fit.rest_bytes       ? Fit::kAtMost
                                                      : Fit::kNot;
      users.contexts.push_back({context, bytes, how});
    }
    users.longest_by_default = longest_context(fit.default_pool_bytes, input, num_users);
    users.longest_at_most = longest_context(fit.rest_bytes, input, num_users);
  }
  return fit;
}

}  // namespace slipstream
