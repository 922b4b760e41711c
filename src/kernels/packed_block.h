// Where things stand inside a panel (packed_matrix.h): known to the kernels only.
//
// A quantised panel is a row of blocks. A block covers max(64, group) inputs of 16 rows:
//
//   values   per 64 inputs `bits` * 128 bytes:
//              8 bits: 16 lines of 64 bytes; byte 4 n + i of line j is row n, input 4 j + i
//              4 bits:  8 lines of 64 bytes; byte 4 n + i of line j holds row n, input 4 j + i in its low half and
//                       input 32 + 4 j + i in its high half
//            (one line is at once an operand of VNNI, a row of an AMX int8 tile, and for AVX2 sixteen-bit pairs by
//            mask and shift: AVX2.md 3. Other widths will be a 4-bit part and lines for the rest.) kSigned: two's
//            complement.
//   scales   for each group of the block (two for group 32, else one): 16 scales in the file's type, then, kUnsigned,
//            16 biases in the same type; padded to a line of 64 bytes at the end of the block
//
// So one stream carries everything, and a matrix takes the bytes it takes in the file: a block of 4 bits, group 64,
// bf16 has 576.
//
// Not quantised: bf16 [cols / 2][16 rows][2 inputs] (the AMX bf16 tile), fp16 and fp32 [cols][16 rows].
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/packed_matrix.h"

namespace slipstream {

struct BlockLayout {
  uint32_t inputs = 0;       // of a block: 64 or 128
  uint32_t groups = 0;       // of a block: 2 or 1
  uint32_t value_bytes = 0;  // of a block; the scales begin here
  uint32_t group_bytes = 0;  // from one group's scales to the next's
  uint32_t bias_offset = 0;  // from a group's scales to its biases
  uint32_t block_bytes = 0;
};

static inline uint32_t scale_bytes(ScaleType type) { return type == ScaleType::kFp32 ? 4 : 2; }

static inline BlockLayout block_layout(const MatrixFormat& format) {
  BlockLayout layout;
  layout.inputs = format.group > 64 ? format.group : 64;
  layout.groups = layout.inputs / format.group;
  layout.value_bytes = layout.inputs / 64 * format.bits * 128;
  layout.bias_offset = kPanelRows * scale_bytes(format.scales);
  layout.group_bytes = layout.bias_offset * (format.type == WeightType::kUnsigned ? 2 : 1);
  layout.block_bytes = layout.value_bytes + (layout.groups * layout.group_bytes + 63) / 64 * 64;
  return layout;
}

}  // namespace slipstream
