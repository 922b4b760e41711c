// A model in this process, with the room and the settings that `slipstream serve` would give it, for benchmarks that
// put a server beside its engine alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/load.h"
#include "app/measured_model.h"
#include "app/serve_settings.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "engine/engine.h"
#include "model/cpu_executor.h"

namespace slipstream {

// Room for so many sequences at once, none longer than that.
struct EngineRoom {
  uint32_t num_streams = 1;
  uint32_t max_model_len = 0;
};

class MeasuredEngine {
 public:
  // Error: the model cannot be loaded, or is made for shorter sequences.
  static Result<std::unique_ptr<MeasuredEngine>> open(const MeasuredModelOptions& options, const EngineRoom& room);

  const ModelConfig& config() const { return model_->config; }
  // What makes a server of the same: arguments of `serve`.
  const std::vector<std::string>& serve_arguments() const { return serve_arguments_; }
  // In an engine of its own: nothing is remembered of a load before.
  Result<Load> run(const LoadPlan& plan, const TokensDone& tokens_done);

 private:
  explicit MeasuredEngine(const ComputeOptions& compute) : pool_(compute.make_pool()) {}

  ThreadPool pool_;
  std::optional<OpenedModel> model_;
  EngineOptions engine_options_;
  std::unique_ptr<CpuExecutor> executor_;
  std::vector<std::string> serve_arguments_;
};

// MODEL or --dummy, threads, instruction set and block size, as `serve` has them. Throws CLI::ParseError where it has
// no such thing: --layers, --activations f32.
std::vector<std::string> serve_arguments_of(const MeasuredModelOptions& options);

}  // namespace slipstream
