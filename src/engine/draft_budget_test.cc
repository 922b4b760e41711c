#include "engine/draft_budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <list>

#include "base/random.h"

namespace slipstream {
namespace {

constexpr double kMuch_ms = 1e9;

// Sequences that each have one token to compute, and steps of them.
struct Books {
  explicit Books(uint32_t num_sequences, double allowance = kDraftAllowance) : budget(40, allowance) {
    for (uint32_t i = 0; i < num_sequences; ++i) {
      Sequence& sequence = sequences.emplace_back(Output(nullptr, {}), nullptr);
      sequence.tokens = {1};
    }
  }

  // drafts[i] for the i-th, of which right[i] were.
  void step(const std::vector<uint32_t>& drafts, const std::vector<uint32_t>& right, double step_ms) {
    plan.clear();
    std::vector<Sample> samples;
    const std::vector<TokenId> tokens(50, 1);
    uint32_t index = 0;
    for (Sequence& sequence : sequences) {
      plan.add(sequence, 1, 1);
      if (drafts[index] > 0) plan.add_drafts(index, drafts[index]);
      samples.emplace_back().tokens = std::span(tokens).first(1 + right[index++]);
    }
    budget.settle(plan, samples, step_ms);
  }
  void plain_step(double step_ms) {
    const std::vector<uint32_t> none(sequences.size(), 0);
    step(none, none, step_ms);
  }
  uint32_t choose(double chance, double credit_ms = kMuch_ms, uint32_t most = 8) const {
    const auto num_answers = static_cast<uint32_t>(sequences.size());
    return budget.choose({num_answers, num_answers, chance, most, credit_ms});
  }

  std::list<Sequence> sequences;
  StepPlan plan{{.max_rows = 100, .max_slices = 8, .max_blocks_per_slice = 1}};
  DraftBudget budget;
};

TEST(DraftBudget, there_are_none_before_it_is_known_what_a_step_takes_without) {
  Books books(1);
  EXPECT_EQ(books.choose(1), 0u);
  books.plain_step(10);
  EXPECT_EQ(books.choose(1), 8u);
  EXPECT_EQ(books.budget.choose({2, 2, 1, 8, kMuch_ms}), 0u);  // of two answers it is not
}

TEST(DraftBudget, with_an_infinite_allowance_a_guess_is_enough) {
  const Books books(2, std::numeric_limits<double>::infinity());
  EXPECT_EQ(books.choose(0.01, 0), 8u);
  EXPECT_EQ(books.choose(0, 0), 0u);
}

TEST(DraftBudget, what_a_step_takes_counts_though_rows_were_learned_to_be_free) {
  Books books(1);
  Sequence& sequence = books.sequences.front();
  for (int i = 0; i < 9; ++i) books.plain_step(10);
  for (int i = 0; i < 9; ++i) books.step({1}, {0}, 10);
  const double before_ms = sequence.draft_credit_ms;
  books.step({1}, {0}, 14);
  EXPECT_NEAR(sequence.draft_credit_ms - before_ms, 10 * kDraftAllowance - 4, 1e-9);
}

TEST(DraftBudget, a_row_that_was_never_tried_is_thought_to_cost_half_of_its_share) {
  Books books(1);
  books.plain_step(10);
  EXPECT_EQ(books.choose(0.49), 0u);
  EXPECT_EQ(books.choose(0.51), 1u);
  EXPECT_EQ(books.choose(0.9), 6u);  // 0.9^6 is the last above 0.5
  EXPECT_EQ(books.choose(0, kMuch_ms), 0u);
}

TEST(DraftBudget, what_rows_cost_is_learned) {
  Books books(1);
  books.plain_step(10);
  for (uint32_t drafts = 1; drafts <= 8; ++drafts) books.step({drafts}, {drafts}, 10 + 2.0 * drafts);
  EXPECT_EQ(books.choose(0.19), 0u);
  EXPECT_EQ(books.choose(0.21), 1u);
  EXPECT_EQ(books.choose(0.9), 8u);
  for (uint32_t step = 0; step < 20; ++step) books.step({8}, {8}, 60);  // a step of nine rows is dear
  EXPECT_EQ(books.choose(0.95), 7u);
}

TEST(DraftBudget, rows_up_to_a_known_one_take_no_longer_than_that) {
  Books books(1);
  books.plain_step(10);
  books.step({7}, {7}, 10.5);
  EXPECT_EQ(books.choose(0.6, 0.6), 7u);
  EXPECT_EQ(books.choose(0.6, 0.4), 0u);
}

TEST(DraftBudget, no_more_than_somebody_has_credit_for) {
  Books books(1);
  books.plain_step(10);
  EXPECT_EQ(books.choose(1, 4.9), 0u);
  EXPECT_EQ(books.choose(1, 5.1), 1u);
  EXPECT_EQ(books.choose(1, 15.1), 3u);
}

TEST(DraftBudget, what_is_lost_to_all_in_a_batch_must_pay_for_all) {
  Books books(4);
  books.plain_step(10);
  books.step({1, 0, 0, 0}, {1, 0, 0, 0}, 12);  // a fifth more for each of four
  EXPECT_EQ(books.choose(0.79), 0u);
  EXPECT_EQ(books.choose(0.81, kMuch_ms, 1), 1u);
}

TEST(DraftBudget, what_was_learned_long_ago_is_learned_anew) {
  Books books(1);
  books.plain_step(10);
  for (int step = 0; step < 5; ++step) books.step({1}, {0}, 100);  // something else took the machine
  EXPECT_EQ(books.choose(0.99, kMuch_ms, 1), 0u);
  for (int step = 0; step < 256; ++step) books.plain_step(10);
  EXPECT_EQ(books.choose(0.99, kMuch_ms, 1), 1u);
  for (int step = 0; step < 256; ++step) books.step({1}, {1}, 11);
  EXPECT_EQ(books.choose(0.99), 0u);  // one without, to know what that takes now
  books.plain_step(10);
  EXPECT_EQ(books.choose(0.99, kMuch_ms, 1), 1u);
}

TEST(DraftBudget, a_step_that_something_else_held_up_says_nothing_of_rows) {
  Books books(1);
  for (int step = 0; step < 9; ++step) books.plain_step(10);
  for (int step = 0; step < 2; ++step) books.step({1}, {0}, 15);
  for (int step = 0; step < 3; ++step) books.plain_step(100);
  EXPECT_EQ(books.choose(0.45, kMuch_ms, 1), 0u);
  EXPECT_EQ(books.choose(0.55, kMuch_ms, 1), 1u);
  books.step({1}, {0}, 150);
  EXPECT_EQ(books.choose(0.55, kMuch_ms, 1), 1u);
}

TEST(DraftBudget, each_has_the_allowance_loses_with_all_and_gains_alone) {
  Books books(2, 0.1);
  books.plain_step(10);
  const Sequence& first = books.sequences.front();
  const Sequence& second = books.sequences.back();
  EXPECT_DOUBLE_EQ(first.draft_credit_ms, 1);
  books.step({3, 0}, {2, 0}, 14);
  EXPECT_DOUBLE_EQ(first.draft_credit_ms, 2 - 4 + 20);
  EXPECT_DOUBLE_EQ(second.draft_credit_ms, 2 - 4);
}

// Whatever a row costs, and however wrong the chance is: half of the drafts are, and it says nine of ten are not.
TEST(DraftBudget, nobody_loses_more_than_the_allowance) {
  for (const double row_ms : {0.05, 0.2, 1.0, 4.0, 10.0}) {
    for (const uint32_t num_answers : {1u, 2u, 5u}) {
      Books books(num_answers);
      std::vector<double> without_ms(num_answers, 0);  // what the tokens that each has would have taken
      double with_ms = 0;
      uint64_t num_drafts = 0;
      for (uint64_t step = 0; step < 5'000; ++step) {
        const double plain_ms = 10 + row_ms * num_answers;
        double credit_ms = kMuch_ms;
        for (const Sequence& sequence : books.sequences) credit_ms = std::min(credit_ms, sequence.draft_credit_ms);
        const uint32_t drafts = books.budget.choose({num_answers, num_answers, 0.9, 8, credit_ms});
        num_drafts += drafts;
        const uint32_t right = std::min<uint32_t>(drafts, std::countr_zero(splitmix64(1, step) | 256));
        std::vector<uint32_t> all_drafts(num_answers, 0);
        std::vector<uint32_t> all_right(num_answers, 0);
        all_drafts[0] = drafts;  // the first one's: the others gain nothing
        all_right[0] = right;
        const double step_ms = plain_ms + row_ms * drafts;
        books.step(all_drafts, all_right, step_ms);
        with_ms += step_ms;
        for (uint32_t i = 0; i < num_answers; ++i) without_ms[i] += (1 + all_right[i]) * plain_ms;
      }
      for (const double each_ms : without_ms) EXPECT_LE(with_ms, 1.016 * each_ms) << row_ms << " " << num_answers;
      if (row_ms < 10) {
        EXPECT_GT(num_drafts, 30u) << row_ms << " " << num_answers;
      }
      if (row_ms < 1 && num_answers == 1) {
        EXPECT_LT(with_ms, 0.6 * without_ms[0]) << row_ms;
      }
    }
  }
}

}  // namespace
}  // namespace slipstream
