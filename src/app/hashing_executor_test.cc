#include "app/hashing_executor.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace slipstream {
namespace {

// Two logits a row: its token, and a number that a test may change.
class TokenExecutor final : public Executor {
 public:
  Logits run(const StepInput& input) override {
    logits_.clear();
    for (const StepSlice& slice : input.slices) {
      const uint32_t end = slice.first_row + slice.num_rows;
      for (uint32_t row = end - slice.num_logits; row < end; ++row) {
        logits_.push_back(static_cast<float>(input.tokens[row]));
        logits_.push_back(noise);
      }
    }
    return {{logits_.data(), static_cast<uint32_t>(logits_.size() / 2), 2, 2}, {}};
  }
  uint32_t vocab_size() const override { return 2; }
  uint32_t max_rows() const override { return 16; }
  uint32_t max_slices() const override { return 4; }
  uint32_t max_logit_rows() const override { return 16; }
  size_t block_bytes() const override { return 1; }
  void save_block(BlockId block, std::span<std::byte> into) const override { into[0] = kept[block]; }
  void load_block(BlockId block, std::span<const std::byte> from) override { kept[block] = from[0]; }

  float noise = 0;
  std::byte kept[4] = {};  // of each block

 private:
  std::vector<float> logits_;
};

constexpr uint32_t kBlocks = 4;
constexpr uint32_t kBlockTokens = 4;
const std::vector<TokenId> kWatched{5, 6, 7};

// The logits that whoever asked is given: each row's token.
std::vector<float> tokens_of(const Logits& logits) {
  std::vector<float> tokens;
  for (uint32_t row = 0; row < logits.rows.rows; ++row) tokens.push_back(logits.rows.row(row)[0]);
  return tokens;
}

size_t num_known(const HashingExecutor& executor, const std::vector<TokenId>& tokens) {
  const auto hashes = executor.hashes_of(tokens);
  return static_cast<size_t>(std::ranges::count_if(hashes, [](const auto& hash) { return hash.has_value(); }));
}

TEST(HashingExecutor, hashes_all_rows_of_the_watched_one_and_gives_those_that_were_asked_for) {
  TokenExecutor inner;
  HashingExecutor executor(inner, kBlocks, kBlockTokens);
  executor.watch(kWatched);
  const std::vector<TokenId> tokens{9, 8, 5, 6, 7};
  const std::vector<StepSlice> slices{{0, 2, 0, 0, 1, 1}, {2, 3, 0, 1, 1, 1}};
  const std::vector<BlockId> tables{0, 1};
  EXPECT_EQ(tokens_of(executor.run({tokens, slices, tables, {}})), (std::vector<float>{8, 7}));
  EXPECT_EQ(num_known(executor, kWatched), 3u);
  EXPECT_EQ(num_known(executor, {9, 8}), 1u);  // the one that was asked for
  EXPECT_EQ(executor.num_conflicts(), 0u);
}

TEST(HashingExecutor, other_logits_of_the_same_tokens_are_a_conflict) {
  TokenExecutor inner;
  HashingExecutor executor(inner, kBlocks, kBlockTokens);
  executor.watch(kWatched);
  const std::vector<StepSlice> slices{{0, 3, 0, 0, 1, 1}};
  const std::vector<BlockId> here{0};
  const std::vector<BlockId> there{2};
  executor.run({kWatched, slices, here, {}});
  executor.run({kWatched, slices, there, {}});
  EXPECT_EQ(executor.num_conflicts(), 0u);
  inner.noise = 1;
  executor.run({kWatched, slices, there, {}});
  EXPECT_EQ(executor.num_conflicts(), 3u);
}

TEST(HashingExecutor, keeps_what_a_block_stands_for_with_its_bytes) {
  TokenExecutor inner;
  HashingExecutor executor(inner, kBlocks, kBlockTokens);
  const std::vector<StepSlice> begin{{0, 3, 0, 0, 1, 1}};
  const std::vector<BlockId> first{0};
  executor.run({kWatched, begin, first, {}});
  inner.kept[0] = std::byte{77};
  std::vector<std::byte> saved(executor.block_bytes());
  executor.save_block(0, saved);
  executor.load_block(3, saved);
  EXPECT_EQ(inner.kept[3], std::byte{77});
  const std::vector<TokenId> next{1};
  const std::vector<StepSlice> after_three{{0, 1, 3, 0, 1, 1}};
  const std::vector<BlockId> second{3};
  executor.run({next, after_three, second, {}});
  EXPECT_EQ(num_known(executor, {5, 6, 7, 1}), 2u) << "of the last of three, and of the one after";
}

TEST(HashingExecutor, knows_a_row_by_what_its_blocks_hold_copies_too) {
  TokenExecutor inner;
  HashingExecutor executor(inner, kBlocks, kBlockTokens);
  const std::vector<StepSlice> begin{{0, 3, 0, 0, 1, 1}};
  const std::vector<BlockId> first{0};
  executor.run({kWatched, begin, first, {}});
  const std::vector<TokenId> next{1};
  const std::vector<StepSlice> after_two{{0, 1, 2, 0, 1, 1}};
  const std::vector<BlockId> second{3};
  const std::vector<BlockCopy> copies{{0, 3, 2}};
  executor.run({next, after_two, second, copies});
  EXPECT_EQ(num_known(executor, {5, 6, 1}), 1u);
  const std::vector<BlockId> wrong{2};  // nothing was computed into it
  executor.run({next, after_two, wrong, {}});
  EXPECT_EQ(num_known(executor, {5, 6, 1}), 1u);
  EXPECT_EQ(executor.num_conflicts(), 0u);
}

}  // namespace
}  // namespace slipstream
