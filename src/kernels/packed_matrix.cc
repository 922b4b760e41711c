#include "kernels/packed_matrix.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/float16.h"
#include "kernels/packed_block.h"

namespace slipstream {
namespace {

uint32_t num_blocks(const BlockLayout& layout, uint32_t cols) { return (cols + layout.inputs - 1) / layout.inputs; }

uint32_t element_bytes(WeightType type) { return type == WeightType::kFp32 ? 4 : 2; }

void check_format(const MatrixFormat& format, uint32_t cols) {
  if (!format.quantised()) return;
  CHECK(format.bits == 4 || format.bits == 8, "{} bits", format.bits);
  CHECK(format.group == 32 || format.group == 64 || format.group == 128, "group {}", format.group);
  CHECK(cols % format.group == 0, "{} inputs in groups of {}", cols, format.group);
}

// Packing is a transposition: 16 rows of words become lines of 16 words, word w of all rows in line w. Loads and stores
// of whole words, a few lines at a time so that those stay in the nearest cache.
//
//   row 0   w0 w1 w2 ..          line 0   row 0's w0, row 1's w0, .. row 15's w0
//   row 1   w0 w1 w2 ..    ->    line 1   row 0's w1, row 1's w1, ..
template <class Word>
void put_words(const std::byte* row_values, uint32_t num_words, uint32_t row, std::byte* lines) {
  for (uint32_t w = 0; w < num_words; ++w) {
    std::memcpy(lines + (size_t{w} * kPanelRows + row) * sizeof(Word), row_values + w * sizeof(Word), sizeof(Word));
  }
}

constexpr uint32_t kUnitInputs = 64;  // packed_block.h: values stand in units of 64 inputs

// 64 inputs of every row, or the 32 that are left where the group is 32.
void pack_unit(const MatrixFormat& format, const PanelSource& source, uint32_t col, uint32_t inputs, std::byte* lines) {
  for (uint32_t row = 0; row < source.num_rows; ++row) {
    const auto* values = static_cast<const std::byte*>(source.values[row]) + col;
    if (format.bits == 8) {
      put_words<uint32_t>(values, inputs / 4, row, lines);
      continue;
    }
    std::array<std::byte, kUnitInputs / 2> pairs;  // input i in the low half, 32 + i in the high one
    if (inputs == kUnitInputs) {
      for (uint32_t i = 0; i < pairs.size(); ++i) {
        pairs[i] = (values[i] & std::byte{15}) | values[pairs.size() + i] << 4;
      }
    } else {
      for (uint32_t i = 0; i < pairs.size(); ++i) pairs[i] = values[i] & std::byte{15};
    }
    put_words<uint32_t>(pairs.data(), pairs.size() / 4, row, lines);
  }
}

// Element `group` of every row's scales or biases, side by side.
template <class Element>
void put_elements(const std::array<const void*, kPanelRows>& rows, uint32_t num_rows, uint32_t group, std::byte* to) {
  for (uint32_t row = 0; row < num_rows; ++row) {
    std::memcpy(to + row * sizeof(Element), static_cast<const std::byte*>(rows[row]) + group * sizeof(Element),
                sizeof(Element));
  }
}

template <class Element>
void pack_group(const MatrixFormat& format, const BlockLayout& layout, const PanelSource& source, uint32_t group,
                std::byte* to) {
  put_elements<Element>(source.scales, source.num_rows, group, to);
  if (format.type == WeightType::kUnsigned) {
    put_elements<Element>(source.biases, source.num_rows, group, to + layout.bias_offset);
  }
}

void pack_quantised(const MatrixFormat& format, uint32_t cols, const PanelSource& source, std::byte* panel) {
  const BlockLayout layout = block_layout(format);
  for (uint32_t first = 0; first < cols; first += layout.inputs, panel += layout.block_bytes) {
    const uint32_t end = std::min(cols, first + layout.inputs);
    for (uint32_t col = first; col < end; col += kUnitInputs) {
      pack_unit(format, source, col, std::min(kUnitInputs, end - col),
                panel + (col - first) / kUnitInputs * format.bits * 128);
    }
    for (uint32_t group = first / format.group; group < end / format.group; ++group) {
      std::byte* to = panel + layout.value_bytes + group % layout.groups * layout.group_bytes;
      if (format.scales == ScaleType::kFp32) {
        pack_group<uint32_t>(format, layout, source, group, to);
      } else {
        pack_group<uint16_t>(format, layout, source, group, to);
      }
    }
  }
}

// [num_words][16 rows] of Word.
template <class Word>
void pack_words(uint32_t num_words, const PanelSource& source, std::byte* panel) {
  constexpr uint32_t kLines = 64;  // at a time
  for (uint32_t first = 0; first < num_words; first += kLines) {
    for (uint32_t row = 0; row < source.num_rows; ++row) {
      put_words<Word>(static_cast<const std::byte*>(source.values[row]) + size_t{first} * sizeof(Word),
                      std::min(kLines, num_words - first), row, panel + size_t{first} * kPanelRows * sizeof(Word));
    }
  }
}

void pack_unquantised(WeightType type, uint32_t cols, const PanelSource& source, std::byte* panel) {
  if (type == WeightType::kFp32) return pack_words<uint32_t>(cols, source, panel);
  if (type == WeightType::kFp16) return pack_words<uint16_t>(cols, source, panel);
  pack_words<uint32_t>(cols / 2, source, panel);  // pairs of bf16
  if (cols % 2 == 0) return;
  for (uint32_t row = 0; row < source.num_rows; ++row) {
    std::memcpy(panel + (size_t{cols / 2} * kPanelRows + row) * 4,
                static_cast<const std::byte*>(source.values[row]) + (size_t{cols} - 1) * 2, 2);
  }
}

float read_scale(ScaleType type, const std::byte* from) {
  if (type == ScaleType::kFp32) {
    float value;
    std::memcpy(&value, from, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, from, 2);
  return type == ScaleType::kBf16 ? widen_bf16(bits) : widen_fp16(bits);
}

void unpack_quantised(const PackedMatrix& matrix, uint32_t row, float* out) {
  const MatrixFormat& format = matrix.format;
  const BlockLayout layout = block_layout(format);
  const std::byte* panel = matrix.data + row / kPanelRows * packed_panel_bytes(format, matrix.cols);
  const uint32_t n = row % kPanelRows;
  for (uint32_t group = 0; group < matrix.cols / format.group; ++group) {
    const std::byte* block = panel + static_cast<size_t>(group / layout.groups) * layout.block_bytes;
    const std::byte* scales =
        block + layout.value_bytes + group % layout.groups * layout.group_bytes + n * scale_bytes(format.scales);
    const float scale = read_scale(format.scales, scales);
    const bool affine = format.type == WeightType::kUnsigned;
    const float bias = affine ? read_scale(format.scales, scales + layout.bias_offset) : 0.0f;
    for (uint32_t i = 0; i < format.group; ++i) {
      const uint32_t in_block = group % layout.groups * format.group + i;
      const auto* lines = reinterpret_cast<const uint8_t*>(block) + in_block / 64 * format.bits * 128;
      const uint32_t k = in_block % 64;
      int32_t q;
      if (format.bits == 8) {
        q = lines[k / 4 * 64 + n * 4 + k % 4];
      } else {
        q = lines[k % 32 / 4 * 64 + n * 4 + k % 4] >> (k / 32 * 4) & 15;
      }
      if (!affine && q >= 1 << (format.bits - 1)) q -= 1 << format.bits;
      const float value = static_cast<float>(q);
      out[static_cast<size_t>(group) * format.group + i] =
          affine ? __builtin_fmaf(value, scale, bias) : value * scale;
    }
  }
}

}  // namespace

size_t packed_panel_bytes(const MatrixFormat& format, uint32_t cols) {
  if (format.quantised()) {
    const BlockLayout layout = block_layout(format);
    return static_cast<size_t>(num_blocks(layout, cols)) * layout.block_bytes;
  }
  // bf16 stands in pairs of inputs; two fp16 inputs are a line of 64 bytes as well.
  return static_cast<size_t>((cols + 1) / 2) * 2 * kPanelRows * element_bytes(format.type);
}

size_t packed_bytes(const MatrixFormat& format, uint32_t rows, uint32_t cols) {
  return static_cast<size_t>((rows + kPanelRows - 1) / kPanelRows) * packed_panel_bytes(format, cols);
}

void pack_panel(const MatrixFormat& format, uint32_t cols, const PanelSource& source, std::byte* panel) {
  CHECK(source.num_rows <= kPanelRows, "{} rows", source.num_rows);
  check_format(format, cols);
  std::memset(panel, 0, packed_panel_bytes(format, cols));
  if (format.quantised()) return pack_quantised(format, cols, source, panel);
  pack_unquantised(format.type, cols, source, panel);
}

void unpack_row(const PackedMatrix& matrix, uint32_t row, float* out) {
  CHECK(row < matrix.rows, "row {} of {}", row, matrix.rows);
  if (matrix.format.quantised()) return unpack_quantised(matrix, row, out);
  const std::byte* panel = matrix.data + row / kPanelRows * packed_panel_bytes(matrix.format, matrix.cols);
  const uint32_t n = row % kPanelRows;
  for (uint32_t col = 0; col < matrix.cols; ++col) {
    uint16_t bits;
    switch (matrix.format.type) {
      case WeightType::kBf16:
        std::memcpy(&bits, panel + ((static_cast<size_t>(col / 2) * kPanelRows + n) * 2 + col % 2) * 2, 2);
        out[col] = widen_bf16(bits);
        break;
      case WeightType::kFp16:
        std::memcpy(&bits, panel + (static_cast<size_t>(col) * kPanelRows + n) * 2, 2);
        out[col] = widen_fp16(bits);
        break;
      default: std::memcpy(out + col, panel + (static_cast<size_t>(col) * kPanelRows + n) * 4, 4);
    }
  }
}

}  // namespace slipstream
