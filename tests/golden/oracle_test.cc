// The tiny checkpoints' logits and greedy text against float64.
#include "golden/oracle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "golden/model_runs.h"

namespace slipstream {
namespace {

constexpr double kToleranceF32 = 1e-4;  // largest difference over the logits' spread
constexpr double kTolerance = 1e-2;     // the product's arithmetic

// Each family, width and layout; a folder that misses here would be a hole in the table.
constexpr size_t kNumOutside = 27;

Prompts prompts_of(const Oracle& oracle) {
  Prompts prompts;
  for (const OraclePrompt& prompt : oracle.prompts) prompts.push_back(prompt.tokens);
  return prompts;
}

// Largest |difference| over the spread, of all rows that the oracle keeps.
double largest_difference(const Oracle& oracle, const std::vector<std::vector<float>>& logits) {
  double largest = 0.0;
  for (size_t index = 0; index < oracle.prompts.size(); ++index) {
    const OraclePrompt& prompt = oracle.prompts[index];
    for (size_t row = 0; row < prompt.positions.size(); ++row) {
      const std::vector<float>& expected = prompt.logits[row];
      const float* got = logits[index].data() + size_t{prompt.positions[row]} * expected.size();
      for (size_t id = 0; id < expected.size(); ++id) {
        largest = std::max(largest, std::abs(static_cast<double>(got[id]) - expected[id]) / prompt.logits_std);
      }
    }
  }
  return largest;
}

// Greedy tokens that must be equal: those before the first margin that the tolerance could turn round.
size_t num_certain(const OraclePrompt& prompt, double tolerance) {
  const double doubtful = 2.0 * tolerance * prompt.logits_std;
  const auto first =
      std::find_if(prompt.margins.begin(), prompt.margins.end(), [&](double margin) { return margin < doubtful; });
  return static_cast<size_t>(first - prompt.margins.begin());
}

struct Verdict {
  double difference = 0.0;
  size_t greedy_equal = 0;    // tokens, up to the first difference of each prompt
  size_t greedy_certain = 0;  // of these so many had to be
  size_t greedy_all = 0;
};

Verdict judge(const LoadedModel& model, const Oracle& oracle, ThreadPool& pool, ActivationMode activations) {
  const double tolerance = activations == ActivationMode::kF32 ? kToleranceF32 : kTolerance;
  const Prompts prompts = prompts_of(oracle);
  Verdict verdict;
  for (const uint32_t chunk : {0u, 17u, 64u}) {
    for (const bool together : {false, true}) {
      const RunSetting setting{.activations = activations, .chunk_tokens = chunk, .together = together};
      const double difference = largest_difference(oracle, all_logits(model, pool, prompts, setting));
      EXPECT_LE(difference, tolerance) << oracle.name << " " << setting.text();
      verdict.difference = std::max(verdict.difference, difference);
    }
  }
  std::vector<uint32_t> lengths;
  for (const OraclePrompt& prompt : oracle.prompts) lengths.push_back(static_cast<uint32_t>(prompt.greedy.size()));
  const auto greedy = greedy_tokens(model, pool, prompts, lengths, {.activations = activations});
  for (size_t index = 0; index < oracle.prompts.size(); ++index) {
    const OraclePrompt& prompt = oracle.prompts[index];
    const auto differs = std::mismatch(prompt.greedy.begin(), prompt.greedy.end(), greedy[index].begin()).first;
    const auto equal = static_cast<size_t>(differs - prompt.greedy.begin());
    EXPECT_GE(equal, num_certain(prompt, tolerance)) << oracle.name << " prompt " << index;
    verdict.greedy_equal += equal;
    verdict.greedy_certain += num_certain(prompt, tolerance);
    verdict.greedy_all += prompt.greedy.size();
  }
  return verdict;
}

// Prints the checkpoint's line of the table.
void check_folder(const std::string& folder, ThreadPool& pool) {
  const Oracle oracle = read_oracle(folder);
  const auto model = load_model(folder, pool);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const Verdict f32 = judge(model.value(), oracle, pool, ActivationMode::kF32);
  const Verdict int16 = judge(model.value(), oracle, pool, ActivationMode::kInt16);
  fmt::print("{:<34} f32 {:.1e}, greedy {:>3}/{}/{}   default {:.1e}, greedy {:>3}/{}/{}\n", oracle.name,
             f32.difference, f32.greedy_equal, f32.greedy_certain, f32.greedy_all, int16.difference, int16.greedy_equal,
             int16.greedy_certain, int16.greedy_all);
}

void print_head() { fmt::print("largest difference over the spread; greedy tokens equal / that had to be / in all\n"); }

TEST(Oracle, committed_checkpoints_give_the_logits_and_the_greedy_text_of_float64) {
  ThreadPool pool(2);
  print_head();
  for (const std::string& folder : committed_oracles()) check_folder(folder, pool);
}

TEST(Oracle, all_checkpoints_give_the_logits_and_the_greedy_text_of_float64) {
  const auto folders = outside_oracles();
  if (folders.empty()) GTEST_SKIP() << "SKIPPED: SLIPSTREAM_DATA is not set";
  ThreadPool pool(2);
  print_head();
  EXPECT_GE(folders.size(), kNumOutside);
  for (const std::string& folder : folders) check_folder(folder, pool);
}

}  // namespace
}  // namespace slipstream
