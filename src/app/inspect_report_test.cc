#include "app/inspect_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace slipstream {
namespace {

const std::string kData = SLIPSTREAM_TEST_DATA;

InspectReport report_of(const std::string& folder, uint64_t available_bytes = uint64_t{1} << 30) {
  auto report = inspect_model({kData + "/oracle/" + folder, "org/" + folder}, available_bytes, 2);
  CHECK(report.ok(), "{}", report.error().message);
  return std::move(report).value();
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(InspectReport, says_to_people_what_the_model_is) {
  const std::string text = inspect_text(report_of("qwen3-mlx-4bit-g64"));
  for (const char* part : {"model       org/qwen3-mlx-4bit-g64\n",
                           "family      qwen3: 2 layers, hidden size 128, 8 heads (2 for K and V) of 32\n",
                           "parameters  402.2 K\n", "context     512 tokens; rope theta 1000000, not scaled\n",
                           "vocabulary  320, tokenizer ", "MLX 4 bits, groups of 64, BF16",
                           "lm_head     is the embedding\n",
                           "KV cache    512 bytes for each token, 0.03 MiB for a block of 64 tokens\n",
                           "memory      1024 MiB available - weights ", "KV pool     204 MiB: serve takes 0.2 of "}) {
    EXPECT_TRUE(has(text, part)) << part << "\n" << text;
  }
  for (size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    EXPECT_LE(end - begin, 120u) << text.substr(begin, end - begin);
}

TEST(InspectReport, says_the_same_to_programs) {
  const InspectReport report = report_of("qwen3-mlx-4bit-g64");
  const auto json = nlohmann::json::parse(inspect_json(report));
  EXPECT_EQ(json["model"], "org/qwen3-mlx-4bit-g64");
  EXPECT_EQ(json["family"], "qwen3");
  EXPECT_EQ(json["parameters"]["total"], 402176);
  EXPECT_EQ(json["parameters"]["active"], 402176);
  EXPECT_EQ(json["kv"]["bytes_per_token"], 512);
  EXPECT_EQ(json["kv"]["block_tokens"], 64);
  EXPECT_EQ(json["kv"]["bytes_per_block"], 32768);
  EXPECT_EQ(json["context"]["max_position_embeddings"], 512);
  EXPECT_TRUE(json["context"]["rope_scaling"].is_null());
  EXPECT_EQ(json["memory"]["available_bytes"], uint64_t{1} << 30);
  EXPECT_EQ(json["memory"]["users"][0]["longest_by_default"], 512);
  uint64_t parameters = 0;
  for (const auto& group : json["weights"]["groups"]) parameters += group["parameters"].get<uint64_t>();
  EXPECT_EQ(parameters, 402176u);
}

TEST(InspectReport, tells_rope_scaling_and_a_template_that_fails) {
  InspectReport report = report_of("llama-untied-bf16");
  report.config.rope_scaling.factor = 8;
  report.has_chat_template = true;
  report.chat_template_bytes = 77;
  report.chat_template_error = "no system message";
  const std::string text = inspect_text(report);
  EXPECT_TRUE(has(text, "rope theta 10000, scaled (llama3) by 8 from 8192\n")) << text;
  EXPECT_TRUE(has(text, "template    77 bytes; a plain conversation does not render: no system message\n")) << text;
  const auto json = nlohmann::json::parse(inspect_json(report));
  EXPECT_EQ(json["context"]["rope_scaling"]["factor"], 8.0);
  EXPECT_EQ(json["chat_template"]["renders"], false);
  EXPECT_EQ(json["chat_template"]["error"], "no system message");
}

TEST(InspectReport, a_model_that_does_not_fit_is_told_so) {
  const std::string text = inspect_text(report_of("qwen3-mlx-4bit-g64", 1 << 20));
  EXPECT_TRUE(has(text, " = nothing: the model does not fit\n")) << text;
}

TEST(InspectReport, a_wrong_model_is_an_error) {
  const auto report = inspect_model({kData + "/oracle", "oracle"}, 1 << 30, 2);
  ASSERT_FALSE(report.ok());
  EXPECT_TRUE(has(report.error().message, "config.json")) << report.error().message;
}

TEST(MemoryFit, users_and_contexts_against_the_default_pool_and_all_memory) {
  CapacityInput input;
  input.available_bytes = uint64_t{1100} << 20;
  input.weights_bytes = uint64_t{60} << 20;
  input.workspace_bytes = uint64_t{40} << 20;
  input.block_bytes = uint64_t{1} << 20;
  input.model_max_len = 10'000;
  const MemoryFit fit = fit_users(input);
  EXPECT_EQ(fit.rest_bytes, uint64_t{1000} << 20);
  EXPECT_EQ(fit.default_pool_bytes, uint64_t{200} << 20);
  EXPECT_EQ(fit.contexts, (std::vector<uint32_t>{2048, 8192, 10'000}));
  ASSERT_EQ(fit.users.size(), 5u);
  const UsersFit& five = fit.users[2];
  EXPECT_EQ(five.num_users, 5u);
  EXPECT_EQ(five.contexts[0].fit, Fit::kByDefault);  // 160 blocks
  EXPECT_EQ(five.contexts[1].fit, Fit::kAtMost);     // 640
  EXPECT_EQ(five.longest_by_default, 199u / 5 * 64);
  EXPECT_EQ(five.longest_at_most, 10'000u);
  EXPECT_EQ(fit.users[4].contexts[2].fit, Fit::kNot);
  EXPECT_EQ(fit.users[4].longest_at_most, 999u / 50 * 64);
}

}  // namespace
}  // namespace slipstream
