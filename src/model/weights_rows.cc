#include "model/weights_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/float16.h"

namespace slipstream {
namespace {

constexpr uint32_t kBlockValues = 32;  // of Q8_0 and Q4_1

// Not finite: all bits of the exponent are set.
template <class Bits>
bool exponents_finite(const std::byte* bytes, size_t count, Bits exponent) {
  Bits bad = 0;
  for (size_t i = 0; i < count; ++i) {
    Bits value;
    std::memcpy(&value, bytes + i * sizeof(Bits), sizeof(Bits));
    bad = static_cast<Bits>(bad | ((value & exponent) == exponent));
  }
  return bad == 0;
}

DType stored_dtype(ScaleType type) {
  return type == ScaleType::kBf16 ? DType::kBf16 : type == ScaleType::kFp16 ? DType::kF16 : DType::kF32;
}

}  // namespace

uint32_t stored_row(const MatrixPlan& plan, uint32_t row) {
  const uint32_t d = plan.rotary_head_dim;
  if (d == 0) return row;
  const uint32_t in_head = row % d;
  return row - in_head + in_head % (d / 2) * 2 + in_head / (d / 2);
}

bool values_finite(DType dtype, const std::byte* bytes, size_t count) {
  switch (dtype) {
    case DType::kBf16: return exponents_finite<uint16_t>(bytes, count, 0x7f80);
    case DType::kF16: return exponents_finite<uint16_t>(bytes, count, 0x7c00);
    default: break;
  }
  CHECK(dtype == DType::kF32, "{}", dtype_name(dtype));
  return exponents_finite<uint32_t>(bytes, count, 0x7f800000);
}

void widen_values(DType dtype, const std::byte* bytes, size_t count, float* out) {
  if (dtype == DType::kF32) {
    std::memcpy(out, bytes, count * sizeof(float));
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    uint16_t value;
    std::memcpy(&value, bytes + i * 2, 2);
    out[i] = dtype == DType::kBf16 ? widen_bf16(value) : widen_fp16(value);
  }
}

RowReader::RowReader(const WeightsPlan& plan) {
  for (const MatrixPlan& matrix : plan.matrices) {
    const MatrixFormat& format = matrix.matrix->format;
    if (!format.quantised()) continue;
    widest_ = std::max<size_t>(widest_, matrix.matrix->cols);
    if (matrix.scales == nullptr) most_groups_ = std::max<size_t>(most_groups_, matrix.matrix->cols / format.group);
  }
  values_.resize(kPanelRows * widest_);
  scales_.resize(kPanelRows * most_groups_);
  biases_.resize(kPanelRows * most_groups_);
}

RowReader::Rows RowReader::read(const MatrixPlan& plan, uint32_t first_row) {
  const PackedMatrix& matrix = *plan.matrix;
  Rows rows;
  rows.source.num_rows = std::min(kPanelRows, matrix.rows - first_row);
  const size_t row_bytes = plan.values->bytes.size() / matrix.rows;
  for (uint32_t n = 0; n < rows.source.num_rows; ++n) {
    const uint32_t stored = stored_row(plan, first_row + n);
    if (plan.scales != nullptr) {
      read_affine(plan, stored, n, rows);
    } else if (matrix.format.quantised()) {
      read_blocks(plan, stored, n, rows);
    } else {
      const std::byte* values = plan.values->bytes.data() + stored * row_bytes;
      rows.source.values[n] = values;
      if (!values_finite(plan.values->dtype, values, matrix.cols)) rows.bad_row = std::min(rows.bad_row, first_row + n);
      continue;
    }
    const DType scale_dtype = stored_dtype(matrix.format.scales);
    const size_t groups = matrix.cols / matrix.format.group;
    const auto finite = [&](const void* from) {
      return values_finite(scale_dtype, static_cast<const std::byte*>(from), groups);
    };
    const bool good =
        finite(rows.source.scales[n]) && (rows.source.biases[n] == nullptr || finite(rows.source.biases[n]));
    if (!good) rows.bad_row = std::min(rows.bad_row, first_row + n);
  }
  return rows;
}

void RowReader::read_affine(const MatrixPlan& plan, uint32_t stored, uint32_t n, Rows& rows) {
  const PackedMatrix& matrix = *plan.matrix;
  const size_t row_bytes = plan.values->bytes.size() / matrix.rows;
  const size_t scale_row_bytes = plan.scales->bytes.size() / matrix.rows;
  const std::byte* packed = plan.values->bytes.data() + stored * row_bytes;
  rows.source.scales[n] = plan.scales->bytes.data() + stored * scale_row_bytes;
  rows.source.biases[n] = plan.biases->bytes.data() + stored * scale_row_bytes;
  if (matrix.format.bits == 8) {
    rows.source.values[n] = packed;
    return;
  }
  uint8_t* values = values_.data() + n * widest_;
  for (size_t i = 0; i < row_bytes; ++i) {
    const auto byte = static_cast<uint8_t>(packed[i]);
    values[2 * i] = byte & 15;
    values[2 * i + 1] = byte >> 4;
  }
  rows.source.values[n] = values;
}

void RowReader::read_blocks(const MatrixPlan& plan, uint32_t stored, uint32_t n, Rows& rows) {
  const PackedMatrix& matrix = *plan.matrix;
  const bool affine = matrix.format.type == WeightType::kUnsigned;
  const size_t block_bytes = dtype_block_bytes(plan.values->dtype);
  const size_t num_blocks = matrix.cols / kBlockValues;
  const std::byte* block = plan.values->bytes.data() + stored * num_blocks * block_bytes;
  uint8_t* values = values_.data() + n * widest_;
  uint16_t* scales = scales_.data() + n * most_groups_;
  uint16_t* biases = biases_.data() + n * most_groups_;
  for (size_t b = 0; b < num_blocks; ++b, block += block_bytes, values += kBlockValues) {
    std::memcpy(scales + b, block, 2);
    if (!affine) {
      std::memcpy(values, block + 2, kBlockValues);
      continue;
    }
    std::memcpy(biases + b, block + 2, 2);
    for (uint32_t i = 0; i < kBlockValues / 2; ++i) {
      const auto byte = static_cast<uint8_t>(block[4 + i]);
      values[i] = byte & 15;
      values[kBlockValues / 2 + i] = byte >> 4;
    }
  }
  rows.source.values[n] = values_.data() + n * widest_;
  rows.source.scales[n] = scales;
  rows.source.biases[n] = affine ? biases : nullptr;
}

}  // namespace slipstream
