#include "kernels/packed_matrix.h"

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

void pack_quantised(const MatrixFormat& format, uint32_t cols, const PanelSource& source, std::byte* panel) {
  const BlockLayout layout = block_layout(format);
  const uint32_t unit = scale_bytes(format.scales);
  for (uint32_t row = 0; row < source.num_rows; ++row) {
    const auto* values = static_cast<const uint8_t*>(source.values[row]);
    for (uint32_t col = 0; col < cols; ++col) {
      std::byte* block = panel + static_cast<size_t>(col / layout.inputs) * layout.block_bytes;
      const uint32_t in_block = col % layout.inputs;
      auto* lines = reinterpret_cast<uint8_t*>(block) + in_block / 64 * format.bits * 128;
      const uint32_t k = in_block % 64;
      if (format.bits == 8) {
        lines[k / 4 * 64 + row * 4 + k % 4] = values[col];
      } else {
        const uint32_t low_or_high = k / 32 * 4;
        lines[k % 32 / 4 * 64 + row * 4 + k % 4] |= static_cast<uint8_t>((values[col] & 15) << low_or_high);
      }
    }
    const auto* scales = static_cast<const std::byte*>(source.scales[row]);
    const auto* biases = static_cast<const std::byte*>(source.biases[row]);
    for (uint32_t group = 0; group < cols / format.group; ++group) {
      std::byte* to = panel + static_cast<size_t>(group / layout.groups) * layout.block_bytes + layout.value_bytes +
                      group % layout.groups * layout.group_bytes + row * unit;
      std::memcpy(to, scales + static_cast<size_t>(group) * unit, unit);
      if (format.type == WeightType::kUnsigned) {
        std::memcpy(to + layout.bias_offset, biases + static_cast<size_t>(group) * unit, unit);
      }
    }
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
  for (uint32_t row = 0; row < source.num_rows; ++row) {
    for (uint32_t col = 0; col < cols; ++col) {
      if (format.type == WeightType::kFp32) {
        const auto* values = static_cast<const std::byte*>(source.values[row]);
        std::memcpy(panel + (static_cast<size_t>(col) * kPanelRows + row) * 4,
                    values + static_cast<size_t>(col) * 4, 4);
      } else {
        const size_t place = format.type == WeightType::kBf16
                                 ? (static_cast<size_t>(col / 2) * kPanelRows + row) * 2 + col % 2
                                 : static_cast<size_t>(col) * kPanelRows + row;
        const auto* values = static_cast<const std::byte*>(source.values[row]);
        std::memcpy(panel + place * 2, values + static_cast<size_t>(col) * 2, 2);
      }
    }
  }
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
