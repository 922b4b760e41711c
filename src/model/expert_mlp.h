// The MLP of a sparse layer: a router sends each row to experts_per_token of the layer's experts (ARITHMETIC.md 9,
// "router"; Qwen3-MoE).
//
//   l = W_router hidden          the experts of a row: the largest of softmax(l), with the weights of router.h
//   y_e = down_e(silu(gate_e hidden) * up_e hidden)
//   residual += sum over the row's experts, in rank order, of weight_e y_e
//
// Rows that chose the same expert are multiplied together: a slot is one (row, rank), and slots are sorted by expert.
// Which rows are together never shows in a result (P1).
#pragma once

#include <cstdint>
#include <vector>

#include "base/shared_ranges.h"
#include "kernels/kernels.h"
#include "model/model_config.h"
#include "model/section_counts.h"
#include "model/weights.h"
#include "model/workspace.h"

namespace slipstream {

class ExpertMlp {
 public:
  // All are kept by reference; `quantise`: weights that are quantised read int16 rows.
  ExpertMlp(const ModelConfig& config, const Kernels& kernels, Workspace& work, ThreadPool& pool, bool quantise);

  // For rows [0, num_rows): work.residual += MLP(work.hidden). work.quantised holds hidden if the router is quantised.
  // work.hidden is used up. A row whose numbers are not finite gets work.finite = 0.
  void forward(const LayerWeights& layer, uint32_t num_rows);

 private:
  // Slots [begin, end) of one expert that somebody chose.
  struct Group {
    uint32_t expert;
    Range slots;
  };

  void route(const PackedMatrix& router);
  void group_slots();
  void gather(bool quantised);
  void quantise_slots(Range slots);
  void multiply_gate_up(const LayerWeights& layer, bool quantise_gate);
  void multiply_down(const LayerWeights& layer);
  void combine();

  bool reads_quantised(const PackedMatrix& weights) const { return quantise_ && weights.format.quantised(); }
  Matrix<float> slot_rows(Matrix<float> whole, Range slots) const;
  std::byte* quantised_slots(std::byte* all, uint32_t first_slot, uint32_t cols) const;
  template <class Work>
  void share_panels(const PackedMatrix& alike, uint32_t thread, const Work& work);

  // Constant after construction.
  const ModelConfig& config_;
  const Kernels& kernels_;
  Workspace& work_;
  ThreadPool& pool_;
  const bool quantise_;
  const uint32_t gate_stride_;  // an expert's columns of gate, up to a whole chunk

  SharedRanges panels_;
  SectionCounts gate_chunks_;  // [group][chunk of gate]

  // Owned by the engine thread; of the layer being computed.
  uint32_t num_rows_ = 0;
  std::vector<uint32_t> chosen_;       // [rows][rank]: expert; then by group_slots(): the slot
  std::vector<float> expert_weights_;  // [rows][rank]
  std::vector<uint32_t> row_of_slot_;  // [slots]
  std::vector<uint32_t> next_slot_;    // [num_experts + 1]: scratch of group_slots()
  std::vector<Group> groups_;          // by expert
  std::vector<uint8_t> slot_finite_;   // [slots]
};

}  // namespace slipstream
