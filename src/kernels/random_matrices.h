// What the tests of the kernels compute on: random matrices in every format, from a printed seed. Included by tests
// and benchmarks only.
#pragma once

#include <fmt/core.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "kernels/float16.h"
#include "kernels/kernels.h"

namespace slipstream {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t bits() { return engine_(); }
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(engine_() % n); }
  float uniform(float low, float high) {
    return low + (high - low) * static_cast<float>(engine_() >> 40) * 0x1p-24f;
  }
  // About normal: the sum of four uniforms, spread 1.
  float normal() {
    float sum = 0;
    for (int i = 0; i < 4; ++i) sum += uniform(-1, 1);
    return sum * 0.8660254f;
  }

 private:
  std::mt19937_64 engine_;
};

// Memory on a border of 64 bytes, filled with ones (NaN) so that what is not written is seen.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes) : storage_(bytes + 64, std::byte{0xff}) {}
  std::byte* data() {
    return reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(storage_.data()) + 63) / 64 * 64);
  }

 private:
  std::vector<std::byte> storage_;
};

inline std::string describe(const MatrixFormat& format) {
  const char* types[] = {"unsigned", "signed", "bf16", "fp16", "fp32"};
  const char* scales[] = {"bf16", "fp16", "fp32"};
  const char* type = types[static_cast<int>(format.type)];
  if (!format.quantised()) return type;
  return fmt::format("{} {} bits, group {}, {}", type, format.bits, format.group,
                     scales[static_cast<int>(format.scales)]);
}

inline std::vector<MatrixFormat> all_formats() {
  std::vector<MatrixFormat> formats;
  for (WeightType type : {WeightType::kUnsigned, WeightType::kSigned}) {
    for (uint8_t bits : {4, 8}) {
      for (uint16_t group : {32, 64, 128}) {
        for (ScaleType scales : {ScaleType::kBf16, ScaleType::kFp16, ScaleType::kFp32}) {
          formats.push_back({type, bits, group, scales});
        }
      }
    }
  }
  formats.push_back({WeightType::kBf16, 16, 0, ScaleType::kFp32});
  formats.push_back({WeightType::kFp16, 16, 0, ScaleType::kFp32});
  formats.push_back({WeightType::kFp32, 32, 0, ScaleType::kFp32});
  return formats;
}

// A random matrix: as packed, and as the numbers it stands for.
class RandomMatrix {
 public:
  RandomMatrix(const MatrixFormat& format, uint32_t rows, uint32_t cols, Random& random)
      : packed_(packed_bytes(format, rows, cols)), values_(static_cast<size_t>(rows) * cols) {
    const size_t panel_bytes = packed_panel_bytes(format, cols);
    matrix_ = {format, rows, cols, packed_.data()};
    for (uint32_t first = 0; first < rows; first += kPanelRows) {
      std::vector<std::vector<std::byte>> storage;
      PanelSource source;
      source.num_rows = std::min(kPanelRows, rows - first);
      for (uint32_t r = 0; r < source.num_rows; ++r) fill_row(source, r, first + r, storage, random);
      pack_panel(format, cols, source, packed_.data() + first / kPanelRows * panel_bytes);
    }
  }

  const PackedMatrix& packed() const { return matrix_; }
  double value(uint32_t row, uint32_t col) const { return values_[static_cast<size_t>(row) * matrix_.cols + col]; }

 private:
  // A scale of about `size` in the file's type; returns what it is exactly.
  static float put_scale(ScaleType type, float size, std::byte* to) {
    if (type == ScaleType::kFp32) {
      std::memcpy(to, &size, 4);
      return size;
    }
    const uint16_t bits = type == ScaleType::kBf16 ? narrow_bf16(size) : narrow_fp16(size);
    std::memcpy(to, &bits, 2);
    return type == ScaleType::kBf16 ? widen_bf16(bits) : widen_fp16(bits);
  }

  void fill_row(PanelSource& source, uint32_t in_panel, uint32_t row, std::vector<std::vector<std::byte>>& storage,
                Random& random) {
    const MatrixFormat& format = matrix_.format;
    const uint32_t cols = matrix_.cols;
    double* values = values_.data() + static_cast<size_t>(row) * cols;
    const auto room = [&](size_t bytes) {
      storage.emplace_back(bytes);
      return storage.back().data();
    };
    if (!format.quantised()) {
      const ScaleType type = format.type == WeightType::kBf16   ? ScaleType::kBf16
                             : format.type == WeightType::kFp16 ? ScaleType::kFp16
                                                                : ScaleType::kFp32;
      const size_t size = type == ScaleType::kFp32 ? 4 : 2;
      std::byte* to = room(cols * size);
      for (uint32_t k = 0; k < cols; ++k) values[k] = put_scale(type, random.normal() * 0.05f, to + k * size);
      source.values[in_panel] = to;
      return;
    }
    const uint32_t groups = cols / format.group;
    const size_t size = format.scales == ScaleType::kFp32 ? 4 : 2;
    std::byte* q = room(cols);
    std::byte* scales = room(groups * size);
    std::byte* biases = room(groups * size);
    const int32_t levels = 1 << format.bits;
    for (uint32_t g = 0; g < groups; ++g) {
      const float scale =
          put_scale(format.scales, random.uniform(0.05f, 0.15f) / static_cast<float>(levels), scales + g * size);
      const float bias = put_scale(format.scales, -scale * static_cast<float>(levels) * random.uniform(0.4f, 0.6f),
                                   biases + g * size);
      for (uint32_t k = g * format.group; k < (g + 1) * format.group; ++k) {
        const int32_t level = static_cast<int32_t>(random.below(static_cast<uint32_t>(levels)));
        const int32_t value = format.type == WeightType::kSigned ? level - levels / 2 : level;
        q[k] = static_cast<std::byte>(value);
        values[k] = static_cast<double>(value) * scale + (format.type == WeightType::kSigned ? 0.0 : bias);
      }
    }
    source.values[in_panel] = q;
    source.scales[in_panel] = scales;
    source.biases[in_panel] = biases;
  }

  AlignedBytes packed_;
  std::vector<double> values_;
  PackedMatrix matrix_;
};

// Activations [rows, cols] with now and then a large one, as real ones have.
inline std::vector<float> random_rows(uint32_t rows, uint32_t cols, Random& random) {
  std::vector<float> x(static_cast<size_t>(rows) * cols);
  for (float& value : x) value = random.normal() * (random.below(512) == 0 ? 50.0f : 1.0f);
  return x;
}

// FNV-1a over the words of `values`.
inline uint64_t hash_floats(std::span<const float> values) {
  uint64_t hash = 1469598103934665603ull;
  for (float value : values) hash = (hash ^ std::bit_cast<uint32_t>(value)) * 1099511628211ull;
  return hash;
}

}  // namespace slipstream
