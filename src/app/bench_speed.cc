// slipstream bench machine, decode, batch, prefill: tokens a second of whole steps, from a request to its drawn token,
// beside what this machine could do at the most, measured in the same run, between the steps. Both sides are medians. A
// share over 100 % means that the limit was measured badly, and fails.
#include <fmt/format.h>

#include <memory>

#include "app/benchmarks.h"
#include "app/local_engine.h"
#include "app/made_up_kv.h"
#include "app/progress_bar.h"
#include "app/step_limit.h"
#include "app/tuning.h"
#include "base/percentile.h"

namespace slipstream {
namespace {

constexpr uint32_t kSteps = 33;        // measured of each figure, after
constexpr uint32_t kWarmSteps = 3;
constexpr uint32_t kFewestSteps = 7;   // where a step takes long:
constexpr double kEnoughSeconds = 5;
constexpr uint32_t kPrompts = 3;       // of each length
constexpr size_t kFewestWeights = 64 << 20;  // smaller ones come from a cache, and memory's speed is no limit

struct Run {
  const MeasuredModelOptions& options;
  CpuExecutorOptions executor;
  ThreadPool& pool;
  OpenedModel model;
  std::string name;

  MachineWatch watch() const {
    return MachineWatch(pool, {model.weights.memory.data(), model.weights.packed_bytes}, executor.isa);
  }
  // Absent where the weights are too few.
  std::optional<double> limit_s(const StepShape& shape, const MachineWatch& watch) const {
    if (model.weights.packed_bytes < kFewestWeights) return std::nullopt;
    return step_limit_s(model.config, model.weights, executor.activations, shape, watch.limits());
  }
};

Result<Run> make_run(const MeasuredModelOptions& options, ThreadPool& pool) {
  ASSIGN_OR_RETURN(const CpuExecutorOptions executor, options.compute.executor_options());
  ASSIGN_OR_RETURN(OpenedModel model, load_measured_model(options, pool));
  tune_for_weights(pool, executor.isa, {model.weights.memory.data(), model.weights.packed_bytes});
  return Run{options, executor, pool, std::move(model), options.short_name()};
}

struct Measured {
  double seconds = 0;
  std::optional<double> limit_s;
};

// Its seconds; then a look at the machine, which takes a tenth of that.
Result<double> timed_step(LocalEngine& engine, MachineWatch& watch) {
  const double begin = Clock::real().now_s();
  RETURN_IF_ERROR(engine.step());
  const double seconds = Clock::real().now_s() - begin;
  watch.look(seconds / 30);
  return seconds;
}

// -- steps of running answers --------------------------------------------------------------------
EngineOptions steps_options(uint32_t batch, uint32_t context, uint32_t block_tokens) {
  EngineOptions options;
  options.block_tokens = block_tokens;
  options.max_model_len = context + 2 + kWarmSteps + kSteps;
  options.num_blocks = batch * (options.max_model_len / block_tokens + 3);
  options.max_num_seqs = batch;
  options.max_step_ms = 0;
  return options;
}

// Medians of steps in which each of `batch` sequences has one row, from position `context` on.
Result<Measured> measure_steps_once(const Run& run, uint32_t batch, uint32_t context) {
  const EngineOptions options = steps_options(batch, context, run.executor.block_tokens);
  ASSIGN_OR_RETURN(const auto executor, make_executor(run.model, options, run.executor, run.pool));
  MadeUpKv store(options.block_tokens, executor->block_bytes(), run.executor.activations == ActivationMode::kF32);
  LocalEngine engine(options, *executor, run.pool, &store);
  std::vector<std::vector<TokenId>> prompts;
  for (uint32_t i = 0; i < batch; ++i) {
    prompts.push_back(made_up_tokens(100 + i, context + 1, run.model.config.vocab_size));
    RETURN_IF_ERROR(engine.ask(prompts.back(), 1));  // fetches its K and V
    RETURN_IF_ERROR(engine.step_until_all_ended());
  }
  for (const std::vector<TokenId>& prompt : prompts) RETURN_IF_ERROR(engine.ask(prompt, kWarmSteps + kSteps));

  for (uint32_t step = 0; step < kWarmSteps; ++step) RETURN_IF_ERROR(engine.step());
  MachineWatch watch = run.watch();
  std::vector<double> seconds;
  double sum = 0;
  while (!engine.all_ended() && (seconds.size() < kFewestSteps || sum < kEnoughSeconds)) {
    const uint64_t rows_before = engine.stats().num_rows;
    ASSIGN_OR_RETURN(const double of_step, timed_step(engine, watch));
    seconds.push_back(of_step);
    sum += of_step;
    if (const uint64_t rows = engine.stats().num_rows - rows_before; rows != batch)
      return outside("a step of {} sequences computed {} rows", batch, rows);
  }
  const auto middle = static_cast<uint32_t>(kWarmSteps + seconds.size() / 2);
  return Measured{median(seconds), run.limit_s({batch, context + middle, 1, 1}, watch)};
}

// -- prompts -------------------------------------------------------------------------------------
Result<Measured> measure_prompts_once(const Run& run, uint32_t tokens) {
  EngineOptions options = steps_options(1, tokens, run.executor.block_tokens);
  options.prefix_cache = false;
  ASSIGN_OR_RETURN(const auto executor, make_executor(run.model, options, run.executor, run.pool));
  LocalEngine engine(options, *executor, run.pool);
  MachineWatch watch = run.watch();
  std::vector<double> seconds;
  for (uint32_t i = 0; i <= kPrompts; ++i) {  // the first one touches memory for the first time
    RETURN_IF_ERROR(engine.ask(made_up_tokens(i, tokens, run.model.config.vocab_size), 1));
    double of_prompt = 0;
    while (!engine.all_ended()) {
      ASSIGN_OR_RETURN(const double of_step, timed_step(engine, watch));
      of_prompt += of_step;
    }
    if (i > 0) seconds.push_back(of_prompt);
  }
  return Measured{median(seconds), run.limit_s({1, 0, tokens, 1}, watch)};
}

// Again where the limit is the slower one: the machine has changed its speed between the one and the other, as one that
// is shared does. What is so each time is an error, which within_limits() finds.
template <class MeasureOnce>
Result<Measured> measure_again(MeasureOnce&& measure_once) {
  constexpr int kTries = 3;
  for (int i = 1;; ++i) {
    ASSIGN_OR_RETURN(const Measured measured, measure_once());
    if (i == kTries || measured.limit_s.value_or(0) <= measured.seconds) return measured;
  }
}

Result<Measured> measure_steps(const Run& run, uint32_t batch, uint32_t context) {
  return measure_again([&] { return measure_steps_once(run, batch, context); });
}

// -- figures -------------------------------------------------------------------------------------
void add_rate(Figures& figures, std::string name, double tokens, const Measured& measured) {
  Figure figure;
  figure.name = std::move(name);
  figure.value = tokens / measured.seconds;
  figure.unit = "tokens/s";
  if (measured.limit_s) figure.limit = tokens / *measured.limit_s;
  figures.push_back(std::move(figure));
}

void add_time(Figures& figures, std::string name, const Measured& measured) {
  Figure figure;
  figure.name = std::move(name);
  figure.value = measured.seconds * 1e3;
  figure.unit = "ms";
  if (measured.limit_s) figure.limit = *measured.limit_s * 1e3;
  figure.more_is_better = false;
  figures.push_back(std::move(figure));
}

std::string context_name(uint32_t context) { return fmt::format(" ctx {}", context); }

}  // namespace

Result<Figures> within_limits(Figures figures) {
  constexpr double kMostShare = 1.005;  // both sides are rounded by the clock
  for (const Figure& figure : figures) {
    if (figure.share().value_or(0) > kMostShare)
      return outside("{}: {:.2f} {} where {:.2f} is the limit: the limit was measured badly", figure.name, figure.value,
                     figure.unit, *figure.limit);
  }
  return figures;
}

Result<Figures> bench_machine(const MeasuredModelOptions& options) {
  ThreadPool pool = options.compute.make_pool();
  ASSIGN_OR_RETURN(const CpuExecutorOptions executor, options.compute.executor_options());
  constexpr size_t kBytes = size_t{1} << 30;
  ASSIGN_OR_RETURN(const Arena memory, random_memory(kBytes, pool));
  const MachineLimits limits = measure_machine(pool, {memory.data(), memory.size()}, executor.isa);
  Figures figures;
  const auto add = [&figures](std::string name, double value, std::string unit) {
    Figure figure;
    figure.name = std::move(name);
    figure.value = value;
    figure.unit = std::move(unit);
    figures.push_back(std::move(figure));
  };
  const ReadWay& way = limits.read_way;
  add(fmt::format("read of memory, {} threads", pool.num_threads()), limits.read_gb_s, "GB/s");
  add("  its best way: streams of a thread", way.streams, "");
  add("  its best way: asked for ahead", way.prefetch_bytes, "bytes");
  add(fmt::format("int16 products, {}", isa_name(executor.isa)), limits.integer_tops, "TOPS");
  add(fmt::format("fp32 FMA, {}", isa_name(executor.isa)), limits.fma_tops, "TFLOP/s");
  return figures;
}

Result<Figures> bench_decode(const MeasuredModelOptions& options, const SpeedOptions& speed) {
  ThreadPool pool = options.compute.make_pool();
  ASSIGN_OR_RETURN(const Run run, make_run(options, pool));
  ASSIGN_OR_RETURN(const Measured measured, measure_steps(run, 1, speed.context));
  Figures figures;
  add_rate(figures, "decode " + run.name + context_name(speed.context), 1, measured);
  return within_limits(std::move(figures));
}

Result<Figures> bench_batch(const MeasuredModelOptions& options, const SpeedOptions& speed) {
  ThreadPool pool = options.compute.make_pool();
  ASSIGN_OR_RETURN(const Run run, make_run(options, pool));
  const std::string at = speed.context == SpeedOptions().context ? "" : context_name(speed.context);
  const LoadProgress progress = terminal_progress("batches", ProgressUnit::kTokens);
  Figures rates, times;
  std::optional<Measured> one, five;
  uint64_t done = 0, total = 0;
  for (uint32_t batch : speed.batches) total += batch;
  for (uint32_t batch : speed.batches) {
    ASSIGN_OR_RETURN(const Measured measured, measure_steps(run, batch, speed.context));
    add_rate(rates, fmt::format("batch {}{} {}", run.name, at, batch), batch, measured);
    add_time(times, fmt::format("step {}{} {}", run.name, at, batch), measured);
    if (batch == 1) one = measured;
    if (batch == 5) five = measured;
    if (progress) progress(done += batch, total);
  }
  ASSIGN_OR_RETURN(Figures figures, within_limits(std::move(rates)));
  figures.insert(figures.end(), times.begin(), times.end());
  if (one && five) {
    Figure figure;
    figure.name = fmt::format("speed-up {}{} of 5 over 1", run.name, at);
    figure.value = 5 * one->seconds / five->seconds;
    figure.unit = "x";
    if (one->limit_s && five->limit_s) figure.limit = 5 * *one->limit_s / *five->limit_s;
    figures.push_back(std::move(figure));
  }
  return figures;
}

Result<Figures> bench_prefill(const MeasuredModelOptions& options, const SpeedOptions& speed) {
  ThreadPool pool = options.compute.make_pool();
  ASSIGN_OR_RETURN(const Run run, make_run(options, pool));
  const LoadProgress progress = terminal_progress("prompts", ProgressUnit::kTokens);
  uint64_t done = 0, total = 0;
  for (uint32_t tokens : speed.prompts) total += tokens;
  Figures figures;
  for (uint32_t tokens : speed.prompts) {
    ASSIGN_OR_RETURN(const Measured measured, measure_again([&] { return measure_prompts_once(run, tokens); }));
    add_rate(figures, fmt::format("prefill {} {}", run.name, tokens), tokens, measured);
    if (progress) progress(done += tokens, total);
  }
  return within_limits(std::move(figures));
}

}  // namespace slipstream
