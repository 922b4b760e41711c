#include "engine/step_plan.h"

#include "base/check.h"

namespace slipstream {

StepPlan::StepPlan(const StepLimits& limits) {
  slices_.reserve(limits.max_slices);
  step_slices_.reserve(limits.max_slices);
  copies_.reserve(limits.max_slices);
  tokens_.reserve(limits.max_rows);
  drafts_.reserve(limits.max_rows);
  block_tables_.reserve(size_t{limits.max_slices} * limits.max_blocks_per_slice);
}

void StepPlan::clear() {
  num_rows_ = 0;
  drafts_.clear();
  slices_.clear();
  step_slices_.clear();
  tokens_.clear();
  block_tables_.clear();
  copies_.clear();
}

void StepPlan::add(Sequence& sequence, uint32_t num_rows, uint32_t num_logits) {
  CHECK(num_rows >= 1 && num_rows <= sequence.pending(), "{} rows of {} pending", num_rows, sequence.pending());
  slices_.push_back({&sequence, num_rows, num_logits, {}});
  num_rows_ += num_rows;
}

std::span<TokenId> StepPlan::add_drafts(uint32_t slice, uint32_t num_drafts) {
  CHECK(num_rows_ + num_drafts <= drafts_.capacity(), "{} drafts beside {} rows", num_drafts, num_rows_);
  const size_t first = drafts_.size();
  drafts_.resize(first + num_drafts);
  num_rows_ += num_drafts;
  return slices_[slice].drafts = std::span(drafts_).subspan(first);
}

void StepPlan::lay_out() {
  for (const auto& [sequence, num_rows, num_logits, drafts] : slices_) {
    const auto num_drafts = static_cast<uint32_t>(drafts.size());
    step_slices_.push_back({.first_row = static_cast<uint32_t>(tokens_.size()),
                            .num_rows = num_rows + num_drafts,
                            .first_position = sequence->num_computed,
                            .first_block = static_cast<uint32_t>(block_tables_.size()),
                            .num_blocks = static_cast<uint32_t>(sequence->table.size()),
                            .num_logits = num_logits + num_drafts});
    const auto first = sequence->tokens.begin() + sequence->num_computed;
    tokens_.insert(tokens_.end(), first, first + num_rows);
    tokens_.insert(tokens_.end(), drafts.begin(), drafts.end());
    block_tables_.insert(block_tables_.end(), sequence->table.begin(), sequence->table.end());
  }
}

void StepPlan::add_copy(const BlockCopy& copy) {
  CHECK(copies_.size() < copies_.capacity(), "more than {} copies in a step", copies_.size());
  copies_.push_back(copy);
}

StepInput StepPlan::input() const {
  return {.tokens = tokens_, .slices = step_slices_, .block_tables = block_tables_, .copies = copies_};
}

}  // namespace slipstream
