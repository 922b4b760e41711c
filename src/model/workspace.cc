#include "model/workspace.h"

#include <algorithm>

#include "model/attention_plan.h"

namespace slipstream {
namespace {

// Lays buffers one after the other: first over nothing, to learn how many bytes they need, then over the arena.
class Layout {
 public:
  explicit Layout(std::byte* base) : base_(base) {}

  std::byte* bytes(size_t size) {
    const size_t at = used_;
    used_ = round_up(used_ + size, 64);
    return base_ == nullptr ? nullptr : base_ + at;
  }
  // Rows begin on cache lines, and never a multiple of 4 KB apart: equal page offsets would share a few cache sets
  // (PERFORMANCE.md 7).
  Matrix<float> matrix(uint32_t rows, uint32_t cols) {
    size_t stride = round_up(cols, 16);
    if (stride % 1024 == 0) stride += 16;
    return {reinterpret_cast<float*>(bytes(sizeof(float) * stride * rows)), rows, cols, stride};
  }
  std::span<uint8_t> flags(size_t count) { return {reinterpret_cast<uint8_t*>(bytes(count)), count}; }
  size_t used() const { return used_; }

 private:
  std::byte* base_;
  size_t used_ = 0;
};

void lay_out(Workspace& work, Layout& layout, const ModelConfig& config, const Kernels& kernels,
             const WorkspaceLimits& limits) {
  const uint32_t rows = limits.pass_rows;
  const uint32_t attention_cols = config.num_heads * config.head_dim;
  const uint32_t dense_size = config.has_dense_layer() ? config.intermediate_size : 0;
  const uint32_t expert_size = config.num_experts == 0 ? 0 : config.expert_size;
  const uint32_t widest = std::max({config.hidden_size, attention_cols, dense_size, expert_size});

  work.residual = layout.matrix(rows, config.hidden_size);
  work.hidden = layout.matrix(rows, config.hidden_size);
  work.qkv = layout.matrix(rows, attention_cols + 2 * config.num_kv_heads * config.head_dim);
  work.attended = layout.matrix(rows, attention_cols);
  const size_t parts = AttentionPlan::parts_floats(
      {config.num_kv_heads, config.num_heads / config.num_kv_heads, config.head_dim}, limits.max_context,
      limits.num_threads);
  work.attention_parts = {reinterpret_cast<float*>(layout.bytes(parts * sizeof(float))), parts};
  work.gate = layout.matrix(rows, dense_size);
  work.up = layout.matrix(rows, dense_size);
  if (config.num_experts != 0) {
    const uint32_t slots = rows * config.experts_per_token;
    work.router_logits = layout.matrix(rows, config.num_experts);
    work.expert_rows = layout.matrix(slots, config.hidden_size);
    work.expert_gate = layout.matrix(slots, expert_size);
    work.expert_up = layout.matrix(slots, expert_size);
    work.expert_quantised = layout.bytes(slots * kernels.quantised_bytes(1, config.hidden_size));
    work.expert_gate_quantised = layout.bytes(slots * kernels.quantised_bytes(1, expert_size));
  }
  work.cos = layout.matrix(rows, config.head_dim / 2);
  work.sin = layout.matrix(rows, config.head_dim / 2);
  work.quantised = layout.bytes(kernels.quantised_bytes(rows, std::max(config.hidden_size, attention_cols)));
  if (dense_size != 0) work.gate_quantised = layout.bytes(kernels.quantised_bytes(rows, dense_size));
  work.logit_hidden = layout.matrix(limits.logit_rows, config.hidden_size);
  work.finite = layout.flags(rows);
  work.logits_finite = layout.flags(size_t{limits.num_threads} * limits.logit_rows);

  // One thread multiplies or attends, never both at once.
  work.scratch_bytes = round_up(
      std::max(matmul_scratch_bytes(rows, widest),
               attention_scratch_bytes(config.num_heads / config.num_kv_heads, config.head_dim, limits.max_context)),
      4096);
  const size_t all_scratch = work.scratch_bytes * limits.num_threads;
  work.scratch = {layout.bytes(all_scratch), all_scratch};
  work.logits = layout.matrix(limits.logit_rows, config.vocab_size);  // last: see touched_bytes()
}

// All but the logits of more rows than most servers ever sample together: of 256 rows with a vocabulary of 152k they
// are the larger part of the whole, 156 MB, and cost nothing as long as nobody uses them.
size_t touched_bytes(const Workspace& work) {
  constexpr uint32_t kTouchedRows = 64;
  const size_t num_rows = std::min(work.logits.rows, kTouchedRows);
  const auto* const end = reinterpret_cast<const std::byte*>(work.logits.data + num_rows * work.logits.stride);
  return std::min(static_cast<size_t>(end - work.memory.data()), work.memory.size());
}

}  // namespace

uint64_t Workspace::bytes(const ModelConfig& config, const Kernels& kernels, const WorkspaceLimits& limits) {
  Workspace work;
  Layout measure(nullptr);
  lay_out(work, measure, config, kernels, limits);
  return measure.used();
}

Result<Workspace> Workspace::make(const ModelConfig& config, const Kernels& kernels, const WorkspaceLimits& limits,
                                  ThreadPool& pool) {
  Workspace work;
  ASSIGN_OR_RETURN(work.memory, Arena::make(bytes(config, kernels, limits)));
  Layout layout(work.memory.data());
  lay_out(work, layout, config, kernels, limits);

  // Now, not in the first request: the first touch of a page costs about 10 us in a virtual machine (PERFORMANCE.md
  // 0.10).
  const std::span<std::byte> memory = work.memory.as<std::byte>().first(touched_bytes(work));
  pool.run([&](uint32_t thread) {
    const size_t begin = memory.size() / 4096 * thread / pool.num_threads() * 4096;
    const size_t end = memory.size() / 4096 * (thread + 1) / pool.num_threads() * 4096;
    for (size_t at = begin; at < end; at += 4096) memory[at] = std::byte{0};
  });
  return work;
}

}  // namespace slipstream
