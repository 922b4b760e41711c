#include "model/dummy_tensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/float16.h"
#include "model/checkpoint.h"
#include "model/small_shape.h"

namespace slipstream {
namespace {

DummyShape small(std::string_view name) { return small_shape(read_dummy_name(name)->shape, 2, 320); }

const DummyTensors::Entry& find(const DummyTensors& tensors, const std::string& name) {
  for (const DummyTensors::Entry& entry : tensors.entries()) {
    if (entry.name == name) return entry;
  }
  ADD_FAILURE() << name;
  return tensors.entries()[0];
}

std::vector<std::byte> bytes_of(const DummyTensors& tensors, const DummyTensors::Entry& entry) {
  std::vector<std::byte> bytes(entry.num_bytes);
  tensors.make(entry, 0, bytes);
  return bytes;
}

float bf16_at(std::span<const std::byte> bytes, size_t index) {
  uint16_t bits;
  std::memcpy(&bits, bytes.data() + index * 2, 2);
  return widen_bf16(bits);
}

TEST(DummyShape, a_name_has_a_seed_or_none_and_others_are_refused_with_the_list) {
  EXPECT_EQ(read_dummy_name("llama-3.2-1b-4bit")->seed, 0u);
  EXPECT_EQ(read_dummy_name("qwen3-30b-a3b-4bit:18446744073709551615")->seed, ~uint64_t{0});
  for (const char* wrong : {"", "llama", "llama-3.2-1b-4bit:", "llama-3.2-1b-4bit:x", "llama-3.2-1b-4bit:1 "})
    EXPECT_FALSE(read_dummy_name(wrong).ok()) << wrong;
  EXPECT_NE(read_dummy_name("x").error().message.find("qwen3-30b-a3b-4bit"), std::string::npos);
}

TEST(DummyTensors, have_the_bytes_that_the_real_models_have) {
  const std::pair<const char*, double> known[] = {{"llama-3.2-1b-4bit", 0.695},
                                                  {"llama-3.2-3b-4bit", 1.807},
                                                  {"qwen3-0.6b-8bit", 0.633},
                                                  {"qwen2.5-1.5b-4bit", 0.868},
                                                  {"qwen3-30b-a3b-4bit", 17.18}};
  for (const auto& [name, gigabytes] : known) {
    const DummyTensors tensors(read_dummy_name(name)->shape, 0);
    EXPECT_NEAR(static_cast<double>(tensors.total_bytes()) * 1e-9, gigabytes, gigabytes * 0.002) << name;
  }
}

TEST(DummyTensors, any_piece_of_a_tensor_is_that_piece_of_the_whole) {
  const DummyTensors tensors(small("qwen2.5-1.5b-4bit"), 7);
  for (const char* name : {"model.layers.1.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.scales",
                           "model.layers.1.mlp.up_proj.biases", "model.layers.0.self_attn.q_proj.bias"}) {
    const DummyTensors::Entry& entry = find(tensors, name);
    const std::vector<std::byte> whole = bytes_of(tensors, entry);
    for (const auto& [offset, size] :
         {std::pair<size_t, size_t>{0, 1}, {1, 2}, {3, 5}, {7, 9}, {8, 16}, {13, 77}, {entry.num_bytes - 3, 3}}) {
      std::vector<std::byte> piece(size);
      tensors.make(entry, offset, piece);
      EXPECT_EQ(std::memcmp(piece.data(), whole.data() + offset, size), 0) << name << " " << offset << " " << size;
    }
  }
}

TEST(DummyTensors, another_seed_or_another_tensor_is_other_numbers) {
  const DummyShape shape = small("llama-3.2-1b-4bit");
  const DummyTensors one(shape, 1), two(shape, 2), same(shape, 1);
  const auto bytes = [](const DummyTensors& tensors, const char* name) {
    return bytes_of(tensors, find(tensors, name));
  };
  const char* up = "model.layers.0.mlp.up_proj.weight";
  EXPECT_EQ(bytes(one, up), bytes(same, up));
  EXPECT_NE(bytes(one, up), bytes(two, up));
  EXPECT_NE(bytes(one, up), bytes(one, "model.layers.0.mlp.gate_proj.weight"));
  EXPECT_NE(bytes(one, "model.norm.weight"), bytes(two, "model.norm.weight"));
}

TEST(DummyTensors, entries_of_a_matrix_have_mean_0_and_variance_1_over_cols) {
  for (const char* name : {"llama-3.2-1b-4bit", "qwen3-0.6b-8bit"}) {
    const DummyShape shape = small(name);
    const DummyTensors tensors(shape, 3);
    const std::string path = "model.layers.0.mlp.down_proj.";
    const auto values = bytes_of(tensors, find(tensors, path + "weight"));
    const auto scales = bytes_of(tensors, find(tensors, path + "scales"));
    const auto biases = bytes_of(tensors, find(tensors, path + "biases"));
    const size_t count = size_t{shape.hidden_size} * shape.intermediate_size;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; ++i) {
      const auto byte = static_cast<uint32_t>(values[shape.bits == 4 ? i / 2 : i]);
      const uint32_t q = shape.bits == 8 ? byte : byte >> (i % 2 * 4) & 15;
      const double value = static_cast<double>(q) * bf16_at(scales, i / 64) + bf16_at(biases, i / 64);
      sum += value;
      squares += value * value;
    }
    const double spread = std::sqrt(static_cast<double>(shape.intermediate_size));
    EXPECT_NEAR(sum / static_cast<double>(count) * spread, 0, 0.02) << name;
    EXPECT_NEAR(squares / static_cast<double>(count) * shape.intermediate_size, 1, 0.05) << name;
  }
}

// The planner checks every shape against the config.
TEST(DummyTensors, every_shape_is_planned_and_small_ones_are_packed_like_a_file) {
  ThreadPool pool(3);
  for (const DummyShape& shape : dummy_shapes()) {
    const DummyShape little = small(shape.name);
    const auto checkpoint = open_dummy({little, 5});
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    const auto weights = load_checkpoint(*checkpoint, pool, {});
    ASSERT_TRUE(weights.ok()) << shape.name << ": " << weights.error().message;
    // One packed weight against the bytes it was made of.
    const DummyTensors tensors(little, 5);
    const auto values = bytes_of(tensors, find(tensors, "model.layers.1.self_attn.k_proj.weight"));
    const auto scales = bytes_of(tensors, find(tensors, "model.layers.1.self_attn.k_proj.scales"));
    const auto biases = bytes_of(tensors, find(tensors, "model.layers.1.self_attn.k_proj.biases"));
    std::vector<float> row(little.hidden_size);
    unpack_row(weights->layers[1].k, 40, row.data());
    for (size_t col = 0; col < row.size(); ++col) {
      const size_t i = 40 * row.size() + col;
      const auto byte = static_cast<uint32_t>(values[little.bits == 4 ? i / 2 : i]);
      const uint32_t q = little.bits == 8 ? byte : byte >> (i % 2 * 4) & 15;
      EXPECT_EQ(row[col], __builtin_fmaf(static_cast<float>(q), bf16_at(scales, i / 64), bf16_at(biases, i / 64)));
    }
  }
}

}  // namespace
}  // namespace slipstream
