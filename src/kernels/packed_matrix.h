// A weight matrix in the one packed layout that every kernel reads, made once at load (ARITHMETIC.md 3,
// PERFORMANCE.md 3.1).
//
// A panel is 16 output rows; panels lie one after the other, each packed_panel_bytes() long and 64-byte aligned.
// Inside a panel, blocks of 64 inputs carry their values and, in the same stream, their scales and biases. Rows
// beyond `rows` in the last panel and inputs beyond `cols` are zero (q = 0, scale = 0, bias = 0). What a block looks
// like is said in packed_block.h and known only in kernels/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace slipstream {

inline constexpr uint32_t kPanelRows = 16;

enum class WeightType : uint8_t {
  kUnsigned,  // affine: w = scale * q + bias, q of `bits` bits, unsigned (MLX; GGUF Q4_1)
  kSigned,    // w = scale * q, q of `bits` bits, two's complement (GGUF Q8_0)
  kBf16,
  kFp16,
  kFp32,
};

enum class ScaleType : uint8_t { kBf16, kFp16, kFp32 };

struct MatrixFormat {
  WeightType type = WeightType::kFp32;
  uint8_t bits = 32;                    // of a stored value: 4 or 8 when quantised, else 16 or 32
  uint16_t group = 0;                   // inputs that share a scale: 32, 64, 128; 0 when not quantised
  ScaleType scales = ScaleType::kFp32;  // also of the biases; meaningless when not quantised

  bool quantised() const { return type == WeightType::kUnsigned || type == WeightType::kSigned; }
  bool operator==(const MatrixFormat&) const = default;
};

// y = W x with W [rows, cols]: rows are outputs, cols inputs. Not the owner of `data`.
struct PackedMatrix {
  MatrixFormat format;
  uint32_t rows = 0;
  uint32_t cols = 0;
  const std::byte* data = nullptr;

  uint32_t num_panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
};

size_t packed_panel_bytes(const MatrixFormat& format, uint32_t cols);
size_t packed_bytes(const MatrixFormat& format, uint32_t rows, uint32_t cols);

// Up to 16 rows as they are before packing. Quantised: values[r] is one byte per weight (q, or int8 q), scales[r] and
// biases[r] are cols / group elements of format.scales (biases unused for kSigned). Not quantised: values[r] is
// `cols` elements of the type itself.
struct PanelSource {
  uint32_t num_rows = 0;  // <= 16
  std::array<const void*, kPanelRows> values{};
  std::array<const void*, kPanelRows> scales{};
  std::array<const void*, kPanelRows> biases{};
};

// Writes one whole panel. One thread's work; panels may be packed by different threads at once.
void pack_panel(const MatrixFormat& format, uint32_t cols, const PanelSource& source, std::byte* panel);

// Row `row` of W widened to fp32 (ARITHMETIC.md 9, embedding: fma(float(q), s, b)). out: [cols].
void unpack_row(const PackedMatrix& matrix, uint32_t row, float* out);

}  // namespace slipstream
