// One panel of quantised weights in its stream: where its chunks and its groups' scales stand (packed_block.h).
#pragma once

#include "kernels/fixed_arithmetic.h"
#include "kernels/packed_block.h"

// For what the sources of several instruction sets include and is no free function: inlined wherever it is called, so
// that the linker finds no copy that is wider than the processor (float16.h).
#define SLIPSTREAM_INLINE [[gnu::always_inline]]

namespace slipstream {

using PanelLanes = float[kPanelRows];

static_assert(kChunkInputs == 256);

struct WeightPanel {
  const MatrixFormat& format;
  BlockLayout layout;
  uint32_t num_groups;
  const std::byte* data;

  SLIPSTREAM_INLINE WeightPanel(const PackedMatrix& w, uint32_t index, const BlockLayout& block, size_t panel_bytes)
      : format(w.format), layout(block), num_groups(w.cols / w.format.group), data(w.data + index * panel_bytes) {}

  SLIPSTREAM_INLINE bool affine() const { return format.type == WeightType::kUnsigned; }
  SLIPSTREAM_INLINE bool two_part_biases() const { return format.scales != ScaleType::kBf16; }
  // Inputs of a chunk are a whole number of blocks.
  SLIPSTREAM_INLINE size_t chunk_bytes() const {
    return static_cast<size_t>(layout.block_bytes) << (layout.inputs == 64 ? 2 : 1);  // no division: once a chunk
  }
  SLIPSTREAM_INLINE const std::byte* chunk_at(uint32_t chunk) const { return data + chunk * chunk_bytes(); }
  SLIPSTREAM_INLINE uint32_t chunk_groups(uint32_t chunk) const {
    const uint32_t log_all = 3 - format.group / 64;  // of groups 32, 64 and 128
    return smaller(1u << log_all, num_groups - (chunk << log_all));
  }
  SLIPSTREAM_INLINE const std::byte* group_at(uint32_t group) const {
    const uint32_t second = layout.groups - 1;  // 1 where a block has two: no division
    return data + static_cast<size_t>(group >> second) * layout.block_bytes + layout.value_bytes +
           (group & second) * layout.group_bytes;
  }
};

}  // namespace slipstream
