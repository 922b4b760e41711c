#include "model/expert_mlp.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/router.h"
#include "model/gate_up.h"
#include "model/panel_pieces.h"

namespace slipstream {

ExpertMlp::ExpertMlp(const ModelConfig& config, const Kernels& kernels, Workspace& work, ThreadPool& pool,
                     bool quantise)
    : config_(config),
      kernels_(kernels),
      work_(work),
      pool_(pool),
      quantise_(quantise),
      gate_stride_(all_chunks(config.num_experts == 0 ? 0 : config.expert_size).end * kChunkInputs),
      panels_(pool.num_threads()),
      gate_chunks_(config.num_experts * gate_stride_, kChunkInputs) {
  if (config.num_experts == 0) return;
  const size_t max_slots = work.expert_rows.rows;
  chosen_.resize(max_slots);
  expert_weights_.resize(max_slots);
  row_of_slot_.resize(max_slots);
  slot_finite_.resize(max_slots);
  next_slot_.resize(size_t{config.num_experts} + 1);
  groups_.reserve(std::min<size_t>(config.num_experts, max_slots));
}

void ExpertMlp::forward(const LayerWeights& layer, uint32_t num_rows) {
  num_rows_ = num_rows;
  route(layer.router);
  group_slots();
  const auto anyone = [&](PackedMatrix MlpWeights::*matrix) {
    return std::any_of(groups_.begin(), groups_.end(),
                       [&](const Group& group) { return reads_quantised(layer.experts[group.expert].*matrix); });
  };
  gather(anyone(&MlpWeights::gate) || anyone(&MlpWeights::up));
  multiply_gate_up(layer, anyone(&MlpWeights::down));
  multiply_down(layer);
  combine();
}

void ExpertMlp::route(const PackedMatrix& router) {
  const Matrix<float> logits{work_.router_logits.data, num_rows_, config_.num_experts, work_.router_logits.stride};
  const Matrix<float> hidden{work_.hidden.data, num_rows_, config_.hidden_size, work_.hidden.stride};
  const MatmulInput input{hidden, reads_quantised(router) ? work_.quantised : nullptr};
  pool_.run([&](uint32_t thread) {
    const Range panels = split(router.num_panels(), thread, pool_.num_threads());
    if (!panels.empty()) kernels_.matmul(router, input, panels, logits, work_.thread_scratch(thread));
  });
  const uint32_t count = config_.experts_per_token;
  pool_.run([&](uint32_t thread) {
    const Range mine = split(num_rows_, thread, pool_.num_threads());
    for (uint32_t row = mine.begin; row < mine.end; ++row) {
      choose_experts(logits.row(row), config_.num_experts, count, config_.renormalise_experts,
                     chosen_.data() + size_t{row} * count, expert_weights_.data() + size_t{row} * count);
    }
  });
}

// Sorts the slots by expert, rows ascending: chosen_ becomes the slot of each (row, rank).
void ExpertMlp::group_slots() {
  const uint32_t num_slots = num_rows_ * config_.experts_per_token;
  std::fill(next_slot_.begin(), next_slot_.end(), 0u);
  for (uint32_t i = 0; i < num_slots; ++i) ++next_slot_[chosen_[i] + 1];
  groups_.clear();
  for (uint32_t expert = 0; expert < config_.num_experts; ++expert) {
    const uint32_t begin = next_slot_[expert];
    next_slot_[expert + 1] += begin;
    if (next_slot_[expert + 1] > begin) groups_.push_back({expert, {begin, next_slot_[expert + 1]}});
  }
  for (uint32_t i = 0; i < num_slots; ++i) {
    const uint32_t slot = next_slot_[chosen_[i]]++;
    row_of_slot_[slot] = i / config_.experts_per_token;
    chosen_[i] = slot;
  }
}

Matrix<float> ExpertMlp::slot_rows(Matrix<float> whole, Range slots) const {
  return {whole.row(slots.begin), slots.size(), whole.cols, whole.stride};
}

// A group's quantised rows are laid out for that group alone; quantised_bytes() keeps it within its slots' share.
std::byte* ExpertMlp::quantised_slots(std::byte* all, uint32_t first_slot, uint32_t cols) const {
  return all + size_t{first_slot} * kernels_.quantised_bytes(1, cols);
}

// expert_rows = each slot's row of hidden; also as int16 if an expert is to read it so.
void ExpertMlp::gather(bool quantised) {
  const uint32_t num_slots = num_rows_ * config_.experts_per_token;
  pool_.run([&](uint32_t thread) {
    const Range mine = split(num_slots, thread, pool_.num_threads());
    for (uint32_t slot = mine.begin; slot < mine.end; ++slot) {
      slot_finite_[slot] = 1;
      std::memcpy(work_.expert_rows.row(slot), work_.hidden.row(row_of_slot_[slot]),
                  config_.hidden_size * sizeof(float));
    }
    if (quantised) quantise_slots(mine);
  });
}

// Slots [slots) of all groups that they lie in.
void ExpertMlp::quantise_slots(Range slots) {
  const uint32_t cols = config_.hidden_size;
  for (const Group& group : groups_) {
    const uint32_t begin = std::max(group.slots.begin, slots.begin);
    const uint32_t end = std::min(group.slots.end, slots.end);
    if (begin >= end) continue;
    const uint32_t first = group.slots.begin;
    kernels_.quantise(slot_rows(work_.expert_rows, group.slots), {begin - first, end - first}, all_chunks(cols),
                      quantised_slots(work_.expert_quantised, first, cols), slot_finite_.data() + first);
  }
}

// work(group's index, panels) for all panels of a product of all groups, which lie end to end: neighbours stay with one
// thread, since weights come from memory fastest where nobody jumps to others; groups differ in rows, so who is done
// takes some of the others'.
template <class Work>
void ExpertMlp::share_panels(const PackedMatrix& alike, uint32_t thread, const Work& work) {
  const uint32_t each = alike.num_panels();
  const auto num_groups = static_cast<uint32_t>(groups_.size());
  panels_.share(num_groups * each, least_panels(alike), thread, [&](Range mine) {
    for (uint32_t first = mine.begin; first < mine.end;) {
      const uint32_t group = first / each;
      const uint32_t end = std::min((group + 1) * each, mine.end);
      work(group, {first - group * each, end - group * each});
      first = end;
    }
  });
}

// expert_gate = silu(gate x) * (up x). Whoever makes the last columns of a group's chunk quantises it.
void ExpertMlp::multiply_gate_up(const LayerWeights& layer, bool quantise_gate) {
  const auto multiply = [&](uint32_t group_index, Range panels, uint32_t thread) {
    const Group& group = groups_[group_index];
    const MlpWeights& expert = layer.experts[group.expert];
    const Matrix<float> gate = slot_rows(work_.expert_gate, group.slots);
    const MatmulInput x{slot_rows(work_.expert_rows, group.slots),
                        quantise_ ? quantised_slots(work_.expert_quantised, group.slots.begin, config_.hidden_size)
                                  : nullptr};
    slipstream::multiply_gate_up(kernels_, expert, x, panels, gate, slot_rows(work_.expert_up, group.slots),
                                 work_.thread_scratch(thread));
    if (!quantise_gate) return;
    const uint32_t end = panels.end == expert.gate.num_panels() ? gate_stride_ : panels.end * kPanelRows;
    const uint32_t first_chunk = group_index * gate_stride_ / kChunkInputs;
    gate_chunks_.add({group_index * gate_stride_ + panels.begin * kPanelRows, group_index * gate_stride_ + end},
                     [&](uint32_t chunk) {
                       kernels_.quantise(gate, {0, group.slots.size()}, {chunk - first_chunk, chunk - first_chunk + 1},
                                         quantised_slots(work_.expert_gate_quantised, group.slots.begin, gate.cols),
                                         slot_finite_.data() + group.slots.begin);
                     });
  };
  pool_.run([&](uint32_t thread) {
    share_panels(layer.experts.front().gate, thread, [&](uint32_t group, Range mine) {
      for_gate_panels(mine, groups_[group].slots.size(), [&](Range panels) { multiply(group, panels, thread); });
    });
  });
}

// expert_rows = down(gate): what went in is used up.
void ExpertMlp::multiply_down(const LayerWeights& layer) {
  pool_.run([&](uint32_t thread) {
    share_panels(layer.experts.front().down, thread, [&](uint32_t group_index, Range panels) {
      const Group& group = groups_[group_index];
      const MatmulInput x{
          slot_rows(work_.expert_gate, group.slots),
          quantise_ ? quantised_slots(work_.expert_gate_quantised, group.slots.begin, config_.expert_size) : nullptr};
      kernels_.matmul(layer.experts[group.expert].down, x, panels, slot_rows(work_.expert_rows, group.slots),
                      work_.thread_scratch(thread));
    });
  });
}

// residual += the weighted sum of the row's experts, in rank order.
void ExpertMlp::combine() {
  const uint32_t count = config_.experts_per_token;
  pool_.run([&](uint32_t thread) {
    const Range mine = split(num_rows_, thread, pool_.num_threads());
    for (uint32_t row = mine.begin; row < mine.end; ++row) {
      float* const sum = work_.hidden.row(row);
      std::fill_n(sum, config_.hidden_size, 0.0f);
      for (uint32_t i = row * count; i < (row + 1) * count; ++i) {
        const uint32_t slot = chosen_[i];
        kernels_.add_scaled(sum, work_.expert_rows.row(slot), expert_weights_[i], config_.hidden_size);
        if (slot_finite_[slot] == 0) work_.finite[row] = 0;
      }
      kernels_.add(work_.residual.row(row), sum, config_.hidden_size);
    }
  });
}

}  // namespace slipstream
