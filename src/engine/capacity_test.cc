#include "engine/capacity.h"

#include <gtest/gtest.h>

#include "cache/kv_ledger.h"

namespace slipstream {
namespace {

constexpr uint64_t kMiB = 1 << 20;

CapacityInput input() {
  return {.available_bytes = 1000 * kMiB,
          .block_bytes = kMiB,
          .block_tokens = 64,
          .model_max_len = 4096,
          .cache_memory_mb = {},
          .max_model_len = {}};
}

TEST(Capacity, by_default_a_fifth_of_what_is_available) {
  const Capacity capacity = plan_capacity(input()).value();
  EXPECT_EQ(capacity.num_blocks, 199u);  // and the ledger beside it
  EXPECT_LE(capacity.pool_bytes + capacity.ledger_bytes, 200 * kMiB);
  EXPECT_EQ(capacity.max_model_len, 4096u);
  EXPECT_FALSE(capacity.shrunk);
  EXPECT_NE(capacity.reason.find("0.2 of the 1000 MiB available"), std::string::npos) << capacity.reason;
}

TEST(Capacity, megabytes_go_before_the_percentage) {
  CapacityInput some = input();
  some.cache_memory_mb = 100;
  some.cache_memory_percent = 0.5;
  EXPECT_EQ(plan_capacity(some).value().num_blocks, 99u);
}

TEST(Capacity, the_models_length_shrinks_to_what_the_pool_holds_and_says_so) {
  CapacityInput some = input();
  some.cache_memory_mb = 10;
  const Capacity capacity = plan_capacity(some).value();
  EXPECT_EQ(capacity.max_model_len, 9u * 64u);
  EXPECT_TRUE(capacity.shrunk);
  EXPECT_NE(capacity.reason.find("shrunk from the model's 4096"), std::string::npos) << capacity.reason;
  // The number it names does what it says.
  const size_t at = capacity.reason.find("--cache-memory-mb ", capacity.reason.find("shrunk"));
  ASSERT_NE(at, std::string::npos);
  some.cache_memory_mb = std::stoull(capacity.reason.substr(at + 18));
  EXPECT_EQ(plan_capacity(some).value().max_model_len, 4096u);
  some.cache_memory_mb = *some.cache_memory_mb - 1;
  EXPECT_TRUE(plan_capacity(some).value().shrunk);
}

TEST(Capacity, a_length_the_user_gave_is_kept_or_refused_with_the_numbers) {
  CapacityInput some = input();
  some.cache_memory_mb = 10;
  some.max_model_len = 500;
  EXPECT_EQ(plan_capacity(some).value().max_model_len, 500u);
  some.max_model_len = 577;
  const auto refused = plan_capacity(some);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().param, "--max-model-len");
  EXPECT_NE(refused.error().message.find("577"), std::string::npos);
  EXPECT_NE(refused.error().message.find("--max-model-len 576"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("--cache-memory-mb 11"), std::string::npos) << refused.error().message;
}

TEST(Capacity, a_length_beyond_the_models_own_is_refused) {
  CapacityInput some = input();
  some.max_model_len = 4097;
  EXPECT_EQ(plan_capacity(some).error().param, "--max-model-len");
  some.max_model_len = 0;
  EXPECT_EQ(plan_capacity(some).error().param, "--max-model-len");
}

TEST(Capacity, a_pool_beyond_the_memory_is_refused) {
  CapacityInput some = input();
  some.cache_memory_mb = 1001;
  EXPECT_EQ(plan_capacity(some).error().param, "--cache-memory-mb");
  some.cache_memory_mb = 1000;
  EXPECT_TRUE(plan_capacity(some).ok());
}

TEST(Capacity, a_pool_without_a_block_is_refused) {
  CapacityInput some = input();
  some.cache_memory_mb = 1;
  const auto refused = plan_capacity(some);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().param, "--cache-memory-mb");
  EXPECT_NE(refused.error().message.find("--cache-memory-mb 2 or more"), std::string::npos) << refused.error().message;
  some.cache_memory_mb.reset();
  some.cache_memory_percent = 1e-9;
  EXPECT_EQ(plan_capacity(some).error().param, "--cache-memory-percent");
}

TEST(Capacity, a_percentage_is_a_fraction) {
  CapacityInput some = input();
  for (const double percent : {0.0, -1.0, 1.01, 20.0, std::numeric_limits<double>::quiet_NaN()}) {
    some.cache_memory_percent = percent;
    EXPECT_FALSE(plan_capacity(some).ok()) << percent;
  }
}

}  // namespace
}  // namespace slipstream
