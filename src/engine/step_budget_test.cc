#include "engine/step_budget.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

TEST(StepBudget, without_a_time_it_is_the_most_rows) {
  StepBudget budget(0, 500);
  EXPECT_EQ(budget.rows(0), 500u);
  budget.learn(500, 0, 10'000);
  EXPECT_EQ(budget.rows(3), 500u);
}

TEST(StepBudget, it_comes_to_the_rows_that_take_the_time) {
  StepBudget budget(200, 2048);
  for (int step = 0; step < 30; ++step) {
    const uint32_t rows = budget.rows(0);
    budget.learn(rows, 0, rows * 0.5);
  }
  EXPECT_NEAR(budget.rows(0), 400u, 20);
}

TEST(StepBudget, the_first_steps_are_careful) {
  StepBudget budget(200, 2048);
  EXPECT_LE(budget.rows(0), 64u);
  budget.learn(64, 0, 0.001);
  EXPECT_LE(budget.rows(0), 256u);
}

TEST(StepBudget, what_the_answers_take_is_not_given_to_a_prompt) {
  StepBudget budget(200, 2048);
  for (int step = 0; step < 30; ++step) {
    budget.learn(4, 4, 100);
    const uint32_t rows = budget.rows(4);
    budget.learn(rows, 4, 100 + (rows - 4) * 0.5);
  }
  EXPECT_NEAR(budget.rows(4), 204u, 20);
}

TEST(StepBudget, where_the_answers_alone_take_the_time_a_prompt_goes_on_all_the_same) {
  StepBudget budget(200, 2048);
  for (int step = 0; step < 30; ++step) {
    budget.learn(4, 4, 400);
    budget.learn(104, 4, 400 + 100 * 10);
  }
  EXPECT_GE(budget.rows(4), 4u + 8u);
  EXPECT_LE(budget.rows(4), 4u + 30u);
}

TEST(StepBudget, never_none_and_never_more_than_the_most) {
  for (const uint32_t most : {1u, 5u, 2048u}) {
    StepBudget budget(1, most);
    for (int step = 0; step < 10; ++step) {
      EXPECT_GE(budget.rows(0), 1u);
      EXPECT_LE(budget.rows(1000), most);
      budget.learn(most, 0, 1e6);
    }
  }
}

TEST(StepBudget, one_slow_step_does_not_decide) {
  StepBudget budget(200, 2048);
  for (int step = 0; step < 30; ++step) budget.learn(400, 0, 200);
  budget.learn(400, 0, 2000);
  EXPECT_GT(budget.rows(0), 100u);
}

}  // namespace
}  // namespace slipstream
