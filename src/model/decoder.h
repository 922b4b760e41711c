// The model's formula: embed; in every layer norm -> q, k, v -> rope -> attention -> o, norm -> gate, up -> down; final
// norm; logits. Families are fields of ModelConfig, read here; there is no class per family.
//
// Work is divided among threads by rows, panels of 16 outputs, heads and row ranges, never over a sum, so that the bits
// of a row depend on its own sequence alone. A row that is not finite is flagged; it can garble its own sequence's KV
// and nothing else. Owned by the engine thread; allocates nothing after construction.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/shared_ranges.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "model/attention_plan.h"
#include "model/expert_mlp.h"
#include "model/kv_storage.h"
#include "model/model_config.h"
#include "model/rope.h"
#include "model/section_counts.h"
#include "model/weights.h"
#include "model/workspace.h"

namespace slipstream {

// The rows that go through the layers together: a step, or what of it fits the workspace.
struct PassSlice {
  AttentionSlice attention;
  uint32_t first_row = 0;  // in the pass
};
struct Pass {
  std::span<const TokenId> tokens;    // [rows]
  std::span<const PassSlice> slices;  // in order of rows
};

class Decoder {
 public:
  // All outlive it. quantise: activations as int16 (the product); else all in fp32 (--activations f32).
  Decoder(const ModelConfig& config, const Weights& weights, const Kernels& kernels, const KvStorage& kv,
          Workspace& work, ThreadPool& pool, bool quantise);

  // Computes all rows of the pass and stores their K and V. finite()[row] says whether the row's numbers are finite.
  void forward(const Pass& pass);
  std::span<const uint8_t> finite() const { return work_.finite.first(num_rows_); }

  // After forward(): the final norm of these rows, kept in work.logit_hidden from its row `first` on.
  void keep(std::span<const uint32_t> pass_rows, uint32_t first);
  // logits = lm_head of the first `count` kept rows. finite[r] = 0 where row r is not finite.
  void project_logits(uint32_t count, uint8_t* finite);

  uint64_t num_clamped_kv() const { return num_clamped_kv_.load(std::memory_order_relaxed); }

 private:
  struct RowPlace {
    uint32_t slice = 0;
    uint32_t position = 0;
  };
  void place_rows(const Pass& pass);
  void embed(const Pass& pass);
  // A fork-join each: five in a dense layer.
  void multiply_qkv(const LayerWeights& layer);
  void attend(const LayerWeights& layer, const KvView& kv, const Pass& pass);
  void add_attended(const PackedMatrix& o);
  void multiply_gate_up(const LayerWeights& layer);
  void add_down(const PackedMatrix& down);
  void norm(const float* weight, bool quantise);

  // Parts of these, each one thread's work.
  void norm_row(const float* x, const float* weight, float* out, uint8_t& finite) const;
  void norm_rows(uint32_t task, const float* weight, bool quantise);
  void rotate_and_store(const LayerWeights& layer, const KvView& kv, const Pass& pass, uint32_t kv_head, Range which);
  void attend_item(const KvView& kv, const Pass& pass, const AttentionPlan::Item& item, uint32_t thread);
  void add_product(const PackedMatrix& weights, const MatmulInput& x, Range panels, uint32_t thread);
  template <class Multiply>
  void share_panels(const PackedMatrix& alike, uint32_t num_panels, uint32_t thread, const Multiply& multiply);

  Matrix<float> rows(Matrix<float> whole) const { return {whole.data, num_rows_, whole.cols, whole.stride}; }
  MatmulInput input(Matrix<float> x) const;
  bool reads_quantised(const PackedMatrix& weights) const { return quantise_ && weights.format.quantised(); }
  uint32_t num_row_tasks() const;
  Range rows_of_task(uint32_t task) const;

  // Constant after construction.
  const ModelConfig& config_;
  const Weights& weights_;
  const Kernels& kernels_;
  const KvStorage& kv_;
  Workspace& work_;
  ThreadPool& pool_;
  const bool quantise_;
  const uint32_t group_;  // query heads per KV head
  const RopeTable rope_;
  ExpertMlp experts_;

  // Owned by the engine thread; of the pass being computed.
  uint32_t num_rows_ = 0;
  std::vector<RowPlace> places_;  // [rows]
  AttentionPlan attention_;

  // Shared by the threads of a fork-join.
  std::atomic<uint64_t> num_clamped_kv_{0};  // relaxed: a counter
  std::atomic<uint32_t> next_item_{0};       // relaxed: only hands out numbers
  SharedRanges panels_;                      // of the product being computed
  SectionCounts gate_chunks_;                // of gate
};

}  // namespace slipstream
