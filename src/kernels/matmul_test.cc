#include <gtest/gtest.h>

#include "base/float_mode.h"
#include "kernels/random_matrices.h"

namespace slipstream {
namespace {

std::vector<Isa> supported_isas() {
  std::vector<Isa> isas;
  for (Isa isa : {Isa::kReference, Isa::kAvx2}) {
    if (isa_supported(isa)) isas.push_back(isa);
    else std::printf("SKIPPED %s\n", std::string(isa_name(isa)).c_str());
  }
  return isas;
}

// y of all rows, panels in `splits` parts, beyond which nothing may be written.
std::vector<float> multiply(Isa isa, const PackedMatrix& w, std::span<const float> x, bool integers, uint32_t splits = 1) {
  FloatModeScope mode;
  const Kernels& kernels = kernels_for(isa);
  const uint32_t rows = static_cast<uint32_t>(x.size() / w.cols);
  const Matrix<const float> input{x.data(), rows, w.cols, w.cols};
  AlignedBytes quantised(kernels.quantised_bytes(rows, w.cols));
  AlignedBytes scratch(matmul_scratch_bytes(rows, w.cols));
  std::vector<uint8_t> finite(rows, 1);
  for (uint32_t i = 0; i < splits; ++i) kernels.quantise(input, split(rows, i, splits), quantised.data(), finite.data());
  EXPECT_EQ(std::count(finite.begin(), finite.end(), 1), rows);

  const uint32_t stride = w.rows + 3;
  const float guard = std::bit_cast<float>(0x7fc12345u);
  std::vector<float> y(static_cast<size_t>(rows) * stride, guard);
  for (uint32_t i = 0; i < splits; ++i) {
    kernels.matmul(w, {input, integers ? quantised.data() : nullptr}, split(w.num_panels(), i, splits), {y.data(), rows, w.rows, stride},
                   scratch.data());
  }
  std::vector<float> out;
  for (uint32_t m = 0; m < rows; ++m) {
    for (uint32_t n = w.rows; n < stride; ++n) EXPECT_EQ(std::bit_cast<uint32_t>(y[m * stride + n]), 0x7fc12345u) << "row " << m << " col " << n;
    out.insert(out.end(), y.begin() + m * stride, y.begin() + m * stride + w.rows);
  }
  return out;
}

std::vector<float> first_rows(const std::vector<float>& x, uint32_t rows, uint32_t cols) {
  return {x.begin(), x.begin() + static_cast<size_t>(rows) * cols};
}

// The index of the first difference in bits, or -1.
int64_t first_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) return static_cast<int64_t>(i);
  }
  return -1;
}

TEST(Matmul, every_isa_gives_the_references_bits_for_every_format_and_ragged_shape) {
  for (const MatrixFormat& format : all_formats()) {
    for (uint32_t cols : {32u, 96u, 128u, 576u, 1536u, 2080u}) {
      if (format.quantised() && cols % format.group != 0) continue;
      Random random(cols * 31 + format.bits);
      const uint32_t rows = cols == 576 ? 40 : 25;
      const RandomMatrix w(format, rows, cols, random);
      const std::vector<float> x = random_rows(17, cols, random);
      for (bool integers : {true, false}) {
        const std::vector<float> expected = multiply(Isa::kReference, w.packed(), x, integers);
        for (Isa isa : supported_isas()) {
          for (uint32_t m : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 13u, 17u}) {
            const std::vector<float> y = multiply(isa, w.packed(), first_rows(x, m, cols), integers);
            EXPECT_EQ(first_difference(y, first_rows(expected, m, rows)), -1)
                << isa_name(isa) << " " << describe(format) << " K " << cols << " M " << m << " integers " << integers;
          }
        }
      }
    }
  }
}

TEST(Matmul, hundreds_of_rows_and_any_split_of_panels_give_the_same_bits) {
  for (const MatrixFormat& format : all_formats()) {
    if (format.scales == ScaleType::kFp32 && format.quantised()) continue;
    const uint32_t cols = format.bits == 4 ? 4480 : 2432;  // more than one input block; a whole bias block and a part
    Random random(7);
    const RandomMatrix w(format, 56, cols, random);
    const std::vector<float> x = random_rows(300, cols, random);
    const std::vector<float> expected = multiply(Isa::kReference, w.packed(), x, true);
    for (Isa isa : supported_isas()) {
      if (isa == Isa::kReference) continue;
      for (uint32_t m : {40u, 100u, 300u}) {
        const std::vector<float> y = multiply(isa, w.packed(), first_rows(x, m, cols), true, m == 100 ? 3 : 1);
        EXPECT_EQ(first_difference(y, first_rows(expected, m, 56)), -1) << isa_name(isa) << " " << describe(format) << " M " << m;
      }
    }
  }
}

}  // namespace
}  // namespace slipstream
