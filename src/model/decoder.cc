#include "model/decoder.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "model/gate_up.h"
#include "model/panel_pieces.h"

namespace slipstream {
namespace {

Matrix<float> columns(Matrix<float> whole, uint32_t first, uint32_t count) {
  return {whole.data + first, whole.rows, count, whole.stride};
}

}  // namespace

Decoder::Decoder(const ModelConfig& config, const Weights& weights, const Kernels& kernels, const KvStorage& kv,
                 Workspace& work, ThreadPool& pool, bool quantise)
    : config_(config),
      weights_(weights),
      kernels_(kernels),
      kv_(kv),
      work_(work),
      pool_(pool),
      quantise_(quantise),
      group_(config.num_heads / config.num_kv_heads),
      rope_(config),
      experts_(config, kernels, work, pool, quantise),
      attention_({config.num_kv_heads, group_, config.head_dim}, work.residual.rows, pool.num_threads(),
                 work.attention_parts),
      panels_(pool.num_threads()),
      gate_chunks_(config.has_dense_layer() ? config.intermediate_size : 0, kChunkInputs) {
  places_.resize(work.residual.rows);
}

void Decoder::forward(const Pass& pass) {
  place_rows(pass);
  embed(pass);
  for (uint32_t index = 0; index < config_.num_layers; ++index) {
    const LayerWeights& layer = weights_.layers[index];
    const KvView kv = kv_.layer(index);
    multiply_qkv(layer);
    attend(layer, kv, pass);
    add_attended(layer.o);
    if (layer.sparse()) {
      norm(layer.mlp_norm, reads_quantised(layer.router));
      experts_.forward(layer, num_rows_);
    } else {
      multiply_gate_up(layer);
      add_down(layer.mlp.down);
    }
  }
}

// Where each row stands, and who computes which part of the attention: the same for all layers.
void Decoder::place_rows(const Pass& pass) {
  num_rows_ = static_cast<uint32_t>(pass.tokens.size());
  CHECK(num_rows_ > 0 && num_rows_ <= work_.residual.rows, "{} rows, room for {}", num_rows_, work_.residual.rows);
  std::fill_n(work_.finite.begin(), num_rows_, uint8_t{1});
  attention_.begin(num_rows_);
  for (uint32_t index = 0; index < pass.slices.size(); ++index) {
    const AttentionSlice& slice = pass.slices[index].attention;
    for (uint32_t row = 0; row < slice.num_rows; ++row) {
      places_[pass.slices[index].first_row + row] = {index, slice.first_position + row};
    }
    attention_.add(index, slice);
  }
  attention_.end();
}

// residual = the tokens' embeddings; and each row's rotation angles, once for all layers.
void Decoder::embed(const Pass& pass) {
  pool_.run([&](uint32_t thread) {
    const Range mine = split(num_rows_, thread, pool_.num_threads());
    for (uint32_t row = mine.begin; row < mine.end; ++row) {
      unpack_row(weights_.embedding, pass.tokens[row], work_.residual.row(row));
      rope_.angles(places_[row].position, work_.cos.row(row), work_.sin.row(row));
    }
  });
}

// One row's RMSNorm. A row that is not finite goes on as zeros.
void Decoder::norm_row(const float* x, const float* weight, float* out, uint8_t& finite) const {
  if (kernels_.rms_norm(x, weight, config_.rms_norm_eps, config_.hidden_size, out)) return;
  finite = 0;
  std::fill_n(out, config_.hidden_size, 0.0f);
}

// Rows are prepared for a product in as many tasks as there are threads, each of neighbours: quantised rows share cache
// lines with the next ones.
uint32_t Decoder::num_row_tasks() const { return std::min(num_rows_, pool_.num_threads()); }
Range Decoder::rows_of_task(uint32_t task) const { return split(num_rows_, task, num_row_tasks()); }

// hidden = RMSNorm(residual) in a task's rows; also as int16 if a product is to read it so.
void Decoder::norm_rows(uint32_t task, const float* weight, bool quantise) {
  const Range mine = rows_of_task(task);
  for (uint32_t row = mine.begin; row < mine.end; ++row) {
    norm_row(work_.residual.row(row), weight, work_.hidden.row(row), work_.finite[row]);
  }
  if (!quantise) return;
  kernels_.quantise(rows(work_.hidden), mine, all_chunks(config_.hidden_size), work_.quantised, work_.finite.data());
}

void Decoder::norm(const float* weight, bool quantise) {
  pool_.run_tasks(num_row_tasks(), [&](uint32_t task, uint32_t) { norm_rows(task, weight, quantise); });
}

MatmulInput Decoder::input(Matrix<float> x) const { return {x, quantise_ ? work_.quantised : nullptr}; }

// q, k, v = W_q hidden, W_k hidden, W_v hidden, of the normed residual: their panels laid end to end.
void Decoder::multiply_qkv(const LayerWeights& layer) {
  const std::array<const PackedMatrix*, 3> products{&layer.q, &layer.k, &layer.v};
  const bool quantise = std::ranges::any_of(products, [&](auto* weights) { return reads_quantised(*weights); });
  const auto multiply = [&](Range mine, uint32_t thread) {
    uint32_t first_panel = 0;  // the product's, among all
    uint32_t first_col = 0;    // in qkv
    for (const PackedMatrix* weights : products) {
      const uint32_t end_panel = first_panel + weights->num_panels();
      const Range panels{std::max(mine.begin, first_panel), std::min(mine.end, end_panel)};
      if (!panels.empty()) {
        kernels_.matmul(*weights, input(rows(work_.hidden)), {panels.begin - first_panel, panels.end - first_panel},
                        columns(rows(work_.qkv), first_col, weights->rows), work_.thread_scratch(thread));
      }
      first_panel = end_panel;
      first_col += weights->rows;
    }
  };
  const uint32_t num_panels = layer.q.num_panels() + layer.k.num_panels() + layer.v.num_panels();
  pool_.run_tasks_then(
      num_row_tasks(), [&](uint32_t task, uint32_t) { norm_rows(task, layer.attention_norm, quantise); },
      [&](uint32_t thread) { share_panels(layer.q, num_panels, thread, multiply); });
}

// multiply(panels, thread) for what this thread gets of a product's panels, or those of several whose panels are alike.
template <class Multiply>
void Decoder::share_panels(const PackedMatrix& alike, uint32_t num_panels, uint32_t thread, const Multiply& multiply) {
  panels_.share(num_panels, least_panels(alike), thread, [&](Range panels) { multiply(panels, thread); });
}

// One KV head's q, k and v in some rows: bias and norm (where the family has them), rotation; then K and V into the
// row's slot.
void Decoder::rotate_and_store(const LayerWeights& layer, const KvView& kv, const Pass& pass, uint32_t kv_head,
                               Range which) {
  const uint32_t head_dim = config_.head_dim;
  uint64_t num_clamped = 0;
  for (uint32_t row = which.begin; row < which.end; ++row) {
    const auto add_bias = [&](float* head, const float* bias, uint32_t index) {
      if (bias != nullptr) kernels_.add(head, bias + size_t{index} * head_dim, head_dim);
    };
    const auto prepare = [&](float* head, const float* weight) {
      if (config_.qk_norm && !kernels_.rms_norm(head, weight, config_.rms_norm_eps, head_dim, head)) {
        mark_not_finite(work_.finite[row]);
        std::fill_n(head, head_dim, 0.0f);
      }
      kernels_.rope(head, work_.cos.row(row), work_.sin.row(row), head_dim);
    };
    float* const qkv = work_.qkv.row(row);
    for (uint32_t head = kv_head * group_; head < (kv_head + 1) * group_; ++head) {
      add_bias(qkv + size_t{head} * head_dim, layer.q_bias, head);
      prepare(qkv + size_t{head} * head_dim, layer.q_norm);
    }
    float* const k = qkv + size_t{config_.num_heads + kv_head} * head_dim;
    float* const v = k + size_t{config_.num_kv_heads} * head_dim;
    add_bias(k, layer.k_bias, kv_head);
    add_bias(v, layer.v_bias, kv_head);
    prepare(k, layer.k_norm);
    const RowPlace& place = places_[row];
    num_clamped += kernels_.store_kv(kv, pass.slices[place.slice].attention, kv_head, place.position, k, v);
  }
  if (num_clamped != 0) num_clamped_kv_.fetch_add(num_clamped, std::memory_order_relaxed);
}

// attended = softmax(q K / sqrt(head_dim)) V, by items that threads take as they are free, since their costs differ by
// the length of their contexts.
void Decoder::attend(const LayerWeights& layer, const KvView& kv, const Pass& pass) {
  const auto rotate = [&](uint32_t task, uint32_t) {
    rotate_and_store(layer, kv, pass, task % config_.num_kv_heads, rows_of_task(task / config_.num_kv_heads));
  };
  const auto attend_items = [&](uint32_t thread) {
    const std::span<const AttentionPlan::Item> items = attention_.items();
    for (uint32_t item; (item = next_item_.fetch_add(1, std::memory_order_relaxed)) < items.size();) {
      attend_item(kv, pass, items[item], thread);
    }
  };
  next_item_.store(0, std::memory_order_relaxed);
  pool_.run_tasks_then(num_row_tasks() * config_.num_kv_heads, rotate, attend_items);
}

void Decoder::attend_item(const KvView& kv, const Pass& pass, const AttentionPlan::Item& item, uint32_t thread) {
  const PassSlice& slice = pass.slices[item.slice];
  const size_t first_col = size_t{item.kv_head} * group_ * config_.head_dim;
  const uint32_t cols = group_ * config_.head_dim;
  const Matrix<const float> q{work_.qkv.row(slice.first_row) + first_col, slice.attention.num_rows, cols,
                              work_.qkv.stride};
  const Matrix<float> out{work_.attended.row(slice.first_row) + first_col, slice.attention.num_rows, cols,
                          work_.attended.stride};
  attention_.attend(kernels_, kv, slice.attention, item, q, out, work_.thread_scratch(thread));
}

// residual += W_o attended.
void Decoder::add_attended(const PackedMatrix& o) {
  // A row's chunks are shared out too where there are fewer rows than threads.
  const uint32_t num_parts = num_rows_ < pool_.num_threads() ? pool_.num_threads() : 1;
  const Range chunks = all_chunks(o.cols);
  const auto quantise = [&](uint32_t task, uint32_t) {
    kernels_.quantise(rows(work_.attended), rows_of_task(task / num_parts),
                      split(chunks.end, task % num_parts, num_parts), work_.quantised, work_.finite.data());
  };
  const auto add = [&](Range panels, uint32_t thread) { add_product(o, input(rows(work_.attended)), panels, thread); };
  pool_.run_tasks_then(reads_quantised(o) ? num_row_tasks() * num_parts : 0, quantise,
                       [&](uint32_t thread) { share_panels(o, o.num_panels(), thread, add); });
}

// residual += W x in the columns of some panels.
void Decoder::add_product(const PackedMatrix& weights, const MatmulInput& x, Range panels, uint32_t thread) {
  const Matrix<float> y = rows(work_.hidden);
  kernels_.matmul(weights, x, panels, y, work_.thread_scratch(thread));
  const uint32_t begin = panels.begin * kPanelRows;
  const uint32_t end = std::min(panels.end * kPanelRows, weights.rows);
  for (uint32_t row = 0; row < num_rows_; ++row) {
    kernels_.add(work_.residual.row(row) + begin, y.row(row) + begin, end - begin);
  }
}

// gate = silu(W_gate hidden) * (W_up hidden), of the normed residual. A thread has the same columns of both, a few at a
// time while they are near; whoever makes the last columns of a chunk quantises it.
void Decoder::multiply_gate_up(const LayerWeights& layer) {
  const MlpWeights& mlp = layer.mlp;
  const bool quantise = reads_quantised(mlp.gate) || reads_quantised(mlp.up);
  const bool quantise_gate = reads_quantised(mlp.down);
  const auto multiply = [&](Range mine, uint32_t thread) {
    const Matrix<float> gate = rows(work_.gate);
    for_gate_panels(mine, num_rows_, [&](Range panels) {
      slipstream::multiply_gate_up(kernels_, mlp, input(rows(work_.hidden)), panels, gate, rows(work_.up),
                                   work_.thread_scratch(thread));
      if (!quantise_gate) return;
      const Range made{panels.begin * kPanelRows, std::min(panels.end * kPanelRows, mlp.gate.rows)};
      gate_chunks_.add(made, [&](uint32_t chunk) {
        kernels_.quantise(gate, {0, num_rows_}, {chunk, chunk + 1}, work_.gate_quantised, work_.finite.data());
      });
    });
  };
  pool_.run_tasks_then(
      num_row_tasks(), [&](uint32_t task, uint32_t) { norm_rows(task, layer.mlp_norm, quantise); },
      [&](uint32_t thread) { share_panels(mlp.gate, mlp.gate.num_panels(), thread, multiply); });
}

// residual += W_down gate.
void Decoder::add_down(const PackedMatrix& down) {
  const MatmulInput x{rows(work_.gate), quantise_ ? work_.gate_quantised : nullptr};
  const auto add = [&](Range panels, uint32_t thread) { add_product(down, x, panels, thread); };
  pool_.run([&](uint32_t thread) { share_panels(down, down.num_panels(), thread, add); });
}

void Decoder::keep(std::span<const uint32_t> pass_rows, uint32_t first) {
  const auto count = static_cast<uint32_t>(pass_rows.size());
  CHECK(first + count <= work_.logit_hidden.rows, "{} rows of logits, room for {}", first + count,
        work_.logit_hidden.rows);
  pool_.run([&](uint32_t thread) {
    const Range mine = split(count, thread, pool_.num_threads());
    for (uint32_t index = mine.begin; index < mine.end; ++index) {
      const uint32_t row = pass_rows[index];
      float* const out = work_.logit_hidden.row(first + index);
      norm_row(work_.residual.row(row), weights_.final_norm, out, work_.finite[row]);
    }
  });
}

void Decoder::project_logits(uint32_t count, uint8_t* finite) {
  const PackedMatrix& head = weights_.lm_head;
  const uint32_t num_threads = pool_.num_threads();
  const uint32_t block_rows = work_.residual.rows;  // what `quantised` and the scratch have room for
  for (uint32_t first = 0; first < count; first += block_rows) {
    const uint32_t block = std::min(block_rows, count - first);
    const Matrix<float> x{work_.logit_hidden.row(first), block, config_.hidden_size, work_.logit_hidden.stride};
    const Matrix<float> y{work_.logits.row(first), block, config_.vocab_size, work_.logits.stride};
    uint8_t* const block_finite = finite + first;
    std::fill_n(work_.logits_finite.begin(), size_t{num_threads} * block, uint8_t{1});
    const auto quantise = [&](uint32_t task, uint32_t) {
      kernels_.quantise(x, split(block, task, num_threads), all_chunks(x.cols), work_.quantised, block_finite);
    };
    const auto multiply = [&](Range panels, uint32_t thread) {
      kernels_.matmul(head, input(x), panels, y, work_.thread_scratch(thread));
      const uint32_t begin = panels.begin * kPanelRows;
      const uint32_t end = std::min(panels.end * kPanelRows, head.rows);
      for (uint32_t row = 0; row < block; ++row) {
        if (!all_finite(y.row(row) + begin, end - begin)) work_.logits_finite[size_t{thread} * block + row] = 0;
      }
    };
    pool_.run_tasks_then(reads_quantised(head) ? num_threads : 0, quantise,
                         [&](uint32_t thread) { share_panels(head, head.num_panels(), thread, multiply); });
    for (uint32_t thread = 0; thread < num_threads; ++thread) {
      for (uint32_t row = 0; row < block; ++row) {
        if (work_.logits_finite[size_t{thread} * block + row] == 0) block_finite[row] = 0;
      }
    }
  }
}

}  // namespace slipstream
