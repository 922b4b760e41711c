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

TEST(Capacity, weights_and_workspace_come_before_the_pool) {
  CapacityInput some = input();
  some.weights_bytes = 500 * kMiB;
  some.workspace_bytes = 100 * kMiB;
  const Capacity capacity = plan_capacity(some).value();
  EXPECT_EQ(capacity.num_blocks, 79u);
  EXPECT_NE(capacity.reason.find("0.2 of the 400 MiB available"), std::string::npos) << capacity.reason;
  some.cache_memory_mb = 401;
  EXPECT_EQ(plan_capacity(some).error().param, "--cache-memory-mb");
}

TEST(Capacity, a_model_that_does_not_fit_is_refused_with_the_arithmetic) {
  CapacityInput some = input();
  some.weights_bytes = 1200 * kMiB;
  some.workspace_bytes = 50 * kMiB + 1;
  const auto refused = plan_capacity(some);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "the model does not fit: weights 1200 MiB + workspace 51 MiB + KV cache 2 MiB (one block of 64 tokens) = "
            "1252 MiB, but 1000 MiB of memory are available; free memory, or take a model with fewer parameters or "
            "bits");
}

TEST(Capacity, what_to_change_depends_on_what_does_not_fit) {
  const auto refusal = [](const CapacityInput& some) {
    const Status fits = check_fits(some);
    return fits.ok() ? std::string("fits") : fits.error().message;
  };
  CapacityInput some = input();
  some.weights_bytes = 990 * kMiB;
  some.workspace_bytes = 11 * kMiB;
  EXPECT_NE(refusal(some).find("; free memory, or give a smaller --max-num-seqs or --max-num-batched-tokens"),
            std::string::npos)
      << refusal(some);
  some.workspace_bytes = 5 * kMiB;
  EXPECT_EQ(refusal(some), "fits");
  some.max_model_len = 1000;
  for (const char* part :
       {"KV cache 17 MiB (--max-model-len 1000) = 1012 MiB", "; free memory, or give --max-model-len 256 or less"})
    EXPECT_NE(refusal(some).find(part), std::string::npos) << refusal(some);
  some.max_model_len = 256;
  EXPECT_EQ(refusal(some), "fits");
  some.max_model_len = 257;
  EXPECT_NE(refusal(some), "fits");
}

TEST(Capacity, a_pool_that_no_memory_holds_is_not_recommended) {
  CapacityInput some = input();
  some.cache_memory_mb = 10;
  some.model_max_len = 100'000;  // 1563 blocks of 1 MiB
  const Capacity capacity = plan_capacity(some).value();
  EXPECT_NE(capacity.reason.find("; all of the memory would hold 63936)"), std::string::npos) << capacity.reason;
}

TEST(Capacity, sequences_share_a_pool_in_whole_blocks) {
  const CapacityInput some = input();
  const uint64_t block = bytes_of_block(some.block_bytes, some.block_tokens);
  EXPECT_EQ(pool_bytes_for(some, 3, 65), 6 * block);
  EXPECT_EQ(longest_context(6 * block, some, 3), 128u);
  EXPECT_EQ(longest_context(6 * block - 1, some, 3), 64u);
  EXPECT_EQ(longest_context(2 * block, some, 3), 0u);
  EXPECT_EQ(longest_context(1000 * block, some, 1), 4096u);  // the model's own
}

}  // namespace
}  // namespace slipstream
