// slipstream logits MODEL --tokens IN.json --out OUT.safetensors: every logit of some prompts, for oracles and for
// whoever wants to know where two implementations part.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/compute_options.h"
#include "app/model_files.h"
#include "app/model_path.h"
#include "app/progress_bar.h"
#include "files/safetensors_writer.h"
#include "files/text_file.h"
#include "model/prompt_run.h"

namespace slipstream {
namespace {

constexpr uint64_t kMaxTokensFileBytes = 64ull << 20;
constexpr uint64_t kMaxLogitBytes = 128ull << 20;  // of one step; prompts are cut so that its logits fit

struct LogitsOptions {
  ComputeOptions compute;
  std::string tokens_file;
  std::string out_file;
  uint32_t chunk_tokens = 0;
  bool together = false;
};

// A list of lists of token ids below vocab_size, none empty or longer than the model's context.
Result<Prompts> read_prompts(const std::string& path, const ModelConfig& config) {
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxTokensFileBytes));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array() || json.empty())
    return invalid("{}: expected a list of lists of token ids, as [[1, 2], [3]]", path);
  Prompts prompts;
  for (const auto& list : json) {
    const auto where = fmt::format("{}: prompt {}", path, prompts.size());
    if (!list.is_array() || list.empty()) return invalid("{}: expected a list of token ids, not empty", where);
    if (list.size() > config.max_position_embeddings) {
      return invalid("{} has {} tokens, the model takes {} (max_position_embeddings)", where, list.size(),
                     config.max_position_embeddings);
    }
    std::vector<TokenId>& prompt = prompts.emplace_back();
    for (const auto& token : list) {
      if (!token.is_number_unsigned() || token.get<uint64_t>() >= config.vocab_size) {
        return invalid("{}: token {} is {}, expected a whole number below {} (vocab_size)", where, prompt.size(),
                       token.dump(), config.vocab_size);
      }
      prompt.push_back(token.get<TokenId>());
    }
  }
  return prompts;
}

Result<std::unique_ptr<CpuExecutor>> make_executor(const ModelConfig& config, const Weights& weights,
                                                   const Prompts& prompts, const PromptRunOptions& run,
                                                   CpuExecutorOptions executor, ThreadPool& pool) {
  const uint64_t row_bytes = uint64_t{config.vocab_size} * sizeof(float);
  executor.max_rows = static_cast<uint32_t>(std::clamp<uint64_t>(kMaxLogitBytes / row_bytes, 1, 512));
  executor.max_logit_rows = executor.max_rows;
  executor.max_slices = static_cast<uint32_t>(std::min<size_t>(prompts.size(), executor.max_rows));
  executor.num_blocks = prompt_run_blocks(prompts, run);
  for (const auto& prompt : prompts)
    executor.max_context = std::max(executor.max_context, static_cast<uint32_t>(prompt.size()));
  return CpuExecutor::make(config, weights, pool, executor);
}

// Writes the tensors logits.0, logits.1 ..., fp32 [tokens, vocab_size].
Status run_logits(const LogitsOptions& options) {
  ASSIGN_OR_RETURN(const CpuExecutorOptions executor_options, options.compute.executor_options());
  ThreadPool pool = options.compute.make_pool();
  ASSIGN_OR_RETURN(const ModelPath model, options.compute.find());
  ASSIGN_OR_RETURN(Checkpoint checkpoint, open_found(model));
  // No text is needed here, but a folder that is wrong is refused whatever it is opened for. (A GGUF file may come
  // without a tokenizer, from a converter under test.)
  if (checkpoint.names == TensorNames::kHuggingFace) RETURN_IF_ERROR(open_model_text(checkpoint));
  const ModelConfig& config = checkpoint.config;
  ASSIGN_OR_RETURN(const Prompts prompts, read_prompts(options.tokens_file, config));
  ASSIGN_OR_RETURN(const Weights weights, load_checkpoint(checkpoint, pool, terminal_progress("loading")));
  PromptRunOptions run_options;
  run_options.block_tokens = options.compute.block_tokens;
  run_options.chunk_tokens = options.chunk_tokens;
  run_options.together = options.together;
  ASSIGN_OR_RETURN(const auto executor, make_executor(config, weights, prompts, run_options, executor_options, pool));

  std::vector<SafetensorsWriter::Entry> entries;
  for (const auto& prompt : prompts)
    entries.push_back({fmt::format("logits.{}", entries.size()), DType::kF32, {prompt.size(), config.vocab_size}});
  ASSIGN_OR_RETURN(SafetensorsWriter writer, SafetensorsWriter::create(options.out_file, entries));
  PromptRun run(*executor, prompts, run_options);
  for (auto step = run.step(); !step.empty(); step = run.step()) {
    for (const PromptRows& rows : step) {
      if (!rows.finite)
        fmt::print(stderr, "slipstream: prompt {} is not finite from token {} on\n", rows.prompt, rows.first_token);
      for (uint32_t row = 0; row < rows.logits.rows; ++row) {
        RETURN_IF_ERROR(writer.write_row(rows.prompt, rows.first_token + row, rows.logits.span(row)));
      }
    }
  }
  if (executor->num_clamped_kv() != 0) {
    fmt::print(stderr, "slipstream: {} values of K or V were beyond fp16 and saturate\n", executor->num_clamped_kv());
  }
  return writer.close();
}

}  // namespace

void add_logits_command(CLI::App& program, int& exit_status) {
  const auto options = std::make_shared<LogitsOptions>();
  CLI::App* command = program.add_subcommand("logits", "write every logit of some prompts to a safetensors file");
  options->compute.add_to(*command);
  command->add_option("--tokens", options->tokens_file, "JSON: a list of lists of token ids")->required();
  command->add_option("--out", options->out_file, "safetensors file: logits.0, logits.1 ... fp32 [tokens, vocabulary]")
      ->required();
  command->add_option("--chunk", options->chunk_tokens, "cut prompts into pieces of N tokens; never changes a bit")
      ->check(CLI::Range(1u, 1u << 30));
  command->add_flag("--together", options->together, "compute all prompts as one batch; never changes a bit");
  command->callback([options, &exit_status] {
    require_one_model(options->compute.model, options->compute.dummy);
    const Status status = run_logits(*options);
    exit_status = status.ok() ? 0 : fail(status.error());
  });
}

}  // namespace slipstream
