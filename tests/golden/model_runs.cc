#include "golden/model_runs.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "base/check.h"
#include "base/random.h"

namespace slipstream {
namespace {

// 0 .. count - 1 in an order out of the seed (Fisher-Yates).
std::vector<BlockId> shuffled_blocks(uint32_t count, uint64_t seed) {
  std::vector<BlockId> blocks(count);
  std::iota(blocks.begin(), blocks.end(), 0);
  for (uint32_t left = count; left > 1; --left)
    std::swap(blocks[left - 1], blocks[philox4x32(seed, {left, 0, 0, 0})[0] % left]);
  return blocks;
}

CpuExecutorOptions executor_options(const RunSetting& setting) {
  CpuExecutorOptions options;
  options.isa = setting.isa;
  options.activations = setting.activations;
  options.block_tokens = setting.block_tokens;
  return options;
}

TokenId argmax(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// A folder of answers may hold a GGUF model in place of a checkpoint of Hugging Face's kind: its file, or the first of
// several.
std::string model_of(const std::string& path) {
  std::string first;
  if (!std::filesystem::is_directory(path)) return path;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const std::string file = entry.path().string();
    if (file.ends_with(".gguf") && (first.empty() || file < first)) first = file;
  }
  return first.empty() ? path : first;
}

// One prompt and what follows it, as greedy_tokens() steps it.
struct Greedy {
  std::vector<TokenId> tokens;
  uint32_t num_computed = 0;
  uint32_t num_left = 0;
  uint32_t first_block = 0;
  uint32_t num_blocks = 0;
};

}  // namespace

Result<LoadedModel> load_model(const std::string& path, ThreadPool& pool) {
  ASSIGN_OR_RETURN(Checkpoint checkpoint, open_checkpoint(model_of(path)));
  ASSIGN_OR_RETURN(Weights weights, load_checkpoint(checkpoint, pool, {}));
  return LoadedModel{std::move(checkpoint), std::move(weights)};
}

std::string RunSetting::text() const {
  return fmt::format("{} {} {}{} block {}{}", isa_name(isa), activations == ActivationMode::kF32 ? "f32" : "int16",
                     chunk_tokens == 0 ? "whole" : fmt::format("chunk {}", chunk_tokens), together ? " together" : "",
                     block_tokens, shuffle_seed == 0 ? "" : fmt::format(" shuffled {}", shuffle_seed));
}

RunningPrompts make_run(const LoadedModel& model, ThreadPool& pool, const Prompts& prompts, const RunSetting& setting) {
  RunningPrompts run;
  run.options = {setting.block_tokens, setting.chunk_tokens, setting.together, {}};
  CpuExecutorOptions options = executor_options(setting);
  // One more than needed: a shuffle of one block would be none.
  options.num_blocks = prompt_run_blocks(prompts, run.options) + 1;
  if (setting.shuffle_seed != 0) run.options.block_order = shuffled_blocks(options.num_blocks, setting.shuffle_seed);
  uint32_t total = 0;
  for (const auto& prompt : prompts) {
    options.max_context = std::max(options.max_context, static_cast<uint32_t>(prompt.size()));
    total += static_cast<uint32_t>(prompt.size());
  }
  // 64 MB of logits at most; a tiny vocabulary takes everything in one step.
  const uint32_t most = std::max(1u, (64u << 20) / (model.config().vocab_size * 4));
  options.max_rows = std::min(setting.together ? total : options.max_context, most);
  options.max_logit_rows = options.max_rows;
  options.max_slices = static_cast<uint32_t>(prompts.size());
  auto executor = CpuExecutor::make(model.config(), model.weights, pool, options);
  CHECK(executor.ok(), "{}", executor.error().message);
  run.executor = std::move(executor.value());
  return run;
}

std::vector<std::vector<float>> all_logits(const LoadedModel& model, ThreadPool& pool, const Prompts& prompts,
                                           const RunSetting& setting) {
  const uint32_t vocab_size = model.config().vocab_size;
  std::vector<std::vector<float>> logits;
  for (const auto& prompt : prompts) logits.emplace_back(prompt.size() * vocab_size);
  const RunningPrompts running = make_run(model, pool, prompts, setting);
  PromptRun run(*running.executor, prompts, running.options);
  for (auto step = run.step(); !step.empty(); step = run.step()) {
    for (const PromptRows& rows : step) {
      CHECK(rows.finite, "prompt {} token {}", rows.prompt, rows.first_token);
      for (uint32_t row = 0; row < rows.logits.rows; ++row) {
        std::copy_n(rows.logits.row(row), vocab_size,
                    logits[rows.prompt].begin() + size_t{rows.first_token + row} * vocab_size);
      }
    }
  }
  return logits;
}

std::vector<std::vector<TokenId>> greedy_tokens(const LoadedModel& model, ThreadPool& pool, const Prompts& prompts,
                                                const std::vector<uint32_t>& num_tokens, const RunSetting& setting) {
  CpuExecutorOptions options = executor_options(setting);
  std::vector<Greedy> running;
  options.max_rows = 0;
  for (size_t index = 0; index < prompts.size(); ++index) {
    const auto length = static_cast<uint32_t>(prompts[index].size()) + num_tokens[index];
    const uint32_t blocks = (length + options.block_tokens - 1) / options.block_tokens;
    running.push_back({prompts[index], 0, num_tokens[index], options.num_blocks, blocks});
    options.num_blocks += blocks;
    options.max_context = std::max(options.max_context, length);
    options.max_rows += static_cast<uint32_t>(prompts[index].size());
  }
  options.max_slices = static_cast<uint32_t>(prompts.size());
  auto executor = CpuExecutor::make(model.config(), model.weights, pool, options);
  CHECK(executor.ok(), "{}", executor.error().message);
  std::vector<BlockId> tables(options.num_blocks);
  std::iota(tables.begin(), tables.end(), 0);

  while (true) {
    std::vector<TokenId> rows;
    std::vector<StepSlice> slices;
    std::vector<size_t> of_slice;
    for (size_t index = 0; index < running.size(); ++index) {
      Greedy& one = running[index];
      if (one.num_left == 0) continue;
      const auto pending = static_cast<uint32_t>(one.tokens.size()) - one.num_computed;
      slices.push_back(
          {static_cast<uint32_t>(rows.size()), pending, one.num_computed, one.first_block, one.num_blocks, 1});
      of_slice.push_back(index);
      rows.insert(rows.end(), one.tokens.begin() + one.num_computed, one.tokens.end());
    }
    if (slices.empty()) break;
    const Logits logits = executor.value()->run({rows, slices, tables, {}});
    for (size_t slice = 0; slice < slices.size(); ++slice) {
      CHECK(logits.slice_finite[slice] != 0, "slice {}", slice);
      Greedy& one = running[of_slice[slice]];
      one.num_computed = static_cast<uint32_t>(one.tokens.size());
      one.tokens.push_back(argmax(logits.rows.span(slice)));
      --one.num_left;
    }
  }
  std::vector<std::vector<TokenId>> answers;
  for (size_t index = 0; index < running.size(); ++index) {
    answers.emplace_back(running[index].tokens.begin() + static_cast<ptrdiff_t>(prompts[index].size()),
                         running[index].tokens.end());
  }
  return answers;
}

}  // namespace slipstream
