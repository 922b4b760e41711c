// What part of all prompts' tokens the cache has, on four generated traces (src/cache/cache_traces.h), beside plain LRU
// and a pool that forgets nothing:
//
//   cache_traces [NUM_BLOCKS=2000] [NUM_REQUESTS=4000]

#include <fmt/core.h>

#include <cstdlib>

#include "cache/cache_traces.h"

namespace slipstream {
namespace {

void print_traces(uint32_t num_blocks, uint32_t num_requests) {
  fmt::print("{} blocks of 64 tokens, {} requests; tokens of prompts found\n", num_blocks, num_requests);
  fmt::print("trace      this pool   plain LRU   nothing forgotten\n");
  for (const NamedTrace& trace : kTraces) {
    KvLedgerOptions options{.num_blocks = num_blocks, .block_tokens = 64, .prefix_cache = true, .hash_seed = 1};
    const double ours = hit_rate_of_trace(trace.kind, options, num_requests, 1);
    options.plain_lru = true;
    const double plain = hit_rate_of_trace(trace.kind, options, num_requests, 1);
    options.num_blocks = num_requests * 160;  // 10,240 tokens each
    const double all = hit_rate_of_trace(trace.kind, options, num_requests, 1);
    fmt::print("{:<8} {:>9.1f} %   {:>7.1f} %   {:>15.1f} %\n", trace.name, 100 * ours, 100 * plain, 100 * all);
  }
}

}  // namespace
}  // namespace slipstream

int main(int argc, char** argv) {
  const auto number = [&](int index, uint32_t otherwise) {
    return argc > index ? static_cast<uint32_t>(std::strtoul(argv[index], nullptr, 10)) : otherwise;
  };
  const uint32_t num_blocks = number(1, 2000);
  const uint32_t num_requests = number(2, 4000);
  if (argc > 3 || num_blocks < 200 || num_requests < 1 || num_requests > 100'000) {
    fmt::print(stderr, "cache_traces [NUM_BLOCKS=2000] [NUM_REQUESTS=4000]; at least 200, at most 100000\n");
    return 2;
  }
  slipstream::print_traces(num_blocks, num_requests);
}
