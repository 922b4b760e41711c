#include "engine/capacity.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "cache/kv_ledger.h"

namespace slipstream {
namespace {

constexpr uint64_t kMiB = 1 << 20;

uint64_t whole_mib(uint64_t bytes) { return (bytes + kMiB - 1) / kMiB; }

// What is left for the pool.
uint64_t rest_of(const CapacityInput& input) {
  const uint64_t taken = input.weights_bytes + input.workspace_bytes;
  return input.available_bytes > taken ? input.available_bytes - taken : 0;
}

// The pool's bytes as the options say, and the words for it.
struct Pool {
  uint64_t bytes = 0;
  std::string source;
};

Result<Pool> pool_of(const CapacityInput& input) {
  const uint64_t rest_mb = rest_of(input) / kMiB;
  if (input.cache_memory_mb) {
    if (*input.cache_memory_mb > rest_mb) {
      return invalid_param("--cache-memory-mb",
                           "--cache-memory-mb {} is more than the {} MiB of memory that are available after "
                           "loading the model; give at most that",
                           *input.cache_memory_mb, rest_mb);
    }
    return Pool{*input.cache_memory_mb * kMiB, fmt::format("--cache-memory-mb {}", *input.cache_memory_mb)};
  }
  const double percent = input.cache_memory_percent;
  if (!(percent > 0 && percent <= 1)) {
    return invalid_param("--cache-memory-percent",
                         "--cache-memory-percent {} is not a fraction above 0 and at most 1", percent);
  }
  return Pool{static_cast<uint64_t>(static_cast<double>(rest_of(input)) * percent),
              fmt::format("{:g} of the {} MiB available", percent, rest_mb)};
}

// The option that makes the pool larger, with the number it takes, for a sequence of so many tokens.
std::string larger_pool(const CapacityInput& input, uint32_t num_tokens) {
  return fmt::format("--cache-memory-mb {}", whole_mib(pool_bytes_for(input, 1, num_tokens)));
}

std::string what_to_change(const CapacityInput& input) {
  if (input.weights_bytes > input.available_bytes)
    return "free memory, or take a model with fewer parameters or bits";
  if (input.weights_bytes + input.workspace_bytes > input.available_bytes)
    return "free memory, or give a smaller --max-num-seqs or --max-num-batched-tokens";
  const uint32_t fits = longest_context(rest_of(input), input, 1);
  return input.max_model_len && fits > 0 ? fmt::format("free memory, or give --max-model-len {} or less", fits)
                                         : "free memory";
}

// Where a length that was not given comes from.
std::string length_source(const CapacityInput& input, const Capacity& capacity) {
  if (!capacity.shrunk) return "the model's own";
  const bool can_be_had = pool_bytes_for(input, 1, input.model_max_len) <= rest_of(input);
  return fmt::format("shrunk from the model's {} to what the pool holds; {}", input.model_max_len,
                     can_be_had ? fmt::format("{} would hold all", larger_pool(input, input.model_max_len))
                                : fmt::format("all of the memory would hold {}",
                                              longest_context(rest_of(input), input, 1)));
}

}  // namespace

uint64_t blocks_for(uint64_t num_tokens, uint32_t block_tokens) {
  return (num_tokens + block_tokens - 1) / block_tokens;
}

uint64_t bytes_of_block(uint64_t block_bytes, uint32_t block_tokens) {
  return block_bytes + KvLedger::bytes_per_block(block_tokens);
}

uint32_t longest_context(uint64_t pool_bytes, const CapacityInput& input, uint32_t num_sequences) {
  const uint64_t num_blocks = pool_bytes / bytes_of_block(input.block_bytes, input.block_tokens);
  const uint64_t num_tokens = num_blocks / num_sequences * input.block_tokens;
  return static_cast<uint32_t>(std::min<uint64_t>(num_tokens, input.model_max_len));
}

uint64_t pool_bytes_for(const CapacityInput& input, uint32_t num_sequences, uint32_t num_tokens) {
  return num_sequences * blocks_for(num_tokens, input.block_tokens) *
         bytes_of_block(input.block_bytes, input.block_tokens);
}

Status check_fits(const CapacityInput& input) {
  const uint64_t kv_bytes = pool_bytes_for(input, 1, input.max_model_len.value_or(input.block_tokens));
  const uint64_t all_bytes = input.weights_bytes + input.workspace_bytes + kv_bytes;
  if (all_bytes <= input.available_bytes) return ok_status();
  const std::string kv_reason = input.max_model_len ? fmt::format("--max-model-len {}", *input.max_model_len)
                                                    : fmt::format("one block of {} tokens", input.block_tokens);
  return outside(
      "the model does not fit: weights {} MiB + workspace {} MiB + KV cache {} MiB ({}) = {} MiB, but {} MiB of memory "
      "are available; {}",
      whole_mib(input.weights_bytes), whole_mib(input.workspace_bytes), whole_mib(kv_bytes), kv_reason,
      whole_mib(all_bytes), input.available_bytes / kMiB, what_to_change(input));
}

Result<Capacity> plan_capacity(const CapacityInput& input) {
  CHECK(input.block_bytes > 0 && input.block_tokens > 0 && input.model_max_len > 0,
        "block of {} bytes and {} tokens, model of {}", input.block_bytes, input.block_tokens, input.model_max_len);
  if (input.max_model_len && (*input.max_model_len == 0 || *input.max_model_len > input.model_max_len)) {
    return invalid_param("--max-model-len",
                         "--max-model-len {} is not between 1 and {}, the longest sequence this model was made for",
                         *input.max_model_len, input.model_max_len);
  }
  RETURN_IF_ERROR(check_fits(input));
  ASSIGN_OR_RETURN(const Pool pool, pool_of(input));
  const uint64_t per_block = bytes_of_block(input.block_bytes, input.block_tokens);
  // More blocks than 2^26 (4 billion tokens of 64) would only make the ledger's own arrays large.
  const uint64_t num_blocks = std::min<uint64_t>(pool.bytes / per_block, uint64_t{1} << 26);
  if (num_blocks == 0) {
    return invalid_param(
        input.cache_memory_mb ? "--cache-memory-mb" : "--cache-memory-percent",
        "a KV pool of {} bytes ({}) cannot hold one block of {} tokens, which takes {} bytes; give {} or more",
        pool.bytes, pool.source, input.block_tokens, per_block, larger_pool(input, input.block_tokens));
  }
  const uint64_t pool_tokens = num_blocks * input.block_tokens;
  if (input.max_model_len && *input.max_model_len > pool_tokens) {
    return invalid_param("--max-model-len",
                         "--max-model-len {} does not fit: the KV pool of {} MiB ({}) holds {} tokens; give "
                         "--max-model-len {} or less, or {} or more",
                         *input.max_model_len, pool.bytes / kMiB, pool.source, pool_tokens, pool_tokens,
                         larger_pool(input, *input.max_model_len));
  }

  Capacity capacity;
  capacity.num_blocks = static_cast<uint32_t>(num_blocks);
  capacity.pool_bytes = num_blocks * input.block_bytes;
  capacity.ledger_bytes = num_blocks * (per_block - input.block_bytes);
  capacity.max_model_len = input.max_model_len.value_or(
      static_cast<uint32_t>(std::min<uint64_t>(input.model_max_len, pool_tokens)));
  capacity.shrunk = !input.max_model_len && capacity.max_model_len < input.model_max_len;
  capacity.reason = fmt::format("KV pool {} MiB ({}) = {} blocks of {} tokens; longest sequence {} tokens ({})",
                                capacity.pool_bytes / kMiB, pool.source, num_blocks, input.block_tokens,
                                capacity.max_model_len,
                                input.max_model_len ? "--max-model-len" : length_source(input, capacity));
  return capacity;
}

}  // namespace slipstream
