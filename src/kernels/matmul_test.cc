#include <gtest/gtest.h>

#include "base/float_mode.h"
#include "kernels/packed_block.h"
#include "kernels/random_matrices.h"

namespace slipstream {
namespace {

std::vector<Isa> supported_isas() {
  std::vector<Isa> isas;
  for (Isa isa : kAllIsas) {
    if (isa_supported(isa)) {
      isas.push_back(isa);
    } else
      std::printf("SKIPPED %s\n", std::string(isa_name(isa)).c_str());
  }
  return isas;
}

// y of all rows; rows and chunks are quantised, and panels multiplied, in `splits` parts, beyond which nothing may be
// written.
std::vector<float> multiply(Isa isa, const PackedMatrix& w, std::span<const float> x, bool integers,
                            uint32_t splits = 1) {
  FloatModeScope mode;
  const Kernels& kernels = kernels_for(isa);
  const uint32_t rows = static_cast<uint32_t>(x.size() / w.cols);
  const Matrix<const float> input{x.data(), rows, w.cols, w.cols};
  AlignedBytes quantised(kernels.quantised_bytes(rows, w.cols));
  AlignedBytes scratch(matmul_scratch_bytes(rows, w.cols));
  std::vector<uint8_t> finite(rows, 1);
  for (uint32_t i = 0; i < splits; ++i) {
    for (uint32_t j = 0; j < splits; ++j) {  // the last chunks first, or last
      const Range chunks = split(all_chunks(w.cols).end, i % 2 == 0 ? splits - 1 - j : j, splits);
      kernels.quantise(input, split(rows, i, splits), chunks, quantised.data(), finite.data());
    }
  }
  EXPECT_EQ(std::count(finite.begin(), finite.end(), 1), rows);

  const uint32_t stride = w.rows + 3;
  const float guard = std::bit_cast<float>(0x7fc12345u);
  std::vector<float> y(static_cast<size_t>(rows) * stride, guard);
  for (uint32_t i = 0; i < splits; ++i) {
    kernels.matmul(w, {input, integers ? quantised.data() : nullptr}, split(w.num_panels(), i, splits),
                   {y.data(), rows, w.rows, stride}, scratch.data());
  }
  std::vector<float> out;
  for (uint32_t m = 0; m < rows; ++m) {
    for (uint32_t n = w.rows; n < stride; ++n) {
      EXPECT_EQ(std::bit_cast<uint32_t>(y[m * stride + n]), 0x7fc12345u) << "row " << m << " col " << n;
    }
    out.insert(out.end(), y.begin() + m * stride, y.begin() + m * stride + w.rows);
  }
  return out;
}

// The largest difference from the product in double, over the root mean square of the product.
double error_of(const std::vector<float>& y, const RandomMatrix& w, const std::vector<float>& x) {
  const uint32_t rows = w.packed().rows, cols = w.packed().cols;
  double largest = 0, squares = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    double exact = 0;
    for (uint32_t k = 0; k < cols; ++k) {
      exact += w.value(static_cast<uint32_t>(i % rows), k) * x[i / rows * cols + k];
    }
    largest = std::max(largest, std::abs(exact - y[i]));
    squares += exact * exact;
  }
  return largest / std::sqrt(squares / static_cast<double>(y.size()));
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
                << isa_name(isa) << " " << describe(format) << " K " << cols << " M " << m << " integers "
                << integers;
          }
        }
      }
    }
  }
}

TEST(Matmul, hundreds_of_rows_and_any_split_of_panels_give_the_same_bits) {
  for (const MatrixFormat& format : all_formats()) {
    if (format.scales == ScaleType::kFp32 && format.quantised()) continue;
    const uint32_t cols =
        format.bits == 4 ? 4480 : 2432;  // more than one input block; a whole bias block and a part
    Random random(7);
    const RandomMatrix w(format, 56, cols, random);
    const std::vector<float> x = random_rows(300, cols, random);
    const std::vector<float> expected = multiply(Isa::kReference, w.packed(), x, true);
    for (Isa isa : supported_isas()) {
      if (isa == Isa::kReference) continue;
      for (uint32_t m : {40u, 100u, 300u}) {
        const std::vector<float> y = multiply(isa, w.packed(), first_rows(x, m, cols), true, m == 100 ? 3 : 1);
        EXPECT_EQ(first_difference(y, first_rows(expected, m, 56)), -1)
            << isa_name(isa) << " " << describe(format) << " M " << m;
      }
    }
  }
}

TEST(Matmul, fp32_chains_are_the_same_however_panels_and_rows_are_put_together) {
  for (const MatrixFormat& format : all_formats()) {
    if (format.quantised() && (format.group != 64 || format.scales == ScaleType::kFp32)) continue;
    for (uint32_t cols : {1537u, 2080u, 192u}) {  // long panels, short ones; an input without a partner
      if (format.quantised() && cols % format.group != 0) continue;
      Random random(cols + format.bits);
      const uint32_t rows = 9 * 16 + 3;
      const RandomMatrix w(format, rows, cols, random);
      const std::vector<float> x = random_rows(120, cols, random);
      const std::vector<float> expected = multiply(Isa::kReference, w.packed(), x, false);
      for (Isa isa : supported_isas()) {
        if (isa == Isa::kReference) continue;
        for (uint32_t m : {1u, 2u, 3u, 5u, 6u, 11u, 12u, 13u, 25u, 97u, 120u}) {
          const std::vector<float> y = multiply(isa, w.packed(), first_rows(x, m, cols), false, m % 2 == 0 ? 3 : 1);
          EXPECT_EQ(first_difference(y, first_rows(expected, m, rows)), -1)
              << isa_name(isa) << " " << describe(format) << " K " << cols << " M " << m;
        }
      }
    }
  }
}

TEST(Matmul, agrees_with_double) {
  for (const MatrixFormat& format : all_formats()) {
    for (uint32_t cols : {576u, 2048u}) {
      if (format.quantised() && cols % format.group != 0) continue;
      Random random(cols);
      const RandomMatrix w(format, 33, cols, random);
      std::vector<float> x(static_cast<size_t>(5) * cols);
      for (float& value : x) value = random.normal();
      EXPECT_LT(error_of(multiply(best_isa(), w.packed(), x, true), w, x), 1e-4)
          << describe(format) << " K " << cols;
      EXPECT_LT(error_of(multiply(best_isa(), w.packed(), x, false), w, x), 1e-5)
          << describe(format) << " K " << cols;
    }
  }
}

TEST(Matmul, a_row_that_is_not_finite_is_reported_and_leaves_its_neighbours_as_they_are) {
  FloatModeScope mode;
  const uint32_t cols = 576;
  Random random(3);
  const RandomMatrix w({WeightType::kUnsigned, 4, 32, ScaleType::kFp16}, 48, cols, random);
  const std::vector<float> clean = random_rows(8, cols, random);
  for (Isa isa : supported_isas()) {
    const Kernels& kernels = kernels_for(isa);
    const std::vector<float> expected = multiply(isa, w.packed(), clean, true);
    for (float bad : {std::bit_cast<float>(0x7fc00000u), std::bit_cast<float>(0xffc00000u), INFINITY, -INFINITY}) {
      for (uint32_t place : {0u, 255u, 256u, 575u}) {
        std::vector<float> x = clean;
        x[5 * cols + place] = bad;
        const Matrix<const float> rows{x.data(), 8, cols, cols};
        AlignedBytes quantised(kernels.quantised_bytes(8, cols)), scratch(matmul_scratch_bytes(8, cols));
        std::vector<uint8_t> finite(8, 1);
        kernels.quantise(rows, {0, 8}, all_chunks(cols), quantised.data(), finite.data());
        EXPECT_EQ(finite, (std::vector<uint8_t>{1, 1, 1, 1, 1, 0, 1, 1}));
        std::vector<float> y(8 * 48);
        kernels.matmul(w.packed(), {rows, quantised.data()}, {0, 3}, {y.data(), 8, 48, 48}, scratch.data());
        for (uint32_t m : {0u, 1u, 2u, 3u, 4u, 6u, 7u}) {
          for (uint32_t n = 0; n < 48; ++n) EXPECT_EQ(y[m * 48 + n], expected[m * 48 + n]);
        }
      }
    }
  }
}

TEST(Matmul, tiny_and_huge_rows_give_the_references_bits) {
  const uint32_t cols = 576;
  Random random(4);
  for (ScaleType scales : {ScaleType::kBf16, ScaleType::kFp16}) {
    const RandomMatrix w({WeightType::kUnsigned, 4, 32, scales}, 20, cols, random);
    for (float size : {0.0f, 1e-40f, 1e-34f, 7.9e-31f, 1e-29f, 1e-20f, 1e20f, 1e30f, 3e38f}) {
      std::vector<float> x = random_rows(7, cols, random);
      for (float& value : x) value = std::max(-3.4e38f, std::min(3.4e38f, value * size));
      const std::vector<float> expected = multiply(Isa::kReference, w.packed(), x, true);
      for (Isa isa : supported_isas()) {
        EXPECT_EQ(first_difference(multiply(isa, w.packed(), x, true), expected), -1) << size;
      }
    }
  }
}

TEST(Matmul, the_largest_integers_overflow_nothing) {
  const uint32_t cols = 512, rows = 16, m_rows = 7;
  Random random(9);
  for (const MatrixFormat& format : all_formats()) {
    if (!format.quantised() || format.scales != ScaleType::kBf16) continue;
    const RandomMatrix w(format, rows, cols, random);
    const BlockLayout layout = block_layout(format);
    const size_t bytes = packed_bytes(format, rows, cols);
    for (const uint8_t weights : {0xff, 0x88, 0x80, 0x7f, 0x77, 0x00}) {
      AlignedBytes extreme(bytes);
      std::copy_n(w.packed().data, bytes, extreme.data());
      for (size_t block = 0; block < bytes; block += layout.block_bytes) {
        std::memset(extreme.data() + block, weights, layout.value_bytes);
      }
      const PackedMatrix packed{format, rows, cols, extreme.data()};
      std::vector<float> x(m_rows * cols);  // integers 32512 and -32512 in stretches of 1, 2, 4 .. 64
      for (size_t i = 0; i < x.size(); ++i) x[i] = (i % cols >> i / cols) % 2 == 0 ? 3.0f : -3.0f;
      std::fill(x.begin(), x.begin() + cols, 3.0f);
      const std::vector<float> expected = multiply(Isa::kReference, packed, x, true);
      for (Isa isa : supported_isas()) {
        for (uint32_t m : {1u, 2u, 4u, 7u}) {
          const std::vector<float> y = multiply(isa, packed, first_rows(x, m, cols), true);
          EXPECT_EQ(first_difference(y, first_rows(expected, m, rows)), -1)
              << isa_name(isa) << " " << describe(format) << " weights " << int{weights} << " M " << m;
        }
      }
    }
  }
}

// The weights and activations of ARITHMETIC.md 7, as its programs made them: group 64, bf16.
struct PublishedCase {
  uint8_t bits;
  uint32_t rows, cols;
  uint64_t first_row, all_rows;  // hashes found on Intel (VNNI, AMX) and AMD (AVX2)
};

uint64_t xorshift(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

void fill_published_weights(const PublishedCase& c, std::span<std::byte> to) {
  const size_t value_bytes = c.bits * 128u, block_bytes = value_bytes + 64;
  uint64_t state = 777;
  for (size_t block = 0; block < to.size(); block += block_bytes) {
    for (size_t i = 0; i < value_bytes; i += 8) {
      const uint64_t word = xorshift(state);
      std::memcpy(to.data() + block + i, &word, 8);
    }
    uint16_t scales[32];
    for (uint32_t n = 0; n < 16; ++n) {
      const float scale =
          0.01f * (0.5f + static_cast<float>(xorshift(state) % 1000) / 1000.0f) * (c.bits == 4 ? 1.0f : 1 / 16.0f);
      scales[n] = narrow_bf16(scale);
      scales[16 + n] = narrow_bf16(-scale * (c.bits == 4 ? 7.5f : 127.5f));
    }
    std::memcpy(to.data() + block + value_bytes, scales, sizeof scales);
  }
}

std::vector<float> published_rows(uint32_t rows, uint32_t cols) {
  std::vector<float> x(static_cast<size_t>(rows) * cols);
  uint64_t state = 88172645463325252ull;
  for (float& value : x) {
    float sum = 0;
    for (int i = 0; i < 12; ++i) sum += static_cast<float>(xorshift(state) >> 40) / 16777216.0f;
    value = sum - 6.0f;
  }
  return x;
}

TEST(Matmul, has_the_hashes_that_other_processors_and_instruction_sets_have) {
  const PublishedCase cases[] = {{4, 8192, 2048, 0x72983a2ded276468, 0xd8edcae1f715f3ac},
                                 {8, 8192, 2048, 0xb66bc8e679b4c82a, 0xd9baf66f3be492ec},
                                 {4, 2048, 8192, 0xfc8f704422d6b063, 0x7d2f009b31b688ec},
                                 {8, 2048, 8192, 0xf50e9876e9af9822, 0x5a11d4ca94adda65}};
  for (const PublishedCase& c : cases) {
    const MatrixFormat format{WeightType::kUnsigned, c.bits, 64, ScaleType::kBf16};
    AlignedBytes weights(packed_bytes(format, c.rows, c.cols));
    fill_published_weights(c, {weights.data(), packed_bytes(format, c.rows, c.cols)});
    const PackedMatrix w{format, c.rows, c.cols, weights.data()};
    const std::vector<float> x = published_rows(512, c.cols);
    for (Isa isa : supported_isas()) {
      const uint32_t rows = isa == Isa::kReference ? 1 : 512;  // the reference is slow
      const std::vector<float> y = multiply(isa, w, first_rows(x, rows, c.cols), true);
      uint64_t all = 1469598103934665603ull;
      for (uint32_t m = 0; m < rows; ++m) {
        const uint64_t row = hash_floats({y.data() + static_cast<size_t>(m) * c.rows, c.rows});
        if (m == 0) {
          EXPECT_EQ(row, c.first_row) << isa_name(isa) << " " << int{c.bits} << " bits " << c.rows << "x" << c.cols;
        }
        all = (all ^ row) * 1099511628211ull;
      }
      if (rows == 512) {
        EXPECT_EQ(all, c.all_rows) << isa_name(isa) << " " << int{c.bits} << " bits " << c.rows << "x" << c.cols;
      }
    }
  }
}

TEST(Matmul, has_the_committed_hashes) {
  // Of a fixed input, one for each kind of path: they must not depend on compiler, instruction set or machine.
  struct Case {
    MatrixFormat format;
    uint32_t cols;
    bool integers;
    uint64_t hash;
  };
  const Case cases[] = {
      {{WeightType::kUnsigned, 4, 32, ScaleType::kFp16}, 576, true, 0x8b797e16f3297b56},
      {{WeightType::kUnsigned, 4, 128, ScaleType::kFp32}, 4224, true, 0x7daa9ff715909577},
      {{WeightType::kUnsigned, 8, 64, ScaleType::kFp16}, 2112, true, 0xc7bd7e19244c62a2},
      {{WeightType::kSigned, 8, 32, ScaleType::kFp16}, 576, true, 0x1c1d2caa46f7522d},
      {{WeightType::kSigned, 4, 64, ScaleType::kBf16}, 576, true, 0xd57ac6a694197fb4},
      {{WeightType::kUnsigned, 4, 32, ScaleType::kFp16}, 576, false, 0x9eef1e83501dc33b},
      {{WeightType::kBf16, 16, 0, ScaleType::kFp32}, 576, true, 0xf37dd76a367426fc},
      {{WeightType::kFp16, 16, 0, ScaleType::kFp32}, 576, true, 0x97cef68fdc877893},
      {{WeightType::kFp32, 32, 0, ScaleType::kFp32}, 576, true, 0xdaf3e6afec875e14},
  };
  for (const Case& c : cases) {
    Random random(20);
    const RandomMatrix w(c.format, 50, c.cols, random);
    const std::vector<float> x = random_rows(11, c.cols, random);
    for (Isa isa : supported_isas()) {
      EXPECT_EQ(hash_floats(multiply(isa, w.packed(), x, c.integers)), c.hash)
          << isa_name(isa) << " " << describe(c.format);
    }
  }
}

}  // namespace
}  // namespace slipstream
