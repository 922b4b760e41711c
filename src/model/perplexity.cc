#include "model/perplexity.h"

#include <algorithm>

#include "kernels/scalar_math.h"
#include "model/prompt_run.h"

namespace slipstream {

double negative_log_likelihood(std::span<const float> logits, TokenId token) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += exp_double(logit - max);
  return log_double(sum) + max - logits[token];
}

Result<Perplexity> measure_perplexity(const ModelConfig& config, const Weights& weights, ThreadPool& pool,
                                      CpuExecutorOptions executor, std::span<const TokenId> tokens,
                                      uint32_t window_tokens) {
  Prompts windows;
  for (size_t begin = 0; begin + 1 < tokens.size(); begin += window_tokens) {
    const auto window = tokens.subspan(begin, std::min<size_t>(window_tokens, tokens.size() - begin));
    if (window.size() >= 2) windows.emplace_back(window.begin(), window.end());
  }
  CHECK(!windows.empty(), "{} tokens", tokens.size());
  PromptRunOptions run_options;
  run_options.block_tokens = executor.block_tokens;
  executor.num_blocks = prompt_run_blocks(windows, run_options);
  executor.max_context = window_tokens;
  executor.max_slices = 1;
  executor.max_rows = std::min(window_tokens, 128u);  // a step's logits are rows x vocabulary
  executor.max_logit_rows = executor.max_rows;
  ASSIGN_OR_RETURN(const auto made, CpuExecutor::make(config, weights, pool, executor));

  std::vector<double> sums(windows.size(), 0.0);
  PromptRun run(*made, windows, run_options);
  for (auto step = run.step(); !step.empty(); step = run.step()) {
    for (const PromptRows& rows : step) {
      if (!rows.finite)
        return Error{ErrorKind::kModel, fmt::format("window {}: the logits are not finite", rows.prompt), {}, {}};
      const std::vector<TokenId>& window = windows[rows.prompt];
      for (uint32_t row = 0; row < rows.logits.rows; ++row) {
        const size_t next = size_t{rows.first_token} + row + 1;
        if (next < window.size()) sums[rows.prompt] += negative_log_likelihood(rows.logits.span(row), window[next]);
      }
    }
  }

  Perplexity result;
  double sum = 0.0;
  for (size_t index = 0; index < windows.size(); ++index) {
    const auto predicted = static_cast<uint32_t>(windows[index].size() - 1);
    result.windows.push_back({predicted, sums[index] / predicted});
    result.num_tokens += predicted;
    sum += sums[index];
  }
  result.perplexity = exp_double(sum / static_cast<double>(result.num_tokens));
  return result;
}

}  // namespace slipstream
