// Worlds on real (tiny) models: P1 through the whole engine.
#include <gtest/gtest.h>

#include "model_world.h"

namespace slipstream {
namespace {

class ModelWorldTest : public testing::TestWithParam<const char*> {};

TEST_P(ModelWorldTest, each_answer_is_the_one_its_request_gets_alone) {
  auto worlds = ModelWorlds::make(std::string(SLIPSTREAM_TEST_DATA "/oracle/") + GetParam(), 1);
  ASSERT_TRUE(worlds.ok()) << worlds.error().message;
  WorldTotals totals;
  for (uint64_t seed = 1; seed <= 250; ++seed) {
    const WorldResult result = (*worlds)->run(seed);
    ASSERT_EQ(result.fault, "") << "replay: model_worlds CHECKPOINT --worlds 1 --seed " << seed;
    totals.add(result);
  }
  EXPECT_GT(totals.num_preemptions, 30u);
  EXPECT_GT(totals.num_cached_tokens, 1'000u);
  EXPECT_GT(totals.num_cancelled, 50u);
  EXPECT_GT(totals.num_stopped, 50u);
  EXPECT_GT(totals.num_at_length, 500u);
  EXPECT_GT(totals.num_accepted_tokens, 100u);
  EXPECT_GT(totals.num_draft_tokens - totals.num_accepted_tokens, 10u);
}

INSTANTIATE_TEST_SUITE_P(TinyModels, ModelWorldTest,
                         testing::Values("llama-mlx-4bit-g64", "qwen3-fp16", "qwen3-moe-mlx-4bit-g64-mixed"));

}  // namespace
}  // namespace slipstream
