// Rows of a checkpoint's tensors, as pack_panel() wants them: one byte per quantised value, scales apart.
//
// What is stored:
//   MLX     values: a row is a stream of bits, low bits first in little-endian words: with 4 bits byte i holds input
//           2 i (low half) and 2 i + 1, with 3 bits input i begins at bit 3 i; scales and biases in tensors apart
//   Q8_0    blocks of 34 bytes: fp16 scale, 32 int8
//   Q4_0    blocks of 18 bytes: fp16 scale, 16 bytes: byte i holds input i (low half) and 16 + i, each plus 8
//   Q4_1    blocks of 20 bytes: fp16 scale, fp16 bias, 16 bytes: byte i holds input i (low half) and 16 + i
//
// Order of rows: a GGUF llama rotates neighbours, so q and k have the rows of each head interleaved; here they go
// back to Hugging Face's halves, which is a permutation of rows and changes no number (ARITHMETIC.md 9 turns halves):
//   row of the model    h * d + 0 .. d/2 - 1 | h * d + d/2 .. d - 1
//   row in the file     h * d + 0, 2, 4 ..   | h * d + 1, 3, 5 ..
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/weights_plan.h"

namespace slipstream {

// Row of the file that holds row `row` of the model.
uint32_t stored_row(const MatrixPlan& plan, uint32_t row);

// True when all `count` values at `bytes` (not aligned) are finite, by bits. dtype: F32, F16 or BF16.
bool values_finite(DType dtype, const std::byte* bytes, size_t count);
// Widened exactly.
void widen_values(DType dtype, const std::byte* bytes, size_t count, float* out);

// One thread's own.
class RowReader {
 public:
  explicit RowReader(const WeightsPlan& plan);  // room for the widest matrix

  struct Rows {
    PanelSource source;      // points into the file or into this reader; valid until the next read()
    uint32_t bad_row = kNone;  // first row with a scale, a bias or a weight that is not finite
  };
  static constexpr uint32_t kNone = ~0u;
  // Rows [first_row, first_row + 16) of the matrix, as far as it has them.
  Rows read(const MatrixPlan& plan, uint32_t first_row);

 private:
  struct Row;
  void read_affine(const MatrixPlan& plan, uint32_t stored, uint32_t n, Rows& rows);
  void read_blocks(const MatrixPlan& plan, uint32_t stored, uint32_t n, Rows& rows);

  std::vector<uint8_t> values_;    // [16][widest]
  std::vector<uint16_t> scales_;   // [16][most groups], fp16
  std::vector<uint16_t> biases_;
  size_t widest_ = 0;
  size_t most_groups_ = 0;
};

}  // namespace slipstream
