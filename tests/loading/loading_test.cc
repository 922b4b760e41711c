// Peak memory while loading stays near the packed weights (issue: at most 1.15 x packed + 200 MB), whatever the size
// of the files: their pages are given back as they are packed.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.h"
#include "base/memory.h"
#include "files/test_files.h"
#include "model/checkpoint.h"

namespace slipstream {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMegabyte = uint64_t{1} << 20;

// Starts VmHWM anew, so that only what follows counts.
void forget_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

void expect_small_peak(const std::string& path) {
  forget_peak();
  const Clock clock = Clock::real();
  const double begin = clock.now_s();
  const auto checkpoint = open_checkpoint(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  ThreadPool pool(2);
  const auto weights = load_checkpoint(*checkpoint, pool, {});
  ASSERT_TRUE(weights.ok()) << weights.error().message;
  const uint64_t packed = weights->packed_bytes;
  const uint64_t peak = peak_resident_bytes();
  std::printf("file %lu MB, packed %lu MB, peak %lu MB, %.2f s\n", checkpoint->tensors.total_bytes() / kMegabyte,
              packed / kMegabyte, peak / kMegabyte, clock.now_s() - begin);
  EXPECT_GE(peak, packed) << "the weights themselves are in memory";
  // Tighter than promised: the program, the chunk in work, and the metadata (49,152 tokens, 48,900 merges) take some
  // 40 MB.
  EXPECT_LE(peak, packed + packed / 20 + 64 * kMegabyte);
}

// A folder whose weights are all zero: the file is one hole behind its header, so that making it costs no disk;
// reading it takes pages like any other.
void write_zero_checkpoint(const TempFolder& folder, uint32_t num_layers, const std::string& dtype, bool quantised) {
  constexpr uint64_t kHidden = 2048, kIntermediate = 8192, kVocab = 4096;
  Json config = {{"model_type", "llama"},     {"num_hidden_layers", num_layers},
                 {"hidden_size", kHidden},    {"intermediate_size", kIntermediate},
                 {"vocab_size", kVocab},      {"num_attention_heads", 32},
                 {"num_key_value_heads", 32}, {"tie_word_embeddings", true}};
  if (quantised) config["quantization"] = {{"bits", 4}, {"group_size", 64}};
  write_file(folder.path("config.json"), config.dump());
  Json header;
  uint64_t end = 0;
  const auto add = [&](const std::string& name, const std::string& type, std::vector<uint64_t> shape) {
    uint64_t bytes = type == "F32" || type == "U32" ? 4 : 2;
    for (const uint64_t size : shape) bytes *= size;
    header[name] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  };
  const auto matrix = [&](const std::string& name, uint64_t rows, uint64_t cols) {
    if (!quantised) return add(name + ".weight", dtype, {rows, cols});
    add(name + ".weight", "U32", {rows, cols / 8});
    add(name + ".scales", dtype, {rows, cols / 64});
    add(name + ".biases", dtype, {rows, cols / 64});
  };
  matrix("model.embed_tokens", kVocab, kHidden);
  add("model.norm.weight", dtype, {kHidden});
  for (uint32_t i = 0; i < num_layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    add(layer + "input_layernorm.weight", dtype, {kHidden});
    add(layer + "post_attention_layernorm.weight", dtype, {kHidden});
    for (const char* name : {"q", "k", "v", "o"}) matrix(layer + "self_attn." + name + "_proj", kHidden, kHidden);
    matrix(layer + "mlp.gate_proj", kIntermediate, kHidden);
    matrix(layer + "mlp.up_proj", kIntermediate, kHidden);
    matrix(layer + "mlp.down_proj", kHidden, kIntermediate);
  }
  const std::string front = safetensors_bytes(header.dump(), "");
  write_file(folder.path("model.safetensors"), front);
  std::filesystem::resize_file(folder.path("model.safetensors"), front.size() + end);
}

TEST(LoadingMemory, of_a_bf16_checkpoint_of_660_mb_stays_near_the_packed_weights) {
  const TempFolder folder;
  write_zero_checkpoint(folder, 5, "BF16", false);
  expect_small_peak(folder.path());
}

TEST(LoadingMemory, of_a_4_bit_checkpoint_of_460_mb_stays_near_the_packed_weights) {
  const TempFolder folder;
  write_zero_checkpoint(folder, 12, "BF16", true);
  expect_small_peak(folder.path());
}

TEST(LoadingMemory, of_the_real_model_stays_near_the_packed_weights) {
  std::string path;
  if (const char* named = std::getenv("SLIPSTREAM_SMOLLM2"); named != nullptr) {
    path = named;
  } else {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    path = (cache != nullptr ? std::string(cache) : std::string(home != nullptr ? home : "") + "/.cache") +
           "/slipstream/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";
  }
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "SKIPPED: no " << path;
  expect_small_peak(path);
}

}  // namespace
}  // namespace slipstream
