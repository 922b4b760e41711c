#include "app/measured_engine.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "app/local_engine.h"
#include "app/memory_plan.h"
#include "app/tuning.h"
#include "engine/capacity.h"

namespace slipstream {
namespace {

constexpr uint64_t kMiB = 1 << 20;

EngineOptions engine_options_of(const ServeSettings& settings, const EngineRoom& room) {
  EngineOptions options;
  options.block_tokens = settings.block_tokens;
  options.max_model_len = room.max_model_len;
  options.max_num_seqs = settings.max_num_seqs;
  options.max_num_batched_tokens = settings.max_num_batched_tokens;
  options.max_step_ms = settings.max_step_ms;
  // A block more for each, since what is remembered of a prompt before is given up for one that comes.
  options.num_blocks =
      room.num_streams * (static_cast<uint32_t>(blocks_for(room.max_model_len, settings.block_tokens)) + 1);
  return options;
}

// Asks the next where fewer than num_streams run.
Status ask_more(const LoadPlan& plan, LocalEngine& engine, Load& load, const Clock& clock) {
  const auto ended = static_cast<uint32_t>(std::ranges::count_if(engine.answers(), &LocalAnswer::ended));
  while (load.size() < plan.num_requests && load.size() - ended < plan.num_streams) {
    LoadedRequest request;
    request.asked_s = clock.now_s();
    RETURN_IF_ERROR(engine.ask(plan.prompt(static_cast<uint32_t>(load.size())), plan.max_tokens));
    load.push_back(std::move(request));
  }
  return ok_status();
}

// What the step before has brought.
void note(std::span<const LocalAnswer> answers, double now_s, Load& load, const TokensDone& tokens_done) {
  for (size_t index = 0; index < answers.size(); ++index) {
    LoadedRequest& request = load[index];
    const auto num_tokens = static_cast<uint32_t>(answers[index].tokens.size());
    if (num_tokens == request.num_tokens) continue;
    if (tokens_done) tokens_done(num_tokens - request.num_tokens);
    if (request.num_tokens == 0) request.first_event_s = now_s;
    request.text_s.push_back(now_s);
    request.num_tokens = num_tokens;
    request.ended_s = now_s;
  }
}

}  // namespace

std::vector<std::string> serve_arguments_of(const MeasuredModelOptions& options) {
  const ComputeOptions& compute = options.compute;
  if (options.num_layers != 0) throw CLI::ValidationError("--layers", "a server takes whole models");
  if (compute.activations != "int16") throw CLI::ValidationError("--activations", "a server has int16 alone");
  std::vector<std::string> arguments = {"--threads", std::to_string(compute.threads()), "--paged-cache-block-size",
                                        std::to_string(compute.block_tokens)};
  if (!compute.isa.empty()) arguments.insert(arguments.end(), {"--isa", compute.isa});
  if (compute.dummy.empty()) {
    arguments.push_back(compute.model);
  } else {
    arguments.insert(arguments.end(), {"--dummy", compute.dummy});
  }
  return arguments;
}

Result<std::unique_ptr<MeasuredEngine>> MeasuredEngine::open(const MeasuredModelOptions& options,
                                                             const EngineRoom& room) {
  ASSIGN_OR_RETURN(const CpuExecutorOptions compute, options.compute.executor_options());
  std::unique_ptr<MeasuredEngine> engine(new MeasuredEngine(options.compute));
  ASSIGN_OR_RETURN(engine->model_, load_measured_model(options, engine->pool_));
  const Weights& weights = engine->model_->weights;
  tune_for_weights(engine->pool_, compute.isa, {weights.memory.data(), weights.packed_bytes});
  const ModelConfig& config = engine->model_->config;
  if (room.max_model_len > config.max_position_embeddings) {
    return invalid("prompt and answer have {} tokens together; this model was made for {}", room.max_model_len,
                   config.max_position_embeddings);
  }
  ServeSettings settings;
  settings.continuous_batching = true;
  settings.max_num_seqs = room.num_streams;
  settings.block_tokens = compute.block_tokens;
  settings.isa = compute.isa;
  engine->engine_options_ = engine_options_of(settings, room);
  ASSIGN_OR_RETURN(engine->executor_, make_executor(*engine->model_, engine->engine_options_,
                                                    executor_options(settings), engine->pool_));

  const uint64_t block_bytes = kv_block_bytes(config, settings.block_tokens, compute.activations);
  const uint64_t pool_bytes = engine->engine_options_.num_blocks * bytes_of_block(block_bytes, settings.block_tokens);
  engine->serve_arguments_ = serve_arguments_of(options);
  const std::vector<std::string> sizes = {"--continuous-batching",
                                          "--max-num-seqs",
                                          std::to_string(room.num_streams),
                                          "--max-model-len",
                                          std::to_string(room.max_model_len),
                                          "--cache-memory-mb",
                                          std::to_string(pool_bytes / kMiB + 1)};
  engine->serve_arguments_.insert(engine->serve_arguments_.end(), sizes.begin(), sizes.end());
  return engine;
}

Result<Load> MeasuredEngine::run(const LoadPlan& plan, const TokensDone& tokens_done) {
  const Clock clock = Clock::real();
  LocalEngine engine(engine_options_, *executor_, pool_);
  Load load;
  load.reserve(plan.num_requests);
  RETURN_IF_ERROR(ask_more(plan, engine, load, clock));
  while (!engine.all_ended()) {
    RETURN_IF_ERROR(engine.step());
    note(engine.answers(), clock.now_s(), load, tokens_done);
    RETURN_IF_ERROR(ask_more(plan, engine, load, clock));
  }
  return load;
}

}  // namespace slipstream
