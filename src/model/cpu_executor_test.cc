#include "model/cpu_executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "model/prompt_run.h"
#include "model/random_weights.h"

namespace slipstream {
namespace {

ModelConfig small_config() {
  ModelConfig config;
  config.num_layers = 2;
  config.hidden_size = 96;  // no multiple of a chunk, nor of 64
  config.intermediate_size = 160;
  config.num_heads = 8;
  config.num_kv_heads = 2;
  config.head_dim = 20;  // no multiple of a panel
  config.vocab_size = 173;
  config.max_position_embeddings = 4096;
  config.qk_norm = true;
  return config;
}

constexpr MatrixFormat kFourBits{.type = WeightType::kUnsigned, .bits = 4, .group = 32, .scales = ScaleType::kFp16};
constexpr MatrixFormat kFp32{.type = WeightType::kFp32, .bits = 32};

std::vector<TokenId> made_up_tokens(uint32_t count, uint32_t seed) {
  std::vector<TokenId> tokens;
  for (uint32_t index = 0; index < count; ++index)
    tokens.push_back((seed * 7919 + index * 104729 + index * index) % 173);
  return tokens;
}

class CpuExecutorTest : public testing::Test {
 protected:
  std::unique_ptr<CpuExecutor> make(CpuExecutorOptions options) {
    if (options.num_blocks == 0) options.num_blocks = 64;
    if (options.max_context == 0) options.max_context = 2048;
    return std::move(CpuExecutor::make(config_, weights_, pool_, options).value());
  }
  // Logits of all tokens of a prompt, cut into chunks.
  std::vector<float> logits_of(const std::vector<TokenId>& prompt, uint32_t chunk) {
    const auto executor = make({.max_rows = 1500, .max_logit_rows = 1500});
    const Prompts prompts{prompt};
    PromptRun run(*executor, prompts, {64, chunk, false, {}});
    std::vector<float> logits;
    for (auto step = run.step(); !step.empty(); step = run.step()) {
      for (const PromptRows& rows : step) {
        EXPECT_TRUE(rows.finite);
        for (uint32_t row = 0; row < rows.logits.rows; ++row) {
          logits.insert(logits.end(), rows.logits.row(row), rows.logits.row(row) + rows.logits.cols);
        }
      }
    }
    return logits;
  }

  const ModelConfig config_ = small_config();
  ThreadPool pool_{2};
  const Weights weights_ = std::move(random_weights(config_, kFourBits, 1, pool_).value());
};

// A step of 1,300 rows is three passes of the workspace; chunks of 50 are one each.
TEST_F(CpuExecutorTest, a_step_longer_than_a_pass_gives_the_bits_of_short_steps) {
  const std::vector<TokenId> prompt = made_up_tokens(1300, 1);
  const std::vector<float> whole = logits_of(prompt, 0);
  ASSERT_EQ(whole.size(), prompt.size() * config_.vocab_size);
  EXPECT_EQ(std::memcmp(whole.data(), logits_of(prompt, 50).data(), whole.size() * sizeof(float)), 0);
}

TEST_F(CpuExecutorTest, logits_come_for_the_slices_that_want_them_in_the_order_of_slices) {
  const std::vector<std::vector<TokenId>> prompts{made_up_tokens(5, 1), made_up_tokens(600, 2), made_up_tokens(1, 3),
                                                  made_up_tokens(40, 4)};
  const auto executor = make({.max_rows = 1000, .max_slices = 8});
  std::vector<BlockId> tables(32);
  std::iota(tables.begin(), tables.end(), 7);
  std::vector<TokenId> tokens;
  std::vector<StepSlice> slices;
  for (const auto& prompt : prompts) {
    const auto first_block = slices.empty() ? 0 : slices.back().first_block + slices.back().num_blocks;
    const auto size = static_cast<uint32_t>(prompt.size());
    slices.push_back(
        {static_cast<uint32_t>(tokens.size()), size, 0, first_block, (size + 63) / 64, slices.size() != 2});
    tokens.insert(tokens.end(), prompt.begin(), prompt.end());
  }
  const Logits logits = executor->run({tokens, slices, tables, {}});
  ASSERT_EQ(logits.rows.rows, 3u);
  ASSERT_EQ(logits.slice_finite.size(), 4u);
  uint32_t row = 0;
  for (const size_t index : {0, 1, 3}) {
    const std::vector<float> alone = logits_of(prompts[index], 0);
    const float* last = alone.data() + alone.size() - config_.vocab_size;
    EXPECT_EQ(std::memcmp(logits.rows.row(row++), last, config_.vocab_size * sizeof(float)), 0) << index;
  }
}

// A prompt of 40 tokens in blocks of 32; another sequence takes over its first 37 by reference and copy, and goes on.
TEST_F(CpuExecutorTest, a_copied_block_is_as_good_as_a_computed_one) {
  const std::vector<TokenId> prompt = made_up_tokens(40, 5);
  std::vector<TokenId> other(prompt.begin(), prompt.begin() + 37);
  for (const TokenId token : made_up_tokens(9, 6)) other.push_back(token);
  const auto executor = make({.block_tokens = 32, .max_rows = 100, .max_slices = 4});

  const std::vector<BlockId> first_table{3, 4};
  const std::vector<StepSlice> first{{0, 40, 0, 0, 2, true}};
  executor->run({prompt, first, first_table, {}});
  // Through a third block, as a chain of copies in one step would be.
  const std::vector<BlockId> second_table{3, 6};
  const std::vector<StepSlice> second{{0, 9, 37, 0, 2, true}};
  const std::vector<BlockCopy> copies{{4, 9, 5}, {9, 6, 5}};
  const Logits logits = executor->run({std::span(other).subspan(37), second, second_table, copies});

  const std::vector<float> alone = logits_of(other, 0);
  const float* last = alone.data() + alone.size() - config_.vocab_size;
  EXPECT_EQ(std::memcmp(logits.rows.row(0), last, config_.vocab_size * sizeof(float)), 0);
}

TEST_F(CpuExecutorTest, values_beyond_fp16_are_counted_and_saturate) {
  ModelConfig config = config_;
  config.qk_norm = false;
  Weights weights = std::move(random_weights(config, kFp32, 1, pool_).value());
  // attention_norm times 1e6: V of a hundred thousands.
  std::vector<float> huge(config.hidden_size, 1e6f);
  weights.layers[0].attention_norm = huge.data();
  auto executor = std::move(
      CpuExecutor::make(config, weights, pool_, {.num_blocks = 4, .max_rows = 8, .max_slices = 1, .max_context = 64})
          .value());
  EXPECT_EQ(executor->num_clamped_kv(), 0u);
  const std::vector<TokenId> tokens{1, 2, 3};
  const std::vector<BlockId> table{0};
  const std::vector<StepSlice> slices{{0, 3, 0, 0, 1, true}};
  const Logits logits = executor->run({tokens, slices, table, {}});
  EXPECT_EQ(logits.slice_finite[0], 1);
  EXPECT_GT(executor->num_clamped_kv(), 0u);
  EXPECT_LE(executor->num_clamped_kv(), 3u * 2 * 2 * 20);  // of one layer
}

TEST_F(CpuExecutorTest, memory_is_as_planned) {
  const auto executor = make({.max_rows = 4096, .max_slices = 2});
  // 512 rows of residual, hidden, qkv, attended, gate and up are under 1 KB each here; scratch and logits are small.
  EXPECT_GT(executor->workspace_bytes(), 512u * 4 * (96 * 2 + 240 + 160 + 160 * 2));
  EXPECT_LT(executor->workspace_bytes(), 8u << 20);
  // 2 layers x 2 heads x 64 tokens x 20 dims x (K, V) x fp16
  EXPECT_EQ(kv_block_bytes(config_, 64, ActivationMode::kInt16), 2u * 2 * 64 * 20 * 2 * 2);
  EXPECT_EQ(kv_block_bytes(config_, 64, ActivationMode::kF32), 2u * 2 * 64 * 20 * 2 * 4);
}

using CpuExecutorDeath = CpuExecutorTest;

TEST_F(CpuExecutorDeath, a_step_that_would_touch_foreign_memory_is_a_bug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the pool has a thread
  const auto executor = make({.max_rows = 8, .max_slices = 1});
  const std::vector<BlockId> table{0};
  const std::vector<BlockId> wrong_table{64};
  const std::vector<TokenId> tokens{1, 2};
  const std::vector<TokenId> wrong_tokens{1, 173};
  const std::vector<StepSlice> slices{{0, 2, 0, 0, 1, true}};
  const std::vector<StepSlice> too_far{{0, 2, 63, 0, 1, true}};
  EXPECT_DEATH(executor->run({wrong_tokens, slices, table, {}}), "token 173 of 173");
  EXPECT_DEATH(executor->run({tokens, slices, wrong_table, {}}), "block 64 of 64");
  EXPECT_DEATH(executor->run({tokens, too_far, table, {}}), "1 blocks for 65 tokens");
}

// Three KV heads: two or four threads share the attention of the single row at the end (attention_plan.h).
TEST(CpuExecutor, a_long_context_has_the_same_bits_however_many_threads_share_it) {
  ModelConfig config = small_config();
  config.num_heads = 6;
  config.num_kv_heads = 3;
  config.head_dim = 32;
  const Prompts prompts{made_up_tokens(1401, 9)};
  std::vector<float> expected;
  for (const uint32_t num_threads : {1u, 2u, 4u}) {
    ThreadPool pool(num_threads);
    const Weights weights = std::move(random_weights(config, kFourBits, 2, pool).value());
    const CpuExecutorOptions options{
        .num_blocks = 24, .max_rows = 1400, .max_logit_rows = 1400, .max_context = 2048};
    const auto executor = std::move(CpuExecutor::make(config, weights, pool, options).value());
    PromptRun run(*executor, prompts, {64, 1400, false, {}});
    ASSERT_EQ(run.step().front().logits.rows, 1400u);
    const Matrix<const float> last = run.step().front().logits;
    ASSERT_EQ(last.rows, 1u);
    const std::vector<float> logits(last.row(0), last.row(0) + last.cols);
    if (expected.empty()) expected = logits;
    EXPECT_EQ(std::memcmp(logits.data(), expected.data(), logits.size() * sizeof(float)), 0) << num_threads;
  }
}

}  // namespace
}  // namespace slipstream
