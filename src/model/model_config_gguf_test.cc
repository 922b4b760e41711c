// model_config_from_gguf(): each architecture's keys, and files that are wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>

#include "files/test_files.h"
#include "model/model_config.h"

namespace slipstream {
namespace {

// The metadata of a small model; a test changes keys before it is read.
struct Gguf {
  std::string architecture = "llama";
  std::map<std::string, uint32_t> numbers = {
      {"*.block_count", 30},
      {"*.context_length", 8192},
      {"*.embedding_length", 576},
      {"*.feed_forward_length", 1536},
      {"*.attention.head_count", 9},
      {"*.attention.head_count_kv", 3},
      {"*.rope.dimension_count", 64},
      {"tokenizer.ggml.bos_token_id", 1},
      {"tokenizer.ggml.eos_token_id", 2},
  };
  std::map<std::string, float> floats = {{"*.attention.layer_norm_rms_epsilon", 1e-5f},
                                         {"*.rope.freq_base", 100000.0f}};
  std::vector<std::string> tokens = {"a", "b", "c", "d"};
  GgufBuilder builder;  // what a test adds to all this

  // Qwen3's head size is its own; its experts.
  static Gguf qwen3moe() {
    Gguf gguf;
    gguf.architecture = "qwen3moe";
    gguf.numbers["*.attention.head_count"] = 4;
    gguf.numbers["*.attention.head_count_kv"] = 2;
    gguf.numbers["*.attention.key_length"] = 64;
    gguf.numbers["*.attention.value_length"] = 64;
    gguf.numbers["*.expert_count"] = 128;
    gguf.numbers["*.expert_used_count"] = 8;
    gguf.numbers["*.expert_feed_forward_length"] = 768;
    return gguf;
  }

  std::string key(const std::string& key) const { return key[0] == '*' ? architecture + key.substr(1) : key; }
  Result<ModelConfig> read() const {
    GgufBuilder all = builder;
    if (!architecture.empty()) all.string("general.architecture", architecture);
    for (const auto& [name, value] : numbers) all.u32(key(name), value);
    for (const auto& [name, value] : floats) all.f32(key(name), value);
    if (!tokens.empty()) all.strings("tokenizer.ggml.tokens", tokens);
    const TempFolder folder;
    write_file(folder.path("x.gguf"), all.bytes());
    auto file = open_gguf(folder.path("x.gguf"));
    if (!file.ok()) return file.error();
    return model_config_from_gguf(*file);
  }
};

void expect_error(const Result<ModelConfig>& config, const std::vector<std::string>& fragments) {
  ASSERT_FALSE(config.ok()) << fragments.front();
  const std::string& message = config.error().message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  for (const std::string& fragment : fragments)
    EXPECT_NE(message.find(fragment), std::string::npos) << message << "\nlacks: " << fragment;
}

TEST(ModelConfigGguf, a_llama_is_read_out_of_its_metadata) {
  const auto config = Gguf().read();
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->family, "llama");
  EXPECT_EQ(config->num_layers, 30u);
  EXPECT_EQ(config->hidden_size, 576u);
  EXPECT_EQ(config->intermediate_size, 1536u);
  EXPECT_EQ(config->num_heads, 9u);
  EXPECT_EQ(config->num_kv_heads, 3u);
  EXPECT_EQ(config->head_dim, 64u);
  EXPECT_EQ(config->vocab_size, 4u);
  EXPECT_EQ(config->max_position_embeddings, 8192u);
  EXPECT_EQ(config->rms_norm_eps, 1e-5f);
  EXPECT_EQ(config->rope_theta, 100000.0);
  EXPECT_TRUE(config->rope_divisors.empty());
  EXPECT_FALSE(config->qk_norm);
  EXPECT_FALSE(config->qkv_bias);
  EXPECT_EQ(config->num_experts, 0u);
  EXPECT_TRUE(config->tied_embeddings) << "there is no output.weight";
  EXPECT_EQ(config->eos_tokens, std::vector<TokenId>{2});
  EXPECT_EQ(config->bos_token, 1u);
  Gguf untied;
  untied.builder.tensor("output.weight", GgufBuilder::kF32, {1}, "1234");
  EXPECT_FALSE(untied.read()->tied_embeddings);
}

TEST(ModelConfigGguf, qwen2_has_biases_and_qwen3_norms_of_heads) {
  Gguf file;
  file.architecture = "qwen2";
  const auto qwen2 = file.read();
  ASSERT_TRUE(qwen2.ok()) << qwen2.error().message;
  EXPECT_EQ(qwen2->family, "qwen2");
  EXPECT_TRUE(qwen2->qkv_bias);
  EXPECT_FALSE(qwen2->qk_norm);
  EXPECT_EQ(qwen2->num_experts, 0u);
  file.architecture = "qwen3";
  const auto qwen3 = file.read();
  ASSERT_TRUE(qwen3.ok()) << qwen3.error().message;
  EXPECT_EQ(qwen3->family, "qwen3");
  EXPECT_FALSE(qwen3->qkv_bias);
  EXPECT_TRUE(qwen3->qk_norm);
}

TEST(ModelConfigGguf, qwen3moe_has_experts_in_every_layer) {
  Gguf file = Gguf::qwen3moe();
  file.builder.key("qwen3moe.expert_weights_norm", 7, bytes_of<uint8_t>(1));
  file.builder.u32("qwen3moe.expert_gating_func", 1);
  const auto config = file.read();
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->family, "qwen3_moe");
  EXPECT_TRUE(config->qk_norm);
  EXPECT_EQ(config->head_dim, 64u);
  EXPECT_EQ(config->num_experts, 128u);
  EXPECT_EQ(config->experts_per_token, 8u);
  EXPECT_EQ(config->expert_size, 768u);
  EXPECT_TRUE(config->renormalise_experts) << "as llama.cpp does";
  EXPECT_FALSE(config->has_dense_layer());
}

TEST(ModelConfigGguf, every_known_end_of_text_ends_an_answer) {
  Gguf file;
  file.tokens = {"<|end_of_text|>", "a", "<|eot_id|>", "<|eom_id|>", "<|im_start|>", "own"};
  file.numbers["tokenizer.ggml.eot_token_id"] = 5;
  auto config = file.read();
  ASSERT_TRUE(config.ok()) << config.error().message;
  std::sort(config->eos_tokens.begin(), config->eos_tokens.end());
  EXPECT_EQ(config->eos_tokens, (std::vector<TokenId>{0, 2, 3, 5}));
}

TEST(ModelConfigGguf, what_is_missing_is_named) {
  for (const char* key : {"*.block_count", "*.context_length", "*.embedding_length", "*.feed_forward_length",
                          "*.attention.head_count", "*.attention.layer_norm_rms_epsilon"}) {
    Gguf file;
    file.numbers.erase(key);
    file.floats.erase(key);
    expect_error(file.read(), {"metadata key '" + file.key(key) + "' is missing"});
  }
  for (const char* key : {"*.expert_count", "*.expert_used_count", "*.expert_feed_forward_length"}) {
    Gguf file = Gguf::qwen3moe();
    file.numbers.erase(key);
    expect_error(file.read(), {"metadata key '" + file.key(key) + "' is missing"});
  }
  Gguf nameless;
  nameless.architecture = "";
  expect_error(nameless.read(), {"metadata key 'general.architecture' is missing"});
  Gguf no_tokens;
  no_tokens.tokens.clear();
  expect_error(no_tokens.read(), {"'llama.vocab_size' is missing"});
  Gguf fewer;
  fewer.numbers.erase("*.attention.head_count_kv");
  fewer.floats.erase("*.rope.freq_base");
  EXPECT_EQ(fewer.read()->num_kv_heads, 9u);
  EXPECT_EQ(fewer.read()->rope_theta, 10000.0);
}

TEST(ModelConfigGguf, numbers_that_cannot_be_are_refused_by_name) {
  const auto with = [](Gguf file, const char* key, uint32_t value, std::vector<std::string> fragments) {
    file.numbers[key] = value;
    expect_error(file.read(), fragments);
  };
  with({}, "*.attention.head_count_kv", 2, {"9 query heads over 2 KV heads"});
  with({}, "*.attention.head_count", 0, {"head_count is 0, expected 1 to"});
  with({}, "*.attention.head_count", 7, {"llama.embedding_length 576 is no multiple of llama.attention.head_count 7"});
  with({}, "*.rope.dimension_count", 32, {"llama.rope.dimension_count is 32, expected the head size 64"});
  with({}, "*.block_count", 4000000000u, {"block_count is 4000000000, expected 1 to 1024"});
  with({}, "tokenizer.ggml.eos_token_id", 4, {"eos_token_id is 4, expected 0 to 3"});
  with(Gguf::qwen3moe(), "*.expert_count", 0, {"qwen3moe.expert_count is 0, expected 1 to"});
  with(Gguf::qwen3moe(), "*.expert_count", ~0u, {"qwen3moe.expert_count is 4294967295, expected 1 to"});
  with(Gguf::qwen3moe(), "*.expert_used_count", 129, {"expert_used_count is 129, expected 1 to 128"});
  with(Gguf::qwen3moe(), "*.expert_used_count", 0, {"expert_used_count is 0"});
  with(Gguf::qwen3moe(), "*.expert_feed_forward_length", 0, {"expert_feed_forward_length is 0"});
  with(Gguf::qwen3moe(), "*.attention.value_length", 32, {"qwen3moe.attention.value_length is 32, expected the head"});
  Gguf text;
  text.numbers.erase("*.block_count");
  text.builder.string("llama.block_count", "30");
  expect_error(text.read(), {"'llama.block_count' is not a whole number"});
  Gguf list;
  list.numbers.erase("*.attention.head_count");
  list.builder.key("llama.attention.head_count", 9, bytes_of<uint32_t>(4) + bytes_of<uint64_t>(1) + bytes_of(9u));
  expect_error(list.read(), {"'llama.attention.head_count' is not a whole number"});
}

TEST(ModelConfigGguf, what_is_not_read_is_refused_by_name) {
  const auto with = [](const char* key, uint32_t value, std::vector<std::string> fragments) {
    Gguf file;
    file.numbers[key] = value;
    expect_error(file.read(), fragments);
  };
  with("*.expert_count", 8, {"llama.expert_count is 8, which is not read yet"});
  with("*.attention.sliding_window", 4096, {"llama.attention.sliding_window is 4096"});
  with("general.quantization_version", 1, {"quantization_version is 1"});
  Gguf sigmoid = Gguf::qwen3moe();
  sigmoid.numbers["*.expert_gating_func"] = 2;
  expect_error(sigmoid.read(), {"qwen3moe.expert_gating_func is 2, which is not read yet"});
  Gguf not_normed = Gguf::qwen3moe();
  not_normed.builder.key("qwen3moe.expert_weights_norm", 7, bytes_of<uint8_t>(0));
  expect_error(not_normed.read(), {"qwen3moe.expert_weights_norm is not true, which is not read yet"});
  Gguf other;
  other.architecture = "gemma3";
  expect_error(other.read(),
               {"general.architecture 'gemma3' is not read yet; read are: llama, qwen2, qwen3, qwen3moe"});
  Gguf yarn;
  yarn.architecture = "qwen3";
  yarn.builder.string("qwen3.rope.scaling.type", "yarn");
  expect_error(yarn.read(), {"qwen3.rope.scaling.type is 'yarn', which is not read yet; read is 'none'"});
}

// ---------------------------------------------------------------- rope_freqs.weight

Result<ModelConfig> with_divisors(uint32_t type, const std::vector<uint64_t>& shape, const std::string& bytes) {
  Gguf file;
  file.builder.tensor("rope_freqs.weight", type, shape, bytes);
  return file.read();
}

std::string floats(float value, size_t count) {
  std::string bytes;
  for (size_t i = 0; i < count; ++i) bytes += bytes_of(value);
  return bytes;
}

TEST(ModelConfigGguf, divisors_of_ropes_frequencies_are_read) {
  const auto config = with_divisors(GgufBuilder::kF32, {32}, floats(1.0f, 20) + floats(8.0f, 12));
  ASSERT_TRUE(config.ok()) << config.error().message;
  ASSERT_EQ(config->rope_divisors.size(), 32u);
  EXPECT_EQ(config->rope_divisors[19], 1.0f);
  EXPECT_EQ(config->rope_divisors[20], 8.0f);
}

TEST(ModelConfigGguf, divisors_that_cannot_be_are_refused) {
  const std::string name = "tensor 'rope_freqs.weight'";
  expect_error(with_divisors(GgufBuilder::kF32, {31}, floats(1.0f, 31)), {name + " is F32 [31], expected F32 [32]"});
  expect_error(with_divisors(GgufBuilder::kF32, {64}, floats(1.0f, 64)), {name + " is F32 [64]"});
  expect_error(with_divisors(GgufBuilder::kF32, {32, 2}, floats(1.0f, 64)), {name + " is F32 [2, 32]"});
  expect_error(with_divisors(GgufBuilder::kF16, {32}, std::string(64, '\0')), {name + " is F16 [32]"});
  expect_error(with_divisors(GgufBuilder::kQ8_0, {32}, std::string(34, '\0')), {name + " is Q8_0 [32]"});
  for (const float value : {0.0f, -1.0f, 0.4f, 2e6f, std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
    expect_error(with_divisors(GgufBuilder::kF32, {32}, floats(1.0f, 31) + floats(value, 1)),
                 {name + " holds ", "expected 0.5 to 1000000"});
  }
}

}  // namespace
}  // namespace slipstream
