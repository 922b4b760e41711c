// One panel of quantised weights as the AVX2 products read it: values widened to 16 bits in the order of the
// activations' pairs, scales and biases to fp32.
#pragma once

#include "kernels/avx2_activations.h"
#include "kernels/avx2_lanes.h"
#include "kernels/packed_block.h"

namespace slipstream {

using PanelLanes = float[kPanelRows];

struct Avx2Panel {
  const MatrixFormat& format;
  BlockLayout layout;
  uint32_t num_groups;
  const std::byte* data;

  Avx2Panel(const PackedMatrix& w, uint32_t index, const BlockLayout& block, size_t panel_bytes)
      : format(w.format), layout(block), num_groups(w.cols / w.format.group), data(w.data + index * panel_bytes) {}

  bool affine() const { return format.type == WeightType::kUnsigned; }
  bool two_part_biases() const { return format.scales != ScaleType::kBf16; }
  // Inputs of a chunk are a whole number of blocks.
  const std::byte* chunk_at(uint32_t chunk) const {
    return data + static_cast<size_t>(chunk) * (kChunkInputs / layout.inputs) * layout.block_bytes;
  }
  size_t chunk_bytes() const { return static_cast<size_t>(kChunkInputs / layout.inputs) * layout.block_bytes; }
  uint32_t chunk_groups(uint32_t chunk) const {
    const uint32_t all = kChunkInputs / format.group;
    return smaller(all, num_groups - chunk * all);
  }
  const std::byte* group_at(uint32_t group) const {
    return data + static_cast<size_t>(group / layout.groups) * layout.block_bytes + layout.value_bytes +
           group % layout.groups * layout.group_bytes;
  }

  void scales(uint32_t group, float* out) const {
    const std::byte* from = group_at(group);
    _mm256_store_ps(out, load_scales(format.scales, from, 0));
    _mm256_store_ps(out + 8, load_scales(format.scales, from, 8));
  }
};

// The biases of one bias block in two bf16 parts (bf16 biases have no second).
struct Avx2Biases {
  alignas(64) PanelLanes high[kBiasGroups];
  alignas(64) PanelLanes low[kBiasGroups];
  uint32_t num_groups;  // made even by a group of zeros
  bool two_part;
};

// `values`: [128 pairs][16 rows] of int16 pairs, 32-byte aligned; only whole groups that exist are written.
void avx2_widen_chunk(const Avx2Panel& panel, uint32_t chunk, uint32_t* values);
void avx2_load_biases(const Avx2Panel& panel, uint32_t bias_block, Avx2Biases& biases);
// v[row][16] += the bias block's share for each row: planes xh bh, xl bh, xh bl, xl bl, each v + (even + odd).
// sums: [rows][high, low][32].
void avx2_add_biases(const Avx2Biases& biases, uint32_t rows, const float* sums, float* v);
// Both of the above for one row, without the way through memory.
void avx2_add_biases_once(const Avx2Panel& panel, uint32_t bias_block, const float* sums, float* v);

}  // namespace slipstream
