// P3: numbers that are not finite end their own slice and nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/memory.h"
#include "golden/model_runs.h"
#include "golden/oracle.h"
#include "kernels/packed_matrix.h"

namespace slipstream {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr TokenId kPoison = 13;  // the token whose embedding is spoiled

// `matrix` widened to fp32 and packed again, with all of row `row` set to `value`.
PackedMatrix spoiled(const PackedMatrix& matrix, uint32_t row, float value, Arena& memory) {
  PackedMatrix made{{.type = WeightType::kFp32, .bits = 32}, matrix.rows, matrix.cols, nullptr};
  memory = std::move(Arena::make(packed_bytes(made.format, made.rows, made.cols)).value());
  std::vector<std::vector<float>> rows(kPanelRows, std::vector<float>(matrix.cols));
  for (uint32_t panel = 0; panel < made.num_panels(); ++panel) {
    PanelSource source;
    for (uint32_t index = panel * kPanelRows; index < matrix.rows && source.num_rows < kPanelRows; ++index) {
      std::vector<float>& widened = rows[source.num_rows];
      unpack_row(matrix, index, widened.data());
      if (index == row) std::fill(widened.begin(), widened.end(), value);
      source.values[source.num_rows++] = widened.data();
    }
    pack_panel(made.format, made.cols, source, memory.data() + panel * packed_panel_bytes(made.format, made.cols));
  }
  made.data = memory.data();
  return made;
}

class Poison : public testing::TestWithParam<std::tuple<Isa, ActivationMode, const char*>> {
 protected:
  void SetUp() override {
    if (!isa_supported(isa())) GTEST_SKIP() << "SKIPPED " << isa_name(isa());
    auto loaded = load_model(std::string(SLIPSTREAM_TEST_DATA) + "/oracle/" + std::get<2>(GetParam()), pool_);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    model_ = std::make_unique<LoadedModel>(std::move(loaded.value()));
    // Eight sequences of 40 tokens, none of them kPoison.
    for (uint32_t prompt = 0; prompt < 8; ++prompt) {
      prompts_.emplace_back();
      for (uint32_t token = 0; token < 40; ++token) prompts_.back().push_back(20 + (prompt * 101 + token * 37) % 300);
    }
  }
  Isa isa() const { return std::get<0>(GetParam()); }
  RunSetting setting() const {
    return {.isa = isa(), .activations = std::get<1>(GetParam()), .together = true, .block_tokens = 16};
  }

  // One step with the last token of every prompt (all others are in the cache), as in decoding; `last` replaces one of
  // them.
  struct Step {
    std::vector<std::vector<float>> logits;  // [8]
    std::vector<uint8_t> finite;
  };
  Step decode_with(TokenId last, uint32_t victim) {
    Prompts begun;
    for (const auto& prompt : prompts_) begun.emplace_back(prompt.begin(), prompt.end() - 1);
    RunningPrompts run = make_run(*model_, pool_, prompts_, setting());
    PromptRun prefill(*run.executor, begun, run.options);
    while (!prefill.step().empty()) {
    }
    std::vector<TokenId> tokens;
    std::vector<StepSlice> slices;
    std::vector<BlockId> tables;
    const uint32_t blocks = 3;  // of 16 tokens, for 40; PromptRun has handed them out in order
    for (uint32_t prompt = 0; prompt < 8; ++prompt) {
      tokens.push_back(prompt == victim ? last : prompts_[prompt].back());
      slices.push_back({prompt, 1, 39, prompt * blocks, blocks, 1});
      for (uint32_t block = 0; block < blocks; ++block) tables.push_back(prompt * blocks + block);
    }
    const Logits logits = run.executor->run({tokens, slices, tables, {}});
    Step step;
    for (uint32_t row = 0; row < 8; ++row)
      step.logits.emplace_back(logits.rows.row(row), logits.rows.row(row) + logits.rows.cols);
    step.finite.assign(logits.slice_finite.begin(), logits.slice_finite.end());
    return step;
  }

  void expect_only_victim_ends(float value) {
    Arena memory;
    const PackedMatrix healthy = model_->weights.embedding;
    const Step before = decode_with(prompts_[3].back(), 3);
    EXPECT_EQ(before.finite, std::vector<uint8_t>(8, 1));
    model_->weights.embedding = spoiled(healthy, kPoison, value, memory);
    const Step after = decode_with(kPoison, 3);
    model_->weights.embedding = healthy;
    for (uint32_t row = 0; row < 8; ++row) {
      EXPECT_EQ(after.finite[row], row == 3 ? 0 : 1) << "row " << row;
      if (row == 3) continue;
      EXPECT_EQ(
          std::memcmp(after.logits[row].data(), before.logits[row].data(), before.logits[row].size() * sizeof(float)),
          0)
          << "row " << row;
    }
  }

  ThreadPool pool_{2};
  std::unique_ptr<LoadedModel> model_;
  Prompts prompts_;
};

TEST_P(Poison, a_nan_in_one_row_of_eight_ends_its_slice_and_leaves_the_others_bits) { expect_only_victim_ends(kNan); }

TEST_P(Poison, an_infinity_in_one_row_of_eight_ends_its_slice_and_leaves_the_others_bits) {
  expect_only_victim_ends(-kInf);
}

// Finite, but its sum of squares is not.
TEST_P(Poison, an_overflow_in_one_row_of_eight_ends_its_slice_and_leaves_the_others_bits) {
  expect_only_victim_ends(1e30f);
}

TEST_P(Poison, a_nan_in_the_middle_of_a_prompt_ends_its_slice_and_leaves_the_others_bits) {
  const auto before = all_logits(*model_, pool_, prompts_, setting());
  Arena memory;
  const PackedMatrix healthy = model_->weights.embedding;
  model_->weights.embedding = spoiled(healthy, kPoison, kNan, memory);
  Prompts prompts = prompts_;
  prompts[5][20] = kPoison;
  const RunningPrompts running = make_run(*model_, pool_, prompts, setting());
  PromptRun run(*running.executor, prompts, running.options);
  uint32_t num_seen = 0;
  for (const PromptRows& rows : run.step()) {
    ++num_seen;
    EXPECT_EQ(rows.finite, rows.prompt != 5);
    if (rows.prompt == 5) continue;
    for (uint32_t row = 0; row < rows.logits.rows; ++row) {
      const float* expected = before[rows.prompt].data() + size_t{row} * rows.logits.cols;
      EXPECT_EQ(std::memcmp(rows.logits.row(row), expected, rows.logits.cols * sizeof(float)), 0)
          << rows.prompt << " " << row;
    }
  }
  EXPECT_EQ(num_seen, 8u);
  model_->weights.embedding = healthy;
}

// The last place where a number can break: the logits themselves.
TEST_P(Poison, a_logit_that_is_not_finite_ends_its_slice) {
  Arena memory;
  const PackedMatrix healthy = model_->weights.lm_head;
  model_->weights.lm_head = spoiled(healthy, 317, kInf, memory);
  const Step step = decode_with(prompts_[3].back(), 3);
  model_->weights.lm_head = healthy;
  EXPECT_EQ(step.finite, std::vector<uint8_t>(8, 0));  // the same row of lm_head for everybody
}

// Blocks come back from a request that was all NaN; their next owner reads only what it wrote itself.
TEST_P(Poison, stale_numbers_in_a_block_reach_nobody) {
  const auto expected = all_logits(*model_, pool_, prompts_, setting());
  RunningPrompts running = make_run(*model_, pool_, prompts_, setting());
  Arena memory;
  const PackedMatrix healthy = model_->weights.layers[0].v;
  model_->weights.layers[0].v = spoiled(healthy, 5, kNan, memory);  // dimension 5 of every V is NaN
  PromptRun poisoned(*running.executor, prompts_, running.options);
  for (const PromptRows& rows : poisoned.step()) EXPECT_FALSE(rows.finite);
  model_->weights.layers[0].v = healthy;

  PromptRunOptions chunked = running.options;
  chunked.chunk_tokens = 7;  // so that pages are read while they still have stale slots
  PromptRun clean(*running.executor, prompts_, chunked);
  for (auto step = clean.step(); !step.empty(); step = clean.step()) {
    for (const PromptRows& rows : step) {
      EXPECT_TRUE(rows.finite);
      for (uint32_t row = 0; row < rows.logits.rows; ++row) {
        const float* logits = expected[rows.prompt].data() + size_t{rows.first_token + row} * rows.logits.cols;
        EXPECT_EQ(std::memcmp(rows.logits.row(row), logits, rows.logits.cols * sizeof(float)), 0)
            << rows.prompt << " " << row;
      }
    }
  }
}

// Untied: else the spoiled embedding would be a spoiled row of lm_head, and
// everybody's logit. With experts, rows of several sequences are multiplied
// together.
INSTANTIATE_TEST_SUITE_P(Everywhere, Poison,
                         testing::Combine(testing::ValuesIn(kAllIsas),
                                          testing::Values(ActivationMode::kInt16, ActivationMode::kF32),
                                          testing::Values("llama-untied-bf16", "qwen3-moe-mlx-4bit-g64-mixed")),
                         [](const auto& setting) {
                           std::string name(isa_name(std::get<0>(setting.param)));
                           std::replace(name.begin(), name.end(), '-', '_');  // which a test's name may not have
                           return fmt::format("{}_{}_{}", name,
                                              std::get<1>(setting.param) == ActivationMode::kF32 ? "f32" : "int16",
                                              std::get<2>(setting.param)[0] == 'l' ? "dense" : "experts");
                         });

}  // namespace
}  // namespace slipstream
