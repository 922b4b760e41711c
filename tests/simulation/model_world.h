// Worlds in which a real (tiny) model answers: what is alone, in a batch, in chunks, after a hit or a preemption must
// be the same.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/cpu_executor.h"
#include "world.h"

namespace slipstream {

class ModelWorlds {
 public:
  static Result<std::unique_ptr<ModelWorlds>> make(const std::string& checkpoint, uint32_t num_threads);

  // The whole of one world, from its seed. The answers alone come from an engine that has one request at a time.
  WorldResult run(uint64_t seed);

  const ModelConfig& config() const { return checkpoint_.config; }
  const Weights& weights() const { return weights_; }
  ThreadPool& pool() { return pool_; }
  const TokenTable& table() const { return table_; }

 private:
  ModelWorlds(Checkpoint checkpoint, uint32_t num_threads);
  std::unique_ptr<CpuExecutor> make_executor(uint32_t num_blocks, uint32_t block_tokens, uint32_t max_slices);
  Answer answer_alone(const World& world, const Request& request);

  Checkpoint checkpoint_;
  ThreadPool pool_;
  Weights weights_;
  TokenTable table_;
  WorldShape shape_;
  std::unique_ptr<CpuExecutor> alone_;
};

}  // namespace slipstream
