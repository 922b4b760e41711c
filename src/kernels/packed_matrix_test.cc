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
