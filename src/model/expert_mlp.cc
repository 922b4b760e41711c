#include "model/expert_mlp.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/router.h"
#include "model/gate_up.h"

namespace slipstream {
namespace {

// Panels of one task: a task is some 100 KB of weights, small enough that threads end together, large enough that
// handing it out costs nothing.
constexpr uint32_t kGatePanels = 4;  // of gate and up each
constexpr uint32_t kDownPanels = 16;

uint32_t tasks_of(uint32_t rows, uint32_t panels_at_once) {
  const uint32_t panels = (rows + kPanelRows - 1) / kPanelRows;
  return (panels + panels_at_once - 1) / panels_at_once;
}

Range panels_of(const PackedMatrix& matrix, uint32_t task, uint32_t panels_at_once) {
  return {task * panels_at_once, std::min((task + 1) * panels_at_once, matrix.num_panels())};
}

}  // namespace

ExpertMlp::ExpertMlp(const ModelConfig& config, const Kernels& kernels, Workspace& work, ThreadPool& pool,
                     bool quantise)
    : config_(config), kernels_(kernels), work_(work), pool_(pool), quantise_(quantise) {
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
  multiply_gate_up(layer);
  if (anyone(&MlpWeights::down)) quantise_gate();
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
std::byte* ExpertMlp::quantised_slots(uint32_t first_slot, uint32_t cols) const {
  return work_.expert_quantised + size_t{first_slot} * kernels_.quantised_bytes(1, cols);
}

// Slots [slots) of all groups that they lie in.
void ExpertMlp::quantise_slots(Matrix<float> all, Range slots) {
  for (const Group& group : groups_) {
    const uint32_t begin = std::max(group.slots.begin, slots.begin);
    const uint32_t end = std::min(group.slots.end, slots.end);
    if (begin >= end) continue;
    const uint32_t first = group.slots.begin;
    kernels_.quantise(slot_rows(all, group.slots), {begin - first, end - first}, all_chunks(all.cols),
                      quantised_slots(first, all.cols), slot_finite_.data() + first);
  }
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
    if (quantised) quantise_slots(work_.expert_rows, mine);
  });
}

// Threads take the next piece of the next group as they are free: groups differ in rows.
template <class Work>
void ExpertMlp::for_each_task(uint32_t tasks_per_group, const Work& work) {
  const auto num_tasks = static_cast<uint32_t>(groups_.size()) * tasks_per_group;
  pool_.run_tasks(num_tasks, [&](uint32_t task, uint32_t thread) {
    work(groups_[task / tasks_per_group], task % tasks_per_group, thread);
  });
}

void ExpertMlp::multiply_gate_up(const LayerWeights& layer) {
  for_each_task(tasks_of(config_.expert_size, kGatePanels), [&](const Group& group, uint32_t task, uint32_t thread) {
    const MlpWeights& expert = layer.experts[group.expert];
    const Range panels = panels_of(expert.gate, task, kGatePanels);
    const Matrix<float> gate = slot_rows(work_.expert_gate, group.slots);
    const Matrix<float> up = slot_rows(work_.expert_up, group.slots);
    const MatmulInput x{slot_rows(work_.expert_rows, group.slots),
                        quantise_ ? quantised_slots(group.slots.begin, config_.hidden_size) : nullptr};
    slipstream::multiply_gate_up(kernels_, expert, x, panels, gate, up, work_.thread_scratch(thread));
  });
}

void ExpertMlp::quantise_gate() {
  pool_.run([&](uint32_t thread) {
    quantise_slots(work_.expert_gate, split(num_rows_ * config_.experts_per_token, thread, pool_.num_threads()));
  });
}

// expert_rows = down(gate): what went in is used up.
void ExpertMlp::multiply_down(const LayerWeights& layer) {
  for_each_task(tasks_of(config_.hidden_size, kDownPanels), [&](const Group& group, uint32_t task, uint32_t thread) {
    const PackedMatrix& down = layer.experts[group.expert].down;
    const MatmulInput x{slot_rows(work_.expert_gate, group.slots),
                        quantise_ ? quantised_slots(group.slots.begin, config_.expert_size) : nullptr};
    kernels_.matmul(down, x, panels_of(down, task, kDownPanels), slot_rows(work_.expert_rows, group.slots),
                    work_.thread_scratch(thread));
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
