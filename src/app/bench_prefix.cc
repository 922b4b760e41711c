// slipstream bench prefix: how long a prompt of 4,000 tokens waits for its first token: cold, the same again, and the
// last of eight that arrive together and begin alike. The number of tokens computed proves where the time went.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "app/benchmarks.h"
#include "app/local_engine.h"

namespace slipstream {
namespace {

constexpr uint32_t kPromptTokens = 4000;
constexpr uint32_t kOwnTokens = 32;  // of each in the burst: its question
constexpr uint32_t kBurst = 8;
constexpr uint32_t kAnswerTokens = 1;
// With shared work the burst's last waits for one prompt, eight questions and eight draws.
constexpr double kBurstGoal = 1.3;
constexpr uint32_t kRepeats = 3;  // of each the fastest: neighbours slow a processor down

struct Waits {
  double cold_s = 0;
  double again_s = 0;
  double burst_last_s = 0;
  uint64_t cold_rows = 0;  // tokens computed
  uint64_t again_rows = 0;
  uint64_t burst_rows = 0;
};

std::vector<TokenId> prompt_of(uint64_t shared_seed, uint64_t own_seed, uint32_t vocab_size) {
  return made_up_prompt(shared_seed, kPromptTokens - kOwnTokens, own_seed, kOwnTokens, vocab_size);
}

Result<double> wait_of(const std::vector<std::vector<TokenId>>& prompts, LocalEngine& engine, uint64_t& num_rows) {
  const uint64_t rows_before = engine.stats().num_rows;
  const size_t first = engine.answers().size();
  for (const std::vector<TokenId>& prompt : prompts) RETURN_IF_ERROR(engine.ask(prompt, kAnswerTokens));
  RETURN_IF_ERROR(engine.step_until_all_ended());
  num_rows = engine.stats().num_rows - rows_before;
  double last_s = 0;
  for (const LocalAnswer& answer : engine.answers().subspan(first)) last_s = std::max(last_s, answer.first_token_s);
  return last_s;
}

// Fresh prompts each time, in an engine of their own.
Result<Waits> measure(uint64_t seed, uint32_t vocab_size, LocalEngine& engine) {
  Waits waits;
  const std::vector<TokenId> alone = prompt_of(10 * seed, 1, vocab_size);
  ASSIGN_OR_RETURN(waits.cold_s, wait_of({alone}, engine, waits.cold_rows));
  ASSIGN_OR_RETURN(waits.again_s, wait_of({alone}, engine, waits.again_rows));
  std::vector<std::vector<TokenId>> burst;
  for (uint32_t user = 0; user < kBurst; ++user) burst.push_back(prompt_of(10 * seed + 1, 100 + user, vocab_size));
  ASSIGN_OR_RETURN(waits.burst_last_s, wait_of(burst, engine, waits.burst_rows));
  return waits;
}

Figures figures_of(const Waits& waits) {
  const auto count = [](uint64_t rows) { return static_cast<double>(rows); };
  constexpr double kLeastBurstRows = kPromptTokens + (kBurst - 1) * kOwnTokens;
  Figures figures;
  const auto add = [&figures](std::string name, double value, std::string unit, std::optional<double> limit,
                              std::optional<double> goal = std::nullopt) {
    figures.push_back({std::move(name), value, std::move(unit), limit, false, goal});
  };
  // The limits of times: the cold one's time a token, for the tokens that have to be computed.
  const double token_ms = waits.cold_s * 1e3 / kPromptTokens;
  add(fmt::format("TTFT of {} tokens, cold", kPromptTokens), waits.cold_s * 1e3, "ms", std::nullopt);
  add("TTFT of the same again", waits.again_s * 1e3, "ms", token_ms);
  add(fmt::format("TTFT of the last of {} that begin alike", kBurst), waits.burst_last_s * 1e3, "ms",
      token_ms * kLeastBurstRows);
  add("  of the cold one's", waits.burst_last_s / waits.cold_s, "", kLeastBurstRows / kPromptTokens, kBurstGoal);
  add("tokens computed, cold", count(waits.cold_rows), "tokens", kPromptTokens, kPromptTokens);
  add("tokens computed, the same again", count(waits.again_rows), "tokens", 1, 1);
  add(fmt::format("tokens computed, {} that begin alike", kBurst), count(waits.burst_rows), "tokens", kLeastBurstRows,
      kLeastBurstRows);
  return figures;
}

}  // namespace

Result<Figures> bench_prefix(const MeasuredModelOptions& options) {
  ThreadPool pool = options.compute.make_pool();
  ASSIGN_OR_RETURN(const CpuExecutorOptions executor_options, options.compute.executor_options());
  ASSIGN_OR_RETURN(const OpenedModel model, load_measured_model(options, pool));
  const uint32_t block_tokens = executor_options.block_tokens;
  EngineOptions engine_options;
  engine_options.block_tokens = block_tokens;
  engine_options.max_model_len = kPromptTokens + kAnswerTokens;
  // Each prompt and its copies of tails fit beside the others.
  engine_options.num_blocks = (kBurst + 2) * (engine_options.max_model_len / block_tokens + 2);
  engine_options.max_num_seqs = kBurst;
  engine_options.max_step_ms = 0;
  ASSIGN_OR_RETURN(const auto executor, make_executor(model, engine_options, executor_options, pool));
  Waits best;
  for (uint32_t repeat = 0; repeat < kRepeats; ++repeat) {
    LocalEngine engine(engine_options, *executor, pool);
    ASSIGN_OR_RETURN(const Waits waits, measure(repeat + 1, model.config.vocab_size, engine));
    if (repeat == 0) best = waits;
    best.cold_s = std::min(best.cold_s, waits.cold_s);
    best.again_s = std::min(best.again_s, waits.again_s);
    best.burst_last_s = std::min(best.burst_last_s, waits.burst_last_s);
  }
  return figures_of(best);
}

}  // namespace slipstream
