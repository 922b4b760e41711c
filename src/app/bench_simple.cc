// slipstream bench simple: one answer in simple mode beside the same answer in an engine that could run many together:
// neither may cost anything. Steps take turns, so that both meet the same machine, and the figures are medians.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "app/benchmarks.h"
#include "app/load.h"
#include "app/local_engine.h"
#include "app/progress_bar.h"
#include "app/serve_settings.h"
#include "app/tuning.h"
#include "base/percentile.h"

namespace slipstream {
namespace {

constexpr double kGoalPercent = 1;
constexpr uint32_t kTurnSteps = 4;  // of one engine before it is the other's turn

struct Side {
  std::unique_ptr<CpuExecutor> executor;
  std::unique_ptr<LocalEngine> engine;
  std::vector<double> step_s;
};

Result<Side> make_side(uint32_t max_num_seqs, const LoadOptions& options, const OpenedModel& model,
                       const CpuExecutorOptions& executor_options, ThreadPool& pool) {
  EngineOptions engine_options;
  engine_options.block_tokens = executor_options.block_tokens;
  engine_options.max_model_len = options.prompt_tokens + options.max_tokens;
  engine_options.num_blocks = engine_options.max_model_len / engine_options.block_tokens + 2;
  engine_options.max_num_seqs = max_num_seqs;
  engine_options.max_step_ms = 0;
  Side side;
  ASSIGN_OR_RETURN(side.executor, make_executor(model, engine_options, executor_options, pool));
  side.engine = std::make_unique<LocalEngine>(engine_options, *side.executor, pool);
  return side;
}

// One answer of each, in turns.
Status measure_round(uint32_t round, const LoadOptions& options, uint32_t vocab_size, std::array<Side, 2>& sides,
                     const TokensDone& tokens_done) {
  const Clock clock = Clock::real();
  for (Side& side : sides) {
    ASSIGN_OR_RETURN(const size_t request,
                     side.engine->ask(made_up_tokens(round, options.prompt_tokens, vocab_size), options.max_tokens));
    RETURN_IF_ERROR(side.engine->step_until_first_token(request));
  }
  for (uint32_t turn = round; !sides[0].engine->all_ended() || !sides[1].engine->all_ended(); ++turn) {
    Side& side = sides[turn % 2];
    for (uint32_t step = 0; step < kTurnSteps && !side.engine->all_ended(); ++step) {
      const double begin_s = clock.now_s();
      RETURN_IF_ERROR(side.engine->step());
      side.step_s.push_back(clock.now_s() - begin_s);
      tokens_done(1);
    }
  }
  return ok_status();
}

}  // namespace

Result<Figures> bench_simple(const MeasuredModelOptions& model_options, const LoadOptions& options) {
  ThreadPool pool = model_options.compute.make_pool();
  ASSIGN_OR_RETURN(const CpuExecutorOptions executor_options, model_options.compute.executor_options());
  ASSIGN_OR_RETURN(const OpenedModel model, load_measured_model(model_options, pool));
  tune_for_weights(pool, executor_options.isa, {model.weights.memory.data(), model.weights.packed_bytes});
  std::array<Side, 2> sides;
  ASSIGN_OR_RETURN(sides[0], make_side(1, options, model, executor_options, pool));
  ASSIGN_OR_RETURN(sides[1], make_side(ServeSettings().max_num_seqs, options, model, executor_options, pool));

  const uint64_t total = uint64_t{2} * options.rounds * (options.max_tokens - 1);
  uint64_t done = 0;
  const LoadProgress bar = terminal_progress("steps", ProgressUnit::kTokens);
  for (uint32_t round = 0; round < options.rounds; ++round) {
    RETURN_IF_ERROR(measure_round(round, options, model.config.vocab_size, sides, [&](uint64_t more) {
      done += more;
      if (bar) bar(done, total);
    }));
  }
  const double simple = 1 / median(sides[0].step_s), batched = 1 / median(sides[1].step_s);
  const std::string name = model_options.short_name();
  Figures figures;
  figures.push_back({.name = fmt::format("simple {}", name), .value = simple, .unit = "tokens/s", .limit = batched});
  figures.push_back({.name = fmt::format("simple {} batched, width 1", name), .value = batched, .unit = "tokens/s",
                     .limit = simple});
  Figure apart{.name = fmt::format("simple {} apart", name), .value = std::abs(simple / batched - 1) * 100, .unit = "%",
               .more_is_better = false};
  // Steps of a made-up model end within a millisecond, where a neighbour of this machine shows.
  if (name != "small") apart.goal = kGoalPercent;
  figures.push_back(std::move(apart));
  return figures;
}

}  // namespace slipstream
