// Perplexity: exp of the mean negative log-likelihood of a text's tokens.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/cpu_executor.h"

namespace slipstream {

struct Perplexity {
  struct Window {
    uint32_t num_tokens = 0;  // predicted: all but the window's first
    double mean_nll = 0.0;
  };
  std::vector<Window> windows;
  uint64_t num_tokens = 0;  // predicted in all
  double perplexity = 0.0;
};

// Cuts `tokens` into windows of window_tokens (a rest of one token is left out), each computed with nothing before it.
// executor: isa, activations, block_tokens; its sizes are set here. Error: memory, or logits that are not finite.
Result<Perplexity> measure_perplexity(const ModelConfig& config, const Weights& weights, ThreadPool& pool,
                                      CpuExecutorOptions executor, std::span<const TokenId> tokens,
                                      uint32_t window_tokens);

// -log softmax(logits)[token], in double with own exp and log.
double negative_log_likelihood(std::span<const float> logits, TokenId token);

}  // namespace slipstream
