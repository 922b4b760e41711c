// For this room's tests: a model that says the number after the last one, and writes down what it was given.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <vector>

#include "engine/text_stream.h"
#include "model/executor.h"
#include "text/token_table.h"

namespace slipstream {

class CountingExecutor final : public Executor {
 public:
  explicit CountingExecutor(uint32_t vocab_size)
      : vocab_size_(vocab_size), logits_(size_t{max_logit_rows()} * vocab_size) {}

  Logits run(const StepInput& input) override {
    ++num_runs;
    if (leaving_in_run != nullptr) leaving_in_run->reset();
    slices.assign(input.slices.begin(), input.slices.end());
    finite_.assign(input.slices.size(), 1);
    if (failing_slice) finite_[*failing_slice] = 0;
    uint32_t num_logits = 0;
    for (const StepSlice& slice : input.slices) {
      const uint32_t end = slice.first_row + slice.num_rows;
      for (uint32_t i = end - slice.num_logits; i < end; ++i) {
        float* row = &logits_[size_t{num_logits++} * vocab_size_];
        std::fill_n(row, vocab_size_, 0.0f);
        const uint32_t position = slice.first_position + i - slice.first_row;
        const uint32_t step = astray_every > 0 && position % astray_every == 0 ? 2 + position / astray_every % 5 : 1;
        row[(input.tokens[i] + step) % vocab_size_] = 1000.0f;
      }
    }
    if (clock_ns != nullptr) clock_ns->fetch_add(ns_per_step + 1'000'000 * input.tokens.size());
    return {{logits_.data(), num_logits, vocab_size_, vocab_size_}, finite_};
  }
  uint32_t vocab_size() const override { return vocab_size_; }
  uint32_t max_rows() const override { return 4096; }
  uint32_t max_slices() const override { return 64; }
  uint32_t max_logit_rows() const override { return 64 + 5; }
  // It keeps no K and V, so a block is what it says here.
  size_t block_bytes() const override { return sizeof(uint64_t); }
  void save_block(BlockId block, std::span<std::byte> into) const override {
    std::memcpy(into.data(), &blocks[block], sizeof(uint64_t));
  }
  void load_block(BlockId block, std::span<const std::byte> from) override {
    std::memcpy(&blocks[block], from.data(), sizeof(uint64_t));
    loaded.push_back(block);
  }

  uint64_t num_runs = 0;
  std::vector<uint64_t> blocks = std::vector<uint64_t>(64);
  std::vector<BlockId> loaded;
  std::vector<StepSlice> slices;               // of the last run
  std::optional<uint32_t> failing_slice;       // not finite, in every run
  std::atomic<uint64_t>* clock_ns = nullptr;   // a row takes a millisecond of it
  uint64_t ns_per_step = 0;                    // and a step so much
  uint32_t astray_every = 0;                   // at every so many positions it says another number; 0: never
  std::optional<TextStream>* leaving_in_run = nullptr;  // a reader that goes away in the middle of a step

 private:
  const uint32_t vocab_size_;
  std::vector<float> logits_;
  std::vector<uint8_t> finite_;
};

// Token t is the letter 'a' + t.
inline TokenTable letter_table(uint32_t vocab_size) {
  TokenTable table;
  for (uint32_t token = 0; token < vocab_size; ++token) {
    table.begins.push_back(token);
    table.bytes.push_back(static_cast<char>('a' + token));
    table.special.push_back(0);
  }
  table.begins.push_back(vocab_size);
  table.longest = 1;
  return table;
}

}  // namespace slipstream
