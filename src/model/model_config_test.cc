#include "model/model_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "files/test_files.h"

namespace slipstream {
namespace {

using Json = nlohmann::json;

const std::string kData = SLIPSTREAM_TEST_DATA;

// Llama 3.2 1B as it is downloaded: the old spelling.
Json llama() {
  return Json::parse(R"({"architectures":["LlamaForCausalLM"],"attention_bias":false,"attention_dropout":0.0,
    "bos_token_id":128000,"eos_token_id":[128001,128008,128009],"head_dim":64,"hidden_act":"silu","hidden_size":2048,
    "initializer_range":0.02,"intermediate_size":8192,"max_position_embeddings":131072,"mlp_bias":false,
    "model_type":"llama","num_attention_heads":32,"num_hidden_layers":16,"num_key_value_heads":8,"pretraining_tp":1,
    "rms_norm_eps":1e-05,"rope_scaling":{"factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,
    "original_max_position_embeddings":8192,"rope_type":"llama3"},"rope_theta":500000.0,"tie_word_embeddings":true,
    "torch_dtype":"bfloat16","transformers_version":"4.45.0.dev0","use_cache":true,"vocab_size":128256})");
}

Result<ModelConfig> read(const Json& config, const std::string& generation = "") {
  const TempFolder folder;
  write_file(folder.path("config.json"), config.dump());
  if (!generation.empty()) write_file(folder.path("generation_config.json"), generation);
  return read_model_config(folder.path());
}

Json with(Json config, const std::string& key, Json value) {
  config[key] = std::move(value);
  return config;
}
Json without(Json config, const std::string& key) {
  config.erase(key);
  return config;
}

void expect_error(const Result<ModelConfig>& config, const std::vector<std::string>& fragments) {
  ASSERT_FALSE(config.ok());
  const std::string& message = config.error().message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  for (const std::string& fragment : fragments)
    EXPECT_NE(message.find(fragment), std::string::npos) << message << "\nlacks: " << fragment;
}

void expect_llama(const Result<ModelConfig>& config) {
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->family, "llama");
  EXPECT_EQ(config->num_layers, 16u);
  EXPECT_EQ(config->num_kv_heads, 8u);
  EXPECT_EQ(config->rope_theta, 500000.0);
  EXPECT_EQ(config->rope_scaling, (RopeScaling{32.0, 1.0, 4.0, 8192}));
  EXPECT_EQ(config->rms_norm_eps, 1e-5f);
  EXPECT_TRUE(config->tied_embeddings);
  EXPECT_FALSE(config->qk_norm);
}

TEST(ModelConfig, both_spellings_say_the_same) {
  const Json old_spelling = llama();
  expect_llama(read(old_spelling));
  Json parameters = old_spelling["rope_scaling"];
  parameters["rope_theta"] = 500000.0;
  Json both = with(old_spelling, "rope_parameters", parameters);  // as mlx-lm writes it
  expect_llama(read(both));
  expect_llama(read(without(without(both, "rope_scaling"), "rope_theta")));
  Json older = old_spelling;
  older["rope_scaling"]["type"] = "llama3";
  older["rope_scaling"].erase("rope_type");
  expect_llama(read(older));
}

TEST(ModelConfig, what_is_left_out_has_the_default_of_transformers) {
  Json json = llama();
  for (const char* key :
       {"head_dim", "num_key_value_heads", "rope_scaling", "rope_theta", "rms_norm_eps", "tie_word_embeddings",
        "hidden_act", "max_position_embeddings", "bos_token_id", "eos_token_id", "architectures"}) {
    json.erase(key);
  }
  json["attention_bias"] = nullptr;  // null is absent
  const auto config = read(json);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->head_dim, 64u);
  EXPECT_EQ(config->num_kv_heads, 32u);
  EXPECT_EQ(config->rope_theta, 10000.0);
  EXPECT_EQ(config->rope_scaling, RopeScaling{});
  EXPECT_EQ(config->rms_norm_eps, 1e-6f);
  EXPECT_EQ(config->max_position_embeddings, 2048u);
  EXPECT_FALSE(config->tied_embeddings);
  EXPECT_TRUE(config->eos_tokens.empty());
  EXPECT_FALSE(config->has_bos_token);
  json["model_type"] = "qwen3";
  const auto qwen = read(json);
  ASSERT_TRUE(qwen.ok()) << qwen.error().message;
  EXPECT_EQ(qwen->head_dim, 128u);
  EXPECT_TRUE(qwen->qk_norm);
  EXPECT_EQ(qwen->max_position_embeddings, 32768u);
}

TEST(ModelConfig, ends_of_text_come_from_both_files_each_once) {
  const auto config = read(llama(), R"({"eos_token_id":[128009,7],"do_sample":true})");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->eos_tokens, (std::vector<TokenId>{128001, 128008, 128009, 7}));
  EXPECT_TRUE(config->has_bos_token);
  EXPECT_EQ(config->bos_token, 128000u);
  EXPECT_EQ(read(with(llama(), "eos_token_id", 5))->eos_tokens, std::vector<TokenId>{5});
  expect_error(read(llama(), R"({"eos_token_id":128256})"),
               {"generation_config.json: eos_token_id is 128256", "below vocab_size 128256"});
  expect_error(read(llama(), "{"), {"generation_config.json: is not JSON"});
  expect_error(read(llama(), "[]"), {"generation_config.json: is not a JSON object"});
}

TEST(ModelConfig, what_its_makers_suggest_for_sampling_is_read) {
  EXPECT_EQ(read(llama())->suggested, SuggestedSampling{});
  EXPECT_EQ(read(llama(), R"({"eos_token_id":7,"temperature":null,"do_sample":true,"max_length":20})")->suggested,
            SuggestedSampling{});
  const auto config = read(llama(), R"({"do_sample":true,"temperature":0.6,"top_p":0.95,"top_k":20,"min_p":0.05,)"
                                    R"("repetition_penalty":1.05,"max_new_tokens":2048})");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->suggested, (SuggestedSampling{0.6, 0.95, 20, 0.05, 1.05, 2048}));
  EXPECT_EQ(read(llama(), R"({"do_sample":false,"temperature":0.6})")->suggested.temperature, 0.0);
  EXPECT_EQ(read(llama(), R"({"temperature":0,"top_p":1,"top_k":0,"min_p":0,"repetition_penalty":1})")->suggested,
            (SuggestedSampling{0.0, 1.0, 0, 0.0, 1.0, {}}));
}

TEST(ModelConfig, suggestions_out_of_range_are_refused_by_name) {
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"temperature", "2.1"},  {"temperature", "-1"},   {"temperature", "\"0.6\""}, {"temperature", "1e30"},
           {"temperature", "true"}, {"top_p", "0"},          {"top_p", "1.5"},           {"top_p", "[1]"},
           {"top_k", "-1"},         {"top_k", "2.0"},        {"top_k", "2147483648"},    {"top_k", "true"},
           {"min_p", "-0.1"},       {"min_p", "{}"},         {"repetition_penalty", "0"}, {"repetition_penalty", "11"},
           {"max_new_tokens", "0"}, {"max_new_tokens", "1.5"}, {"do_sample", "0"},       {"do_sample", "\"no\""}}) {
    SCOPED_TRACE(key + " " + value);
    expect_error(read(llama(), "{\"" + key + "\":" + value + "}"),
                 {"generation_config.json: " + key + " is ", "expected "});
  }
}

TEST(ModelConfig, numbers_that_are_none_are_refused_by_name) {
  for (const char* key : {"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
                          "num_key_value_heads", "head_dim", "vocab_size", "max_position_embeddings"}) {
    for (const char* value :
         {"\"16\"", "-1", "0", "2.5", "1e30", "16.0", "true", "[16]", "{}", "4294967297", "18446744073709551616"}) {
      SCOPED_TRACE(std::string(key) + " " + value);
      expect_error(read(with(llama(), key, Json::parse(value))),
                   {"config.json: " + std::string(key) + " is ", "expected a whole number from "});
    }
  }
  for (const char* key :
       {"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size"}) {
    expect_error(read(without(llama(), key)),
                 {"config.json: " + std::string(key) + " is missing", "expected a whole number from "});
  }
  for (const char* key : {"rms_norm_eps", "rope_theta"}) {
    for (const char* value : {"\"1\"", "-1", "0", "1e30", "true", "[1]"}) {
      SCOPED_TRACE(std::string(key) + " " + value);
      expect_error(read(with(llama(), key, Json::parse(value))),
                   {std::string(key) + " is ", "expected a number from "});
    }
  }
  for (const char* key : {"tie_word_embeddings", "attention_bias", "mlp_bias"}) {
    expect_error(read(with(llama(), key, 1)), {std::string(key) + " is 1, expected true or false"});
  }
  for (const char* value : {"\"a\"", "-1", "2.5", "128256", "[1,[2]]", "[null]"}) {
    expect_error(read(with(llama(), "eos_token_id", Json::parse(value))), {"eos_token_id is ", "expected token ids"});
  }
}

TEST(ModelConfig, sizes_must_agree) {
  expect_error(read(with(llama(), "num_key_value_heads", 3)),
               {"config.json: 32 query heads over 3 KV heads, expected a multiple"});
  expect_error(read(with(llama(), "head_dim", 63)), {"head size 63, expected an even number"});
  expect_error(read(with(without(llama(), "head_dim"), "hidden_size", 2047)),
               {"hidden_size 2047 is no multiple of num_attention_heads 32"});
  expect_error(read(with(with(without(llama(), "head_dim"), "hidden_size", 65536), "num_attention_heads", 8)),
               {"head size 8192"});
}

TEST(ModelConfig, what_would_change_answers_and_is_not_read_is_refused_by_name) {
  expect_error(read(with(llama(), "attention_bias", true)), {"attention_bias is true"});
  expect_error(read(with(llama(), "mlp_bias", true)), {"mlp_bias is true"});
  expect_error(read(with(llama(), "hidden_act", "gelu")), {"hidden_act 'gelu' is not read"});
  expect_error(read(with(llama(), "sliding_window", 4096)), {"sliding_window is set"});
  expect_error(read(with(llama(), "use_sliding_window", true)), {"use_sliding_window is true"});
  EXPECT_TRUE(read(with(with(llama(), "use_sliding_window", false), "sliding_window", 4096)).ok()) << "as Qwen3 has it";
  expect_error(read(with(llama(), "layer_types", Json::array({"full_attention", "sliding_attention"}))),
               {"layer_types has 'sliding_attention'"});
  expect_error(read(with(llama(), "partial_rotary_factor", 0.5)), {"partial_rotary_factor is 0.5"});
  expect_error(read(with(llama(), "model_type", "qwen2_moe")),
               {"model_type 'qwen2_moe' is not read yet; read are: llama, qwen2, qwen3, qwen3_moe"});
  expect_error(read(with(llama(), "model_type", "mamba\n")), {"model_type 'mamba\\x0a' is not read yet"});
  expect_error(read(without(llama(), "model_type")),
               {"model_type is missing, expected one of: llama, qwen2, qwen3, qwen3_moe"});
  expect_error(read(with(llama(), "architectures", Json::array({"LlamaForSequenceClassification"}))),
               {"LlamaForSequenceClassification", "LlamaForCausalLM"});
}

TEST(ModelConfig, rope_that_is_not_read_is_refused_by_name) {
  const auto scaling = [](const char* json) { return with(llama(), "rope_scaling", Json::parse(json)); };
  expect_error(read(scaling(R"({"rope_type":"yarn","factor":4.0})")),
               {"rope_scaling has rope type 'yarn'", "default, llama3"});
  expect_error(read(scaling(R"({"type":"linear","factor":4.0})")), {"rope type 'linear'"});
  expect_error(read(scaling("3")), {"rope_scaling is 3, expected an object"});
  expect_error(read(scaling(R"({"rope_type":7})")), {"rope_scaling.rope_type is 7, expected a string"});
  expect_error(read(scaling(R"({"full_attention":{"rope_type":"default"}})")), {"rope per kind of layer"});
  for (const char* key : {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
    Json json = llama();
    json["rope_scaling"].erase(key);
    expect_error(read(json), {"rope_scaling." + std::string(key) + " is missing"});
    json["rope_scaling"][key] = "8";
    expect_error(read(json), {"rope_scaling." + std::string(key) + " is '8', expected a number"});
    json["rope_scaling"][key] = -1;
    expect_error(read(json), {"rope_scaling." + std::string(key) + " is -1, expected a number"});
  }
  Json crossed = llama();
  crossed["rope_scaling"]["high_freq_factor"] = 1.0;
  expect_error(read(crossed), {"high_freq_factor 1 is not above low_freq_factor 1"});
  expect_error(read(with(llama(), "rope_parameters", Json::parse(R"({"rope_type":"default","rope_theta":500000.0})"))),
               {"rope_parameters and rope_scaling disagree"});
  expect_error(read(with(without(llama(), "rope_scaling"), "rope_parameters",
                         Json::parse(R"({"rope_type":"default","rope_theta":10000.0})"))),
               {"rope_theta is 500000 but rope_parameters beside it says 10000"});
}

TEST(ModelConfig, quantisation_is_read_as_mlx_writes_it) {
  Json json = llama();
  json["quantization"] = Json::parse(
      R"({"group_size":64,"bits":4,"mode":"affine","model.layers.0.self_attn.v_proj":{"bits":8,"group_size":32},
                                         "lm_head":false,"model.embed_tokens":true})");
  json["quantization_config"] = json["quantization"];
  const auto config = read(json);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->quantised_bits, 4u);
  EXPECT_EQ(config->quantised_group, 64u);
  ASSERT_EQ(config->quantised_paths.size(), 3u);
  EXPECT_EQ(config->quantised_paths[0].path, "lm_head");
  EXPECT_EQ(config->quantised_paths[0].bits, 0u);
  EXPECT_EQ(config->quantised_paths[1].bits, 4u);
  EXPECT_EQ(config->quantised_paths[2].bits, 8u);
  EXPECT_EQ(config->quantised_paths[2].group, 32u);
}

TEST(ModelConfig, other_quantisation_is_refused_by_name) {
  const auto block = [](const std::string& json) { return with(llama(), "quantization", Json::parse(json)); };
  for (const char* bits : {"0", "1", "7", "9", "16"}) {
    expect_error(read(block(fmt::format(R"({{"bits":{},"group_size":64}})", bits))),
                 {fmt::format("quantization.bits is {}, expected 2, 3, 4, 5, 6 or 8", bits)});
  }
  for (const uint32_t bits : {2u, 3u, 5u, 6u, 8u}) {
    const auto config = read(block(fmt::format(R"({{"bits":{},"group_size":128}})", bits)));
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config->quantised_bits, bits);
  }
  expect_error(read(block(R"({"bits":"4","group_size":64})")), {"quantization.bits is '4', expected a whole number"});
  expect_error(read(block(R"({"group_size":64})")), {"quantization.bits is missing"});
  expect_error(read(block(R"({"bits":4,"group_size":0})")), {"quantization.group_size is 0, expected 32, 64 or 128"});
  expect_error(read(block(R"({"bits":4})")), {"quantization.group_size is missing"});
  expect_error(read(block(R"({"bits":4,"group_size":32,"mode":"mxfp4"})")),
               {"quantization.mode is 'mxfp4', which is not read yet"});
  expect_error(read(block(R"({"bits":4,"group_size":64,"lm_head":{"bits":7,"group_size":64}})")),
               {"quantization.'lm_head'.bits is 7, expected 2, 3, 4, 5, 6 or 8"});
  expect_error(read(block(R"({"bits":4,"group_size":64,"lm_head":8})")),
               {"quantization.'lm_head' is 8, expected an object"});
  expect_error(read(block("4")), {"quantization is 4, expected an object"});
  for (const char* method : {"gptq", "awq", "bitsandbytes", "fp8"}) {
    expect_error(
        read(with(llama(), "quantization_config", {{"quant_method", method}, {"bits", 4}, {"group_size", 64}})),
        {"quant_method '" + std::string(method) + "', which is not read yet"});
  }
  Json disagree = block(R"({"bits":4,"group_size":64})");
  disagree["quantization_config"] = Json::parse(R"({"bits":8,"group_size":64})");
  expect_error(read(disagree), {"quantization and quantization_config disagree"});
}

// Qwen3-30B-A3B as it is downloaded, cut to what is read.
Json qwen3_moe() {
  return Json::parse(
      R"({"architectures":["Qwen3MoeForCausalLM"],"attention_bias":false,"decoder_sparse_step":1,
    "eos_token_id":151645,"head_dim":128,"hidden_act":"silu","hidden_size":2048,"intermediate_size":6144,
    "max_position_embeddings":40960,"max_window_layers":48,"mlp_only_layers":[],"model_type":"qwen3_moe",
    "moe_intermediate_size":768,"norm_topk_prob":true,"num_attention_heads":32,"num_experts":128,
    "num_experts_per_tok":8,"num_hidden_layers":48,"num_key_value_heads":4,"output_router_logits":false,
    "rms_norm_eps":1e-06,"rope_scaling":null,"rope_theta":1000000.0,"router_aux_loss_coef":0.001,
    "sliding_window":null,"tie_word_embeddings":false,"use_sliding_window":false,"vocab_size":151936})");
}

TEST(ModelConfig, a_mixture_of_experts) {
  const auto config = read(qwen3_moe());
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->num_experts, 128u);
  EXPECT_EQ(config->experts_per_token, 8u);
  EXPECT_EQ(config->expert_size, 768u);
  EXPECT_TRUE(config->renormalise_experts);
  EXPECT_TRUE(config->qk_norm);
  EXPECT_FALSE(config->has_dense_layer());
  for (uint32_t layer = 0; layer < 48; ++layer) EXPECT_TRUE(config->is_sparse(layer));

  Json mixed = with(with(qwen3_moe(), "decoder_sparse_step", 3), "mlp_only_layers", {8, 2});
  mixed.erase("norm_topk_prob");
  const auto some = read(mixed);
  ASSERT_TRUE(some.ok()) << some.error().message;
  EXPECT_FALSE(some->renormalise_experts);
  EXPECT_TRUE(some->has_dense_layer());
  std::vector<uint32_t> sparse;
  for (uint32_t layer = 0; layer < 15; ++layer) {
    if (some->is_sparse(layer)) sparse.push_back(layer);
  }
  EXPECT_EQ(sparse, (std::vector<uint32_t>{5, 11, 14}));

  Json renamed = without(qwen3_moe(), "num_experts");
  renamed["num_local_experts"] = 16;  // transformers 5
  EXPECT_EQ(read(renamed)->num_experts, 16u);
}

TEST(ModelConfig, a_mixture_that_cannot_be_is_refused) {
  expect_error(read(with(qwen3_moe(), "num_experts", 0)), {"num_experts is 0, expected a whole number from 1"});
  expect_error(read(with(qwen3_moe(), "num_experts", 1 << 20)), {"num_experts is 1048576"});
  expect_error(read(with(qwen3_moe(), "num_local_experts", 16)), {"num_experts is 128, but num_local_experts 16"});
  expect_error(read(with(qwen3_moe(), "num_experts_per_tok", 129)), {"num_experts_per_tok is 129", "from 1 to 128"});
  expect_error(read(with(qwen3_moe(), "num_experts_per_tok", 0)), {"num_experts_per_tok is 0"});
  expect_error(read(with(qwen3_moe(), "moe_intermediate_size", -1)), {"moe_intermediate_size is -1"});
  expect_error(read(with(qwen3_moe(), "norm_topk_prob", 1)), {"norm_topk_prob is 1, expected true or false"});
  expect_error(read(with(qwen3_moe(), "decoder_sparse_step", 0)), {"decoder_sparse_step is 0"});
  expect_error(read(with(qwen3_moe(), "mlp_only_layers", 3)), {"mlp_only_layers is 3, expected a list"});
  expect_error(read(with(qwen3_moe(), "mlp_only_layers", {48})),
               {"mlp_only_layers has 48", "below num_hidden_layers 48"});
}

TEST(ModelConfig, qwen2_has_biases_and_a_window_that_is_off) {
  Json json = with(with(llama(), "model_type", "qwen2"), "architectures", {"Qwen2ForCausalLM"});
  json.erase("rope_scaling");
  json.erase("attention_bias");
  json["sliding_window"] = 32768;  // without use_sliding_window, as some files are
  const auto config = read(json);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_TRUE(config->qkv_bias);
  EXPECT_FALSE(config->qk_norm);
  EXPECT_TRUE(read(with(json, "attention_bias", true)).ok());  // says what is anyway
  expect_error(read(with(json, "use_sliding_window", true)), {"sliding-window attention"});
  EXPECT_FALSE(read(llama())->qkv_bias);
}

TEST(ModelConfig, files_that_are_no_config_are_refused) {
  const TempFolder folder;
  expect_error(read_model_config(folder.path()), {"config.json", "No such file"});
  const auto read_text = [&](std::string_view text) {
    write_file(folder.path("config.json"), text);
    return read_model_config(folder.path());
  };
  expect_error(read_text(""), {"config.json: is not JSON"});
  expect_error(read_text(llama().dump().substr(0, 40)), {"config.json: is not JSON: syntax error at byte 4"});
  expect_error(read_text("[1]"), {"config.json: is not a JSON object"});
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  expect_error(read_text(deep), {"config.json: is nested deeper than 64 levels"});
  expect_error(read_text(std::string((size_t{4} << 20) + 1, ' ')),
               {"config.json", "more than the 4194304 that are read"});
}

}  // namespace
}  // namespace slipstream
