#include "model/weights_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "kernels/float16.h"

namespace slipstream {
namespace {

constexpr uint32_t kBlockValues = 32;  // of Q8_0, Q4_0 and Q4_1

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

// Row `row` of the matrix in one of its tensors.
const std::byte* row_in(const MatrixPlan& plan, const Tensor& tensor, uint32_t row) {
  const std::span<const std::byte> part = plan.part(tensor);
  return part.data() + part.size() / plan.matrix->rows * row;
}

// A stream of kBits-bit values, low bits first -> a byte each. `count` is a multiple of 8: 8 values are kBits bytes.
template <uint32_t kBits>
void spread_bits(const std::byte* packed, size_t count, uint8_t* values) {
  for (size_t i = 0; i < count; i += 8, packed += kBits) {
    uint64_t word = 0;
    std::memcpy(&word, packed, kBits);
    for (uint32_t j = 0; j < 8; ++j) values[i + j] = word >> (j * kBits) & ((1u << kBits) - 1);
  }
}

// Four bits again, so that the compiler makes it a loop over vectors: most checkpoints are these.
void spread_halves(const std::byte* __restrict packed, size_t count, uint8_t* __restrict values) {
  for (size_t i = 0; i < count / 2; ++i) {
    const auto byte = static_cast<uint8_t>(packed[i]);
    values[2 * i] = byte & 15;
    values[2 * i + 1] = byte >> 4;
  }
}

void spread(uint32_t bits, const std::byte* packed, size_t count, uint8_t* values) {
  switch (bits) {
    case 2: return spread_bits<2>(packed, count, values);
    case 3: return spread_bits<3>(packed, count, values);
    case 4: return spread_halves(packed, count, values);
    case 5: return spread_bits<5>(packed, count, values);
    case 6: return spread_bits<6>(packed, count, values);
    default: CHECK(false, "{} bits", bits);
  }
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
  for (uint32_t n = 0; n < rows.source.num_rows; ++n) {
    const uint32_t stored = stored_row(plan, first_row + n);
    if (plan.scales != nullptr) {
      read_affine(plan, stored, n, rows);
    } else if (matrix.format.quantised()) {
      read_blocks(plan, stored, n, rows);
    } else {
      const std::byte* values = row_in(plan, *plan.values, stored);
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
  const std::byte* packed = row_in(plan, *plan.values, stored);
  rows.source.scales[n] = row_in(plan, *plan.scales, stored);
  rows.source.biases[n] = row_in(plan, *plan.biases, stored);
  if (plan.stored_bits == 8) {
    rows.source.values[n] = packed;
    return;
  }
  uint8_t* values = values_.data() + n * widest_;
  spread(plan.stored_bits, packed, plan.matrix->cols, values);
  rows.source.values[n] = values;
}

void RowReader::read_blocks(const MatrixPlan& plan, uint32_t stored, uint32_t n, Rows& rows) {
  const PackedMatrix& matrix = *plan.matrix;
  const bool affine = matrix.format.type == WeightType::kUnsigned;
  const size_t block_bytes = dtype_block_bytes(plan.values->dtype);
  const size_t num_blocks = matrix.cols / kBlockValues;
  const std::byte* block = row_in(plan, *plan.values, stored);
  uint8_t* values = values_.data() + n * widest_;
  uint16_t* scales = scales_.data() + n * most_groups_;
  uint16_t* biases = biases_.data() + n * most_groups_;
  for (size_t b = 0; b < num_blocks; ++b, block += block_bytes, values += kBlockValues) {
    std::memcpy(scales + b, block, 2);
    if (affine) std::memcpy(biases + b, block + 2, 2);
    const std::byte* stored_values = block + (affine ? 4 : 2);
    if (matrix.format.bits == 8) {
      std::memcpy(values, stored_values, kBlockValues);
      continue;
    }
    const uint8_t zero = affine ? 0 : 8;  // Q4_0 stores q + 8
    for (uint32_t i = 0; i < kBlockValues / 2; ++i) {
      const auto byte = static_cast<uint8_t>(stored_values[i]);
      values[i] = static_cast<uint8_t>((byte & 15) - zero);
      values[kBlockValues / 2 + i] = static_cast<uint8_t>((byte >> 4) - zero);
    }
  }
  rows.source.values[n] = values_.data() + n * widest_;
  rows.source.scales[n] = scales;
  rows.source.biases[n] = affine ? biases : nullptr;
}

}  // namespace slipstream
