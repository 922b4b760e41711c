#include "model/weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "files/test_files.h"
#include "kernels/float16.h"
#include "model/checkpoint.h"
#include "model/weights_plan.h"
#include "model/weights_rows.h"

namespace slipstream {
namespace {

const std::string kData = SLIPSTREAM_TEST_DATA;

Result<Weights> load(const Checkpoint& checkpoint, uint32_t num_threads = 2) {
  ThreadPool pool(num_threads);
  return load_checkpoint(checkpoint, pool, {});
}

float widen(DType dtype, const std::byte* bytes, size_t index) {
  float value = 0;
  uint16_t half = 0;
  if (dtype == DType::kF32) {
    std::memcpy(&value, bytes + index * 4, 4);
    return value;
  }
  std::memcpy(&half, bytes + index * 2, 2);
  return dtype == DType::kBf16 ? widen_bf16(half) : widen_fp16(half);
}

// Weight (row, col) as the format's own description defines it, bit by bit; knows nothing of packing.
float stored_weight(const TensorSource& source, const std::string& path, uint32_t row, uint32_t col, uint32_t cols) {
  const Tensor& values = *source.find(path + ".weight");
  const Tensor* scales = source.find(path + ".scales");
  if (scales == nullptr) return widen(values.dtype, values.bytes.data(), static_cast<size_t>(row) * cols + col);
  const auto bits = static_cast<uint32_t>(values.shape[1] * 32 / cols);
  uint32_t q = 0;
  for (uint32_t i = 0; i < bits; ++i) {
    const size_t bit = static_cast<size_t>(col) * bits + i;
    q |= (static_cast<uint32_t>(values.bytes[row * values.shape[1] * 4 + bit / 8]) >> bit % 8 & 1) << i;
  }
  const size_t group = row * scales->shape[1] + col / (cols / scales->shape[1]);
  return std::fma(static_cast<float>(q), widen(scales->dtype, scales->bytes.data(), group),
                  widen(scales->dtype, source.find(path + ".biases")->bytes.data(), group));
}

void expect_matrix(const TensorSource& source, const std::string& path, const PackedMatrix& matrix) {
  std::vector<float> row(matrix.cols);
  for (uint32_t r = 0; r < matrix.rows; ++r) {
    unpack_row(matrix, r, row.data());
    for (uint32_t c = 0; c < matrix.cols; ++c) {
      ASSERT_EQ(row[c], stored_weight(source, path, r, c, matrix.cols)) << path << " row " << r << " col " << c;
    }
  }
}

void expect_vector(const TensorSource& source, const std::string& path, const float* vector) {
  const Tensor& tensor = *source.find(path + ".weight");
  for (size_t i = 0; i < tensor.shape[0]; ++i) ASSERT_EQ(vector[i], widen(tensor.dtype, tensor.bytes.data(), i)) << path << " " << i;
}

void expect_all(const Checkpoint& checkpoint, const Weights& weights) {
  const TensorSource& source = checkpoint.tensors;
  expect_matrix(source, "model.embed_tokens", weights.embedding);
  expect_matrix(source, checkpoint.config.tied_embeddings ? "model.embed_tokens" : "lm_head", weights.lm_head);
  expect_vector(source, "model.norm", weights.final_norm);
  ASSERT_EQ(weights.layers.size(), checkpoint.config.num_layers);
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    const LayerWeights& layer = weights.layers[i];
    const std::string path = "model.layers." + std::to_string(i) + ".";
    expect_matrix(source, path + "self_attn.q_proj", layer.q);
    expect_matrix(source, path + "self_attn.k_proj", layer.k);
    expect_matrix(source, path + "self_attn.v_proj", layer.v);
    expect_matrix(source, path + "self_attn.o_proj", layer.o);
    expect_matrix(source, path + "mlp.gate_proj", layer.gate);
    expect_matrix(source, path + "mlp.up_proj", layer.up);
    expect_matrix(source, path + "mlp.down_proj", layer.down);
    expect_vector(source, path + "input_layernorm", layer.attention_norm);
    expect_vector(source, path + "post_attention_layernorm", layer.mlp_norm);
    EXPECT_EQ(layer.q_norm != nullptr, checkpoint.config.qk_norm);
    if (!checkpoint.config.qk_norm) continue;
    expect_vector(source, path + "self_attn.q_norm", layer.q_norm);
    expect_vector(source, path + "self_attn.k_norm", layer.k_norm);
  }
}

// The committed oracle folders, and those of SLIPSTREAM_DATA whose types are read.
std::vector<std::string> oracle_folders() {
  std::vector<std::string> folders;
  const auto add = [&](const std::string& parent) {
    for (const auto& entry : std::filesystem::directory_iterator(parent)) {
      if (std::filesystem::exists(entry.path() / "config.json")) folders.push_back(entry.path().string());
    }
  };
  add(kData + "/oracle");
  if (const char* data = std::getenv("SLIPSTREAM_DATA"); data != nullptr) add(std::string(data) + "/oracle");
  return folders;
}

TEST(Weights, every_packed_value_is_the_stored_one) {
  uint32_t num_read = 0;
  for (const std::string& folder : oracle_folders()) {
    SCOPED_TRACE(folder);
    const auto checkpoint = open_checkpoint(folder);
    if (!checkpoint.ok()) {
      EXPECT_NE(checkpoint.error().message.find("not read yet"), std::string::npos) << checkpoint.error().message;
      continue;
    }
    const auto weights = load(*checkpoint);
    if (!weights.ok()) {
      EXPECT_NE(weights.error().message.find("not read yet"), std::string::npos) << weights.error().message;
      continue;
    }
    expect_all(*checkpoint, *weights);
    ++num_read;
  }
  EXPECT_GE(num_read, 5u);
}

TEST(Weights, any_number_of_threads_packs_the_same_bytes) {
  const auto checkpoint = open_checkpoint(kData + "/oracle/llama-mlx-4bit-g64");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const Weights one = load(*checkpoint, 1).value();
  const Weights five = load(*checkpoint, 5).value();
  ASSERT_EQ(one.packed_bytes, five.packed_bytes);
  EXPECT_EQ(std::memcmp(one.memory.data(), five.memory.data(), one.packed_bytes), 0);
}

TEST(Weights, progress_rises_to_the_whole_checkpoint) {
  const auto checkpoint = open_checkpoint(kData + "/oracle/qwen3-mlx-8bit-g64");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  ThreadPool pool(2);
  uint64_t last = 0;
  const auto weights = load_checkpoint(*checkpoint, pool, [&](uint64_t done, uint64_t total) {
    EXPECT_GE(done, last);
    EXPECT_EQ(total, checkpoint->tensors.total_bytes());
    last = done;
  });
  ASSERT_TRUE(weights.ok()) << weights.error().message;
  EXPECT_EQ(last, checkpoint->tensors.total_bytes());
}

}  // namespace
}  // namespace slipstream
