#include "model/model_digest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "model/checkpoint.h"
#include "model/random_weights.h"

namespace slipstream {
namespace {

using Digest = std::array<uint64_t, 2>;

// What a value becomes so that it is another one; absent becomes the zero that it is easily taken for.
void change(std::string& text) { text += 'x'; }
void change(bool& flag) { flag = !flag; }
void change(uint32_t& number) { ++number; }
void change(float& number) { number *= 1.5f; }
void change(double& number) { number *= 1.5; }
template <class Value>
void change(std::optional<Value>& value) {
  value = Value{};
}
template <class Value>
void change(std::vector<Value>& values) {
  values.emplace_back();
}

// References to every field, those of nested structs too. A field that comes to one of these structs does not compile.
auto fields_of(RopeScaling& scaling) {
  auto& [factor, low_freq_factor, high_freq_factor, original] = scaling;
  return std::tie(factor, low_freq_factor, high_freq_factor, original);
}
auto fields_of(QuantisedPath& quantised) {
  auto& [path, bits, group] = quantised;
  return std::tie(path, bits, group);
}
auto fields_of(SuggestedSampling& suggested) {
  auto& [temperature, top_p, top_k, min_p, repetition_penalty, max_new_tokens] = suggested;
  return std::tie(temperature, top_p, top_k, min_p, repetition_penalty, max_new_tokens);
}
auto fields_of(ModelConfig& config) {
  auto& [family, num_layers, hidden_size, intermediate_size, num_heads, num_kv_heads, head_dim, vocab_size,
         max_position_embeddings, rms_norm_eps, rope_theta, rope_scaling, rope_divisors, tied_embeddings, qk_norm,
         qkv_bias, num_experts, experts_per_token, expert_size, renormalise_experts, sparse_step, dense_layers,
         eos_tokens, suggested, bos_token, has_bos_token, quantised_bits, quantised_group, quantised_paths] = config;
  return std::tuple_cat(
      std::tie(family, num_layers, hidden_size, intermediate_size, num_heads, num_kv_heads, head_dim, vocab_size,
               max_position_embeddings, rms_norm_eps, rope_theta, rope_divisors, tied_embeddings, qk_norm, qkv_bias,
               num_experts, experts_per_token, expert_size, renormalise_experts, sparse_step, dense_layers, eos_tokens,
               bos_token, has_bos_token, quantised_bits, quantised_group, quantised_paths),
      fields_of(rope_scaling), fields_of(suggested), fields_of(quantised_paths.at(0)));
}

// A dense layer and a sparse one, and every vector that a layer can have.
ModelConfig small_config() {
  ModelConfig config;
  config.family = "made up";
  config.num_layers = 2;
  config.hidden_size = 128;
  config.intermediate_size = 192;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 32;
  config.vocab_size = 4000;
  config.qk_norm = true;
  config.qkv_bias = true;
  config.num_experts = 4;
  config.experts_per_token = 2;
  config.expert_size = 64;
  config.dense_layers = {0};
  config.quantised_paths = {{.path = "lm_head", .bits = 8, .group = 64}};
  return config;
}

constexpr MatrixFormat kFp32{.type = WeightType::kFp32, .bits = 32};

class ModelDigest : public testing::Test {
 protected:
  Digest digest() { return digest(config_); }
  Digest digest(const ModelConfig& config) { return model_digest(config, weights_, ActivationMode::kInt16, pool_); }
  std::span<std::byte> bytes() { return weights_.memory.as<std::byte>().first(weights_.packed_bytes); }

  const ModelConfig config_ = small_config();
  ThreadPool pool_{2};
  Weights weights_ = std::move(random_weights(config_, kFp32, 1, pool_).value());
};

TEST_F(ModelDigest, is_the_same_for_each_load_of_a_folder_on_any_number_of_threads) {
  std::set<Digest> digests;
  const char* const kNames[] = {"llama-mlx-4bit-g64", "llama-untied-mlx-3bit-g32", "qwen2-mlx-8bit-g32", "qwen3-fp16",
                                "llama-gguf/model.gguf", "qwen3-moe-mixed-bf16"};
  for (const char* name : kNames) {
    const auto checkpoint = open_checkpoint(std::string(SLIPSTREAM_TEST_DATA) + "/oracle/" + name);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    ThreadPool alone(1);
    const auto first = load_checkpoint(*checkpoint, alone, {});
    const auto second = load_checkpoint(*checkpoint, pool_, {});  // beside the first: at other addresses
    const Digest digest = model_digest(checkpoint->config, *first, ActivationMode::kInt16, alone);
    EXPECT_EQ(digest, model_digest(checkpoint->config, *second, ActivationMode::kInt16, pool_)) << name;
    digests.insert(digest);
  }
  EXPECT_EQ(digests.size(), std::size(kNames));
}

TEST_F(ModelDigest, of_weights_in_several_pieces_is_the_same_on_any_number_of_threads) {
  ASSERT_GT(bytes().size(), size_t{4} << 20);
  for (const uint32_t num_threads : {1u, 3u}) {
    ThreadPool pool(num_threads);
    EXPECT_EQ(model_digest(config_, weights_, ActivationMode::kInt16, pool), digest());
  }
}

TEST_F(ModelDigest, is_another_when_any_field_of_the_config_is) {
  std::set<Digest> digests{digest()};
  const auto change_field = [&]<size_t kField>() {
    ModelConfig changed = config_;
    change(std::get<kField>(fields_of(changed)));
    EXPECT_TRUE(digests.insert(digest(changed)).second) << "field " << kField << " of fields_of()";
  };
  using Fields = decltype(fields_of(std::declval<ModelConfig&>()));
  [&]<size_t... kFields>(std::index_sequence<kFields...>) {
    (change_field.template operator()<kFields>(), ...);
  }(std::make_index_sequence<std::tuple_size_v<Fields>>());
}

TEST_F(ModelDigest, knows_which_of_two_lists_a_number_is_in) {
  ModelConfig one = config_;
  one.dense_layers = {0, 1};
  one.eos_tokens = {};
  ModelConfig other = config_;
  other.dense_layers = {0};
  other.eos_tokens = {1};
  EXPECT_NE(digest(one), digest(other));
}

TEST_F(ModelDigest, is_another_when_a_byte_of_the_weights_is) {
  const Digest digest_before = digest();
  std::set<Digest> digests{digest_before};
  const size_t last = bytes().size() - 1;
  for (size_t place = 0; place < last + (size_t{1} << 18); place += size_t{1} << 18) {
    std::byte& byte = bytes()[std::min(place, last)];
    byte ^= std::byte{1};
    EXPECT_TRUE(digests.insert(digest()).second) << "byte " << place;
    byte ^= std::byte{1};
  }
  EXPECT_EQ(digest(), digest_before);
  const std::span<std::byte> one = bytes().first(size_t{1} << 20);
  std::ranges::swap_ranges(one, bytes().subspan(one.size(), one.size()));
  EXPECT_TRUE(digests.insert(digest()).second) << "the first two MiB are exchanged";
}

TEST_F(ModelDigest, is_another_when_the_same_bytes_are_other_weights) {
  std::set<Digest> digests{digest()};
  LayerWeights& layer = weights_.layers[1];
  std::swap(layer.k.data, layer.v.data);
  EXPECT_TRUE(digests.insert(digest()).second) << "K is V";
  std::swap(layer.q_norm, layer.k_norm);
  EXPECT_TRUE(digests.insert(digest()).second) << "q's norm is k's";
  layer.k_bias = nullptr;
  EXPECT_TRUE(digests.insert(digest()).second) << "no bias";
  layer.o.format = {.type = WeightType::kUnsigned, .bits = 8, .group = 64, .scales = ScaleType::kBf16};
  EXPECT_TRUE(digests.insert(digest()).second) << "quantised";
  layer.o.format.type = WeightType::kSigned;
  EXPECT_TRUE(digests.insert(digest()).second) << "signed";
  std::swap(layer.experts[0].up.data, layer.experts[3].up.data);
  EXPECT_TRUE(digests.insert(digest()).second) << "experts";
}

TEST_F(ModelDigest, is_another_for_other_activations) {
  EXPECT_NE(model_digest(config_, weights_, ActivationMode::kF32, pool_), digest());
}

}  // namespace
}  // namespace slipstream
