#include "model/prompt_run.h"

#include <algorithm>

#include "base/check.h"

namespace slipstream {
namespace {

uint32_t blocks_of(const std::vector<TokenId>& prompt, uint32_t block_tokens) {
  return (static_cast<uint32_t>(prompt.size()) + block_tokens - 1) / block_tokens;
}

}  // namespace

uint32_t prompt_run_blocks(const Prompts& prompts, const PromptRunOptions& options) {
  uint32_t sum = 0;
  uint32_t most = 0;
  for (const auto& prompt : prompts) {
    const uint32_t blocks = blocks_of(prompt, options.block_tokens);
    sum += blocks;
    most = std::max(most, blocks);
  }
  return options.together ? sum : most;  // one after the other they use the same blocks again
}

PromptRun::PromptRun(CpuExecutor& executor, const Prompts& prompts, const PromptRunOptions& options)
    : executor_(executor), prompts_(prompts), options_(options), num_computed_(prompts.size()) {
  CHECK(options_.block_order.empty() || options_.block_order.size() >= prompt_run_blocks(prompts, options_),
        "{} blocks in order, {} needed", options_.block_order.size(), prompt_run_blocks(prompts, options_));
  uint32_t next = 0;
  for (const auto& prompt : prompts) {
    CHECK(!prompt.empty(), "an empty prompt");
    table_begins_.push_back(static_cast<uint32_t>(block_tables_.size()));
    if (!options_.together) next = 0;
    for (uint32_t block = 0; block < blocks_of(prompt, options_.block_tokens); ++block, ++next) {
      block_tables_.push_back(options_.block_order.empty() ? next : options_.block_order[next]);
    }
  }
}

void PromptRun::add_slice(uint32_t prompt, uint32_t num_tokens) {
  const std::vector<TokenId>& tokens = prompts_[prompt];
  const uint32_t begin = num_computed_[prompt];
  StepSlice slice;
  slice.first_row = static_cast<uint32_t>(tokens_.size());
  slice.num_rows = num_tokens;
  slice.first_position = begin;
  slice.first_block = table_begins_[prompt];
  slice.num_blocks = blocks_of(tokens, options_.block_tokens);
  slice.num_logits = num_tokens;
  slices_.push_back(slice);
  tokens_.insert(tokens_.end(), tokens.begin() + begin, tokens.begin() + begin + num_tokens);
  rows_.push_back({prompt, begin, {}, true});
  num_computed_[prompt] += num_tokens;
}

std::span<const PromptRows> PromptRun::step() {
  tokens_.clear();
  slices_.clear();
  rows_.clear();
  const uint32_t max_rows = std::min(executor_.max_rows(), executor_.max_logit_rows());
  for (uint32_t prompt = 0; prompt < prompts_.size(); ++prompt) {
    const auto room = max_rows - static_cast<uint32_t>(tokens_.size());
    uint32_t num_tokens = std::min(static_cast<uint32_t>(prompts_[prompt].size()) - num_computed_[prompt], room);
    if (options_.chunk_tokens != 0) num_tokens = std::min(num_tokens, options_.chunk_tokens);
    if (num_tokens == 0) continue;
    if (slices_.size() == executor_.max_slices()) break;
    add_slice(prompt, num_tokens);
    if (!options_.together) break;
  }
  if (tokens_.empty()) return {};

  const Logits logits = executor_.run({tokens_, slices_, block_tables_, {}});
  for (size_t index = 0; index < rows_.size(); ++index) {
    const StepSlice& slice = slices_[index];
    rows_[index].logits = {logits.rows.row(slice.first_row), slice.num_rows, logits.rows.cols, logits.rows.stride};
    rows_[index].finite = logits.slice_finite[index] != 0;
  }
  return rows_;
}

}  // namespace slipstream
