// The real model against float64 and against its own yardstick. Skipped where its file is not (./test fetches it).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "golden/model_runs.h"
#include "golden/oracle.h"
#include "model/perplexity.h"

namespace slipstream {
namespace {

class SmolLm2 : public testing::Test {
 protected:
  void SetUp() override {
    const auto file = smollm2_file();
    if (!file) GTEST_SKIP() << "SKIPPED: the real model is not here (SLIPSTREAM_SMOLLM2)";
    auto loaded = load_model(*file, pool_);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    model_ = std::make_unique<LoadedModel>(std::move(loaded.value()));
  }

  ThreadPool pool_{2};
  const SmolLm2Golden golden_ = read_smollm2_golden();
  std::unique_ptr<LoadedModel> model_;
};

// Sums over logits: of the yardstick, for its spread, and of the differences.
struct Differences {
  double sum = 0.0, sum_of_squares = 0.0, squared_differences = 0.0, largest = 0.0;
  uint64_t count = 0;

  void add(std::span<const float> expected, std::span<const float> got) {
    for (size_t id = 0; id < expected.size(); ++id) {
      const double value = expected[id];
      const double difference = got[id] - value;
      sum += value;
      sum_of_squares += value * value;
      squared_differences += difference * difference;
      largest = std::max(largest, std::abs(difference));
    }
    count += expected.size();
  }
  double spread() const {
    const double mean = sum / static_cast<double>(count);
    return std::sqrt(sum_of_squares / static_cast<double>(count) - mean * mean);
  }
  double rms_of_spread() const { return std::sqrt(squared_differences / static_cast<double>(count)) / spread(); }
  double largest_of_spread() const { return largest / spread(); }
};

// The rows that count are those whose logits say a token of the answer (ARITHMETIC.md 8 has measured answers); those
// inside the prompt, which nobody samples, are printed too. Seven of the eight chats begin with the same 20 tokens.
TEST_F(SmolLm2, default_arithmetic_differs_from_fp32_by_a_thousandth_of_the_spread) {
  Prompts prompts;  // whole chats: the prompt and the true answer
  for (const SmolLm2Chat& chat : golden_.chats) {
    prompts.push_back(chat.prompt);
    prompts.back().insert(prompts.back().end(), chat.greedy.begin(), chat.greedy.end());
  }
  const RunningPrompts yardstick = make_run(*model_, pool_, prompts, {.activations = ActivationMode::kF32});
  const RunningPrompts product = make_run(*model_, pool_, prompts, {});
  PromptRun expected(*yardstick.executor, prompts, yardstick.options);
  PromptRun got(*product.executor, prompts, product.options);
  Differences answers, all;
  for (auto step = expected.step(); !step.empty(); step = expected.step()) {
    const auto other = got.step();
    ASSERT_EQ(step.size(), other.size());
    for (size_t index = 0; index < step.size(); ++index) {
      const PromptRows& rows = step[index];
      ASSERT_TRUE(rows.finite && other[index].finite);
      ASSERT_EQ(rows.first_token, other[index].first_token);
      for (uint32_t row = 0; row < rows.logits.rows; ++row) {
        all.add(rows.logits.span(row), other[index].logits.span(row));
        if (rows.first_token + row + 1 < golden_.chats[rows.prompt].prompt.size()) continue;
        answers.add(rows.logits.span(row), other[index].logits.span(row));
      }
    }
  }
  fmt::print("SmolLM2, default against f32 on the answers of 8 chats: rms {:.2e}, max {:.2e} of the spread {:.3f}\n",
             answers.rms_of_spread(), answers.largest_of_spread(), answers.spread());
  fmt::print("the prompts' rows too: rms {:.2e}, max {:.2e} of the spread {:.3f}\n", all.rms_of_spread(),
             all.largest_of_spread(), all.spread());
  EXPECT_GT(answers.squared_differences, 0.0);  // they are two arithmetics
  EXPECT_LE(answers.rms_of_spread(), 1e-3);
  EXPECT_LE(answers.largest_of_spread(), 1.5e-2);
  EXPECT_LE(all.largest_of_spread(), 1.5e-2);
}

TEST_F(SmolLm2, eight_chats_are_the_true_answers_to_the_last_token) {
  Prompts prompts;
  std::vector<uint32_t> lengths;
  for (const SmolLm2Chat& chat : golden_.chats) {
    prompts.push_back(chat.prompt);
    lengths.push_back(static_cast<uint32_t>(chat.greedy.size()));
  }
  const auto answers = greedy_tokens(*model_, pool_, prompts, lengths, {});
  size_t num_equal = 0;
  for (size_t index = 0; index < answers.size(); ++index) {
    const SmolLm2Chat& chat = golden_.chats[index];
    const auto differs = std::mismatch(chat.greedy.begin(), chat.greedy.end(), answers[index].begin()).first;
    if (differs == chat.greedy.end()) {
      ++num_equal;
      continue;
    }
    const auto at = static_cast<size_t>(differs - chat.greedy.begin());
    fmt::print("chat {}: token {} differs, at a margin of {:.4f}\n", index, at, chat.margins[at]);
    EXPECT_LT(chat.margins[at], 2e-2) << "chat " << index << " token " << at;
  }
  fmt::print("SmolLM2: {} of {} chats equal to the last token\n", num_equal, answers.size());
}

TEST_F(SmolLm2, perplexity_of_a_licence_is_the_true_one) {
  auto result = measure_perplexity(model_->config(), model_->weights, pool_, {}, golden_.perplexity_tokens, 512);
  ASSERT_TRUE(result.ok()) << result.error().message;
  ASSERT_EQ(result->windows.size(), golden_.nll_by_window.size());
  for (size_t window = 0; window < golden_.nll_by_window.size(); ++window) {
    fmt::print("window {}: {:.6f}, expected {:.6f}\n", window, result->windows[window].mean_nll,
               golden_.nll_by_window[window]);
    EXPECT_NEAR(result->windows[window].mean_nll, golden_.nll_by_window[window], 2e-3);
  }
  fmt::print("SmolLM2: perplexity {:.5f}\n", result->perplexity);
}

}  // namespace
}  // namespace slipstream
