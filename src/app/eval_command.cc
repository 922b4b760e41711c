// slipstream eval perplexity MODEL FILE: how surprised a model is by a text. The text's tokens are cut into windows
// with nothing before them; each token but a window's first counts.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "app/commands.h"
#include "app/compute_options.h"
#include "app/model_files.h"
#include "app/model_path.h"
#include "app/progress_bar.h"
#include "files/text_file.h"
#include "model/perplexity.h"

namespace slipstream {
namespace {

constexpr uint64_t kMaxTextBytes = 64ull << 20;

struct PerplexityOptions {
  ComputeOptions compute;
  std::string text_file;
  uint32_t window_tokens = 512;
  uint64_t max_tokens = 0;
};

Status run_perplexity(const PerplexityOptions& options) {
  ASSIGN_OR_RETURN(const CpuExecutorOptions executor, options.compute.executor_options());
  ASSIGN_OR_RETURN(const std::string text, read_text_file(options.text_file, kMaxTextBytes));
  ThreadPool pool = options.compute.make_pool();
  ASSIGN_OR_RETURN(const ModelPath found, options.compute.find());
  ASSIGN_OR_RETURN(ModelFiles files, open_model_files(found));
  ASSIGN_OR_RETURN(const OpenedModel model, load_model(std::move(files), pool, terminal_progress("loading")));
  if (options.window_tokens > model.config.max_position_embeddings) {
    return invalid("--window {}: the model takes {} tokens (max_position_embeddings)", options.window_tokens,
                   model.config.max_position_embeddings);
  }
  ASSIGN_OR_RETURN(std::vector<TokenId> tokens, model.text.tokenizer.encode(text, false));
  if (options.max_tokens != 0) tokens.resize(std::min<uint64_t>(tokens.size(), options.max_tokens));
  if (tokens.size() < 2) return invalid("{} has {} tokens, perplexity needs two", options.text_file, tokens.size());

  ASSIGN_OR_RETURN(const Perplexity result,
                   measure_perplexity(model.config, model.weights, pool, executor, tokens, options.window_tokens));
  fmt::print("{:>8} {:>8} {:>12}\n", "window", "tokens", "mean nll");
  for (size_t window = 0; window < result.windows.size(); ++window) {
    fmt::print("{:>8} {:>8} {:>12.6f}\n", window, result.windows[window].num_tokens, result.windows[window].mean_nll);
  }
  fmt::print("perplexity {:.5f} of {} tokens\n", result.perplexity, result.num_tokens);
  return ok_status();
}

}  // namespace

void add_eval_command(CLI::App& program, int& exit_status) {
  CLI::App* eval = program.add_subcommand("eval", "measure a model");
  eval->require_subcommand(1);
  const auto options = std::make_shared<PerplexityOptions>();
  CLI::App* command = eval->add_subcommand("perplexity", "perplexity of a text, in windows with nothing before them");
  options->compute.add_to(*command);
  command->add_option("FILE", options->text_file, "the text, UTF-8");
  command->add_option("--window", options->window_tokens, "tokens of a window")
      ->check(CLI::Range(2u, 1u << 20))
      ->capture_default_str();
  command->add_option("--max-tokens", options->max_tokens, "only so many tokens of the text (default: all)");
  command->callback([options, &exit_status] {
    PerplexityOptions& given = *options;
    if (!given.compute.dummy.empty() && given.text_file.empty()) given.text_file.swap(given.compute.model);
    require_one_model(given.compute.model, given.compute.dummy);
    if (given.text_file.empty()) throw CLI::RequiredError("FILE");
    const Status status = run_perplexity(*options);
    exit_status = status.ok() ? 0 : fail(status.error());
  });
}

}  // namespace slipstream
