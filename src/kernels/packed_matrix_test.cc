#include "kernels/packed_matrix.h"

#include <gtest/gtest.h>

#include "kernels/packed_block.h"
#include "kernels/random_matrices.h"

namespace slipstream {
namespace {

TEST(PackedMatrix, unpack_row_gives_back_what_was_packed) {
  for (const MatrixFormat& format : all_formats()) {
    for (uint32_t cols : {32u, 96u, 128u, 576u}) {
      if (format.quantised() && cols % format.group != 0) continue;
      Random random(cols);
      const RandomMatrix w(format, 21, cols, random);
      std::vector<float> row(cols);
      for (uint32_t r = 0; r < 21; ++r) {
        unpack_row(w.packed(), r, row.data());
        for (uint32_t k = 0; k < cols; ++k) {
          EXPECT_EQ(row[k], static_cast<float>(w.value(r, k))) << describe(format) << " row " << r << " col " << k;
        }
      }
    }
  }
}

// pack_panel() value by value, as packed_block.h tells where each stands.
void pack_slowly(const MatrixFormat& format, uint32_t cols, const PanelSource& source, std::byte* panel) {
  std::memset(panel, 0, packed_panel_bytes(format, cols));
  const auto copy = [](std::byte* to, const void* from, size_t index, size_t size) {
    std::memcpy(to, static_cast<const std::byte*>(from) + index * size, size);
  };
  for (uint32_t row = 0; row < source.num_rows; ++row) {
    for (uint32_t col = 0; col < cols; ++col) {
      if (!format.quantised()) {
        const size_t size = format.type == WeightType::kFp32 ? 4 : 2;
        const size_t place = format.type == WeightType::kBf16 ? (size_t{col / 2} * kPanelRows + row) * 2 + col % 2
                                                              : size_t{col} * kPanelRows + row;
        copy(panel + place * size, source.values[row], col, size);
        continue;
      }
      const BlockLayout layout = block_layout(format);
      std::byte* block = panel + size_t{col / layout.inputs} * layout.block_bytes;
      const uint32_t in_block = col % layout.inputs;
      std::byte* lines = block + in_block / 64 * format.bits * 128;
      const uint32_t k = in_block % 64;
      const std::byte value = static_cast<const std::byte*>(source.values[row])[col];
      if (format.bits == 8) lines[k / 4 * 64 + row * 4 + k % 4] = value;
      if (format.bits == 4) lines[k % 32 / 4 * 64 + row * 4 + k % 4] |= (value & std::byte{15}) << (k / 32 * 4);
      const uint32_t unit = scale_bytes(format.scales);
      std::byte* to = block + layout.value_bytes + in_block / format.group * layout.group_bytes + row * unit;
      copy(to, source.scales[row], col / format.group, unit);
      if (format.type != WeightType::kUnsigned) continue;
      copy(to + layout.bias_offset, source.biases[row], col / format.group, unit);
    }
  }
}

TEST(PackedMatrix, packs_the_bytes_that_the_slow_twin_packs) {
  Random random(3);
  for (const MatrixFormat& format : all_formats()) {
    for (uint32_t cols : {1u, 2u, 31u, 32u, 33u, 64u, 96u, 127u, 128u, 129u, 256u, 640u}) {
      if (format.quantised() && cols % format.group != 0) continue;
      for (uint32_t num_rows : {0u, 1u, 7u, 16u}) {
        std::vector<uint8_t> bytes(3 * kPanelRows * cols * 4);  // all bits, also those that no reader would set
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.bits());
        PanelSource source;
        source.num_rows = num_rows;
        for (uint32_t row = 0; row < num_rows; ++row) {
          source.values[row] = &bytes[(row * 3 + 0) * cols * 4];
          source.scales[row] = &bytes[(row * 3 + 1) * cols * 4];
          source.biases[row] = &bytes[(row * 3 + 2) * cols * 4];
        }
        std::vector<std::byte> fast(packed_panel_bytes(format, cols), std::byte{0x55}), slow(fast.size());
        pack_panel(format, cols, source, fast.data());
        pack_slowly(format, cols, source, slow.data());
        EXPECT_TRUE(fast == slow) << describe(format) << " " << num_rows << " rows of " << cols;
      }
    }
  }
}

TEST(PackedMatrix, an_odd_number_of_unquantised_inputs_is_padded) {
  Random random(1);
  const MatrixFormat format{WeightType::kBf16, 16, 0, ScaleType::kFp32};
  EXPECT_EQ(packed_panel_bytes(format, 33), packed_panel_bytes(format, 34));
  const RandomMatrix w(format, 16, 33, random);
  std::vector<float> row(33);
  unpack_row(w.packed(), 15, row.data());
  EXPECT_EQ(row[32], static_cast<float>(w.value(15, 32)));
}

TEST(PackedMatrix, takes_the_bytes_of_the_file) {
  // 64 inputs of 16 rows: 4 bits, group 64, bf16 is 512 + 64 (PERFORMANCE.md 3.1).
  EXPECT_EQ(packed_panel_bytes({WeightType::kUnsigned, 4, 64, ScaleType::kBf16}, 64), 576u);
  EXPECT_EQ(packed_panel_bytes({WeightType::kUnsigned, 8, 64, ScaleType::kBf16}, 64), 1088u);
  EXPECT_EQ(packed_panel_bytes({WeightType::kUnsigned, 4, 32, ScaleType::kFp16}, 576), 9u * (512 + 128));
  EXPECT_EQ(packed_panel_bytes({WeightType::kSigned, 8, 32, ScaleType::kFp16}, 576), 9u * (1024 + 64));
  EXPECT_EQ(packed_panel_bytes({WeightType::kUnsigned, 4, 128, ScaleType::kBf16}, 256), 2u * (1024 + 64));
  EXPECT_EQ(packed_panel_bytes({WeightType::kUnsigned, 4, 64, ScaleType::kFp32}, 64), 512u + 128);
  EXPECT_EQ(packed_bytes({WeightType::kUnsigned, 4, 64, ScaleType::kBf16}, 17, 128), 2u * 2 * 576);
}

TEST(PackedMatrix, panels_are_whole_lines_and_the_padding_is_zero) {
  for (const MatrixFormat& format : all_formats()) {
    const uint32_t cols = format.group == 32 ? 96 : 128;
    EXPECT_EQ(packed_panel_bytes(format, cols) % 64, 0u);
    std::vector<uint8_t> ones(cols * 4, 0xff);
    PanelSource source;
    source.num_rows = 1;
    source.values[0] = source.scales[0] = source.biases[0] = ones.data();
    std::vector<std::byte> panel(packed_panel_bytes(format, cols), std::byte{0x55});
    pack_panel(format, cols, source, panel.data());
    size_t set_bits = 0;
    for (std::byte b : panel) set_bits += static_cast<size_t>(std::popcount(static_cast<uint8_t>(b)));
    const size_t scales = format.quantised() ? cols / format.group * scale_bytes(format.scales) * 8 *
                                                   (format.type == WeightType::kUnsigned ? 2 : 1)
                                             : 0;
    EXPECT_EQ(set_bits, cols * size_t{format.bits} + scales) << describe(format);
  }
}

TEST(PackedMatrix, a_group_that_does_not_divide_the_inputs_is_refused) {
  std::vector<std::byte> panel(4096);
  EXPECT_DEATH(pack_panel({WeightType::kUnsigned, 4, 64, ScaleType::kBf16}, 96, PanelSource{}, panel.data()),
               "96 inputs in groups of 64");
}

}  // namespace
}  // namespace slipstream
