#include "app/load.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace slipstream {
namespace {

LoadedRequest request(double asked_s, std::vector<double> text_s, uint32_t num_tokens) {
  LoadedRequest one;
  one.asked_s = asked_s;
  one.first_event_s = asked_s + 0.5;
  one.ended_s = text_s.back() + 0.25;
  one.text_s = std::move(text_s);
  one.num_tokens = num_tokens;
  return one;
}

TEST(Load, numbers_are_of_all_loads_together) {
  const std::vector<Load> loads = {{request(0, {1, 1.5, 2}, 3), request(10, {11, 12}, 5)}, {request(4, {5, 8}, 2)}};
  const LoadNumbers numbers = numbers_of(loads);
  EXPECT_DOUBLE_EQ(numbers.first_event.p50_ms, 500);
  EXPECT_DOUBLE_EQ(numbers.first_text.p50_ms, 1000);
  EXPECT_DOUBLE_EQ(numbers.between.p50_ms, 750);  // 500, 500, 1000, 3000
  EXPECT_DOUBLE_EQ(numbers.between.p99_ms, 2940);
  EXPECT_DOUBLE_EQ(numbers.pieces_per_token, 0.7);
  EXPECT_EQ(numbers.num_faults, 0u);
  EXPECT_DOUBLE_EQ(tokens_per_second(loads[0]), 8 / 12.25);
  EXPECT_DOUBLE_EQ(tokens_per_second(loads[1]), 2 / 4.25);
}

TEST(Load, what_failed_is_counted_and_changes_no_other_number) {
  LoadedRequest failed = request(2, {99}, 100);
  failed.fault = "gone";
  const Load load = {request(3, {4}, 1), failed};
  const LoadNumbers numbers = numbers_of({&load, 1});
  EXPECT_EQ(numbers.num_faults, 1u);
  EXPECT_EQ(numbers.first_fault, "gone");
  EXPECT_DOUBLE_EQ(numbers.first_text.p99_ms, 1000);
  EXPECT_DOUBLE_EQ(numbers.pieces_per_token, 1);
  EXPECT_DOUBLE_EQ(tokens_per_second(load), 1 / 1.25);
  EXPECT_EQ(tokens_per_second({failed}), 0);
}

TEST(Load, arrivals_come_at_the_rate_that_was_asked_and_again_with_the_same_seed) {
  LoadPlan plan{.request_rate = 8, .num_requests = 20'000, .seed = 3};
  const std::vector<double> times = plan.arrivals();
  EXPECT_EQ(times.front(), 0);
  EXPECT_TRUE(std::ranges::is_sorted(times));
  EXPECT_NEAR(times.back() * 8 / 20'000, 1, 0.03);
  // Of Poisson arrivals e^-1 of the gaps are longer than the mean one.
  uint32_t num_long = 0;
  for (size_t i = 1; i < times.size(); ++i) num_long += times[i] - times[i - 1] > 1.0 / 8;
  EXPECT_NEAR(num_long / 20'000.0, 0.368, 0.02);
  EXPECT_EQ(plan.arrivals(), times);
  plan.seed = 4;
  EXPECT_NE(plan.arrivals(), times);
}

TEST(Load, each_request_has_a_prompt_of_its_own) {
  const LoadPlan plan{.prompt_tokens = 40, .vocab_size = 300, .seed = 1};
  EXPECT_EQ(plan.prompt(0).size(), 40u);
  EXPECT_EQ(plan.prompt(5), plan.prompt(5));
  EXPECT_NE(plan.prompt(0), plan.prompt(1));
  const LoadPlan other{.prompt_tokens = 40, .vocab_size = 300, .seed = 2};
  EXPECT_NE(plan.prompt(0), other.prompt(0));
  for (const TokenId token : plan.prompt(7)) EXPECT_LT(token, 300u);
}

}  // namespace
}  // namespace slipstream
