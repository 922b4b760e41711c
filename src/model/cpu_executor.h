// The Executor that computes on this machine's processor.
#pragma once

#include <memory>

#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "model/executor.h"
#include "model/model_config.h"
#include "model/weights.h"

namespace slipstream {

enum class ActivationMode : uint8_t {
  kInt16,  // the product's arithmetic
  kF32,    // --activations f32: everything and KV in fp32; the yardstick
};

struct CpuExecutorOptions {
  Isa isa = best_isa();
  ActivationMode activations = ActivationMode::kInt16;
  uint32_t num_blocks = 0;
  uint32_t block_tokens = 64;
  uint32_t max_rows = 2048;  // of one step
  uint32_t max_slices = 256;
  uint32_t max_logit_rows = 0;  // of one step; 0: max_slices
  uint32_t max_context = 0;     // longest sequence, in tokens
  bool touch_kv = false;        // take all of the KV memory from the system now, not block by block as tokens come
};

// Bytes of KV that one block takes (all layers, K and V).
uint64_t kv_block_bytes(const ModelConfig& config, uint32_t block_tokens, ActivationMode activations);

// Bytes that CpuExecutor::make() takes besides the KV blocks: for planning how many of them there can be.
uint64_t executor_workspace_bytes(const ModelConfig& config, const CpuExecutorOptions& options, uint32_t num_threads);

class CpuExecutor final : public Executor {
 public:
  // config, weights and pool outlive it. Error: the memory cannot be had.
  static Result<std::unique_ptr<CpuExecutor>> make(const ModelConfig& config, const Weights& weights, ThreadPool& pool,
                                                   const CpuExecutorOptions& options);
  ~CpuExecutor() override;

  Logits run(const StepInput& input) override;
  uint32_t vocab_size() const override;
  uint32_t max_rows() const override;
  uint32_t max_slices() const override;
  uint32_t max_logit_rows() const override;
  size_t block_bytes() const override;
  void save_block(BlockId block, std::span<std::byte> into) const override;
  void load_block(BlockId block, std::span<const std::byte> from) override;
  uint64_t workspace_bytes() const;
  uint64_t num_clamped_kv() const;  // values beyond fp16's range, saturated so far

 private:
  struct State;
  explicit CpuExecutor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slipstream
