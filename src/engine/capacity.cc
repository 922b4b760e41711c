#include "engine/capacity.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "cache/kv_ledger.h"

namespace slipstream {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// The pool's bytes as the options say, and the words for it.
struct Pool {
  uint64_t bytes = 0;
  std::string source;
};

Result<Pool> pool_of(const CapacityInput& input) {
  const uint64_t available_mb = input.available_bytes / kMiB;
  if (input.cache_memory_mb) {
    if (*input.cache_memory_mb > available_mb) {
      return invalid_param("--cache-memory-mb",
                           "--cache-memory-mb {} is more than the {} MiB of memory that are available after "
                           "loading the model; give at most that",
                           *input.cache_memory_mb, available_mb);
    }
    return Pool{*input.cache_memory_mb * kMiB, fmt::format("--cache-memory-mb {}", *input.cache_memory_mb)};
  }
  const double percent = input.cache_memory_percent;
  if (!(percent > 0 && percent <= 1)) {
    return invalid_param("--cache-memory-percent",
                         "--cache-memory-percent {} is not a fraction above 0 and at most 1", percent);
  }
  return Pool{static_cast<uint64_t>(static_cast<double>(input.available_bytes) * percent),
              fmt::format("{:g} of the {} MiB available", percent, available_mb)};
}

// The option that makes the pool larger, with the number it takes.
std::string larger_pool(const CapacityInput& input, uint64_t num_blocks) {
  const uint64_t per_block = input.block_bytes + KvLedger::bytes_per_block(input.block_tokens);
  return fmt::format("--cache-memory-mb {}", (num_blocks * per_block + kMiB - 1) / kMiB);
}

}  // namespace

Result<Capacity> plan_capacity(const CapacityInput& input) {
  CHECK(input.block_bytes > 0 && input.block_tokens > 0 && input.model_max_len > 0,
        "block of {} bytes and {} tokens, model of {}", input.block_bytes, input.block_tokens, input.model_max_len);
  ASSIGN_OR_RETURN(const Pool pool, pool_of(input));
  const char* pool_option = input.cache_memory_mb ? "--cache-memory-mb" : "--cache-memory-percent";

  const uint64_t ledger_bytes = KvLedger::bytes_per_block(input.block_tokens);
  // More blocks than 2^26 (4 billion tokens of 64) would only make the ledger's own arrays large.
  const uint64_t num_blocks = std::min<uint64_t>(pool.bytes / (input.block_bytes + ledger_bytes), uint64_t{1} << 26);
  if (num_blocks == 0) {
    return invalid_param(
        pool_option,
        "a KV pool of {} bytes ({}) cannot hold one block of {} tokens, which takes {} bytes; give {} or more",
        pool.bytes, pool.source, input.block_tokens, input.block_bytes + ledger_bytes, larger_pool(input, 1));
  }
  const uint64_t pool_tokens = num_blocks * input.block_tokens;

  Capacity capacity;
  capacity.num_blocks = static_cast<uint32_t>(num_blocks);
  capacity.pool_bytes = num_blocks * input.block_bytes;
  capacity.ledger_bytes = num_blocks * ledger_bytes;
  std::string length_source = "the model's own";
  if (input.max_model_len) {
    const uint32_t wanted = *input.max_model_len;
    if (wanted == 0 || wanted > input.model_max_len) {
      return invalid_param("--max-model-len",
                           "--max-model-len {} is not between 1 and {}, the longest sequence this model was made for",
                           wanted, input.model_max_len);
    }
    if (wanted > pool_tokens) {
      const uint64_t blocks = (uint64_t{wanted} + input.block_tokens - 1) / input.block_tokens;
      return invalid_param("--max-model-len",
                           "--max-model-len {} does not fit: the KV pool of {} MiB ({}) holds {} tokens; give "
                           "--max-model-len {} or less, or {} or more",
                           wanted, pool.bytes / kMiB, pool.source, pool_tokens, pool_tokens,
                           larger_pool(input, blocks));
    }
    capacity.max_model_len = wanted;
    length_source = "--max-model-len";
  } else {
    capacity.max_model_len = static_cast<uint32_t>(std::min<uint64_t>(input.model_max_len, pool_tokens));
    capacity.shrunk = capacity.max_model_len < input.model_max_len;
    if (capacity.shrunk) {
      const uint64_t blocks = (uint64_t{input.model_max_len} + input.block_tokens - 1) / input.block_tokens;
      length_source = fmt::format("shrunk from the model's {} to what the pool holds; {} would hold all",
                                  input.model_max_len, larger_pool(input, blocks));
    }
  }
  capacity.reason = fmt::format("KV pool {} MiB ({}) = {} blocks of {} tokens; longest sequence {} tokens ({})",
                                capacity.pool_bytes / kMiB, pool.source, num_blocks, input.block_tokens,
                                capacity.max_model_len, length_source);
  return capacity;
}

}  // namespace slipstream
