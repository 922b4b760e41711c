#include "engine/row_sampler.h"

#include <algorithm>

#include "sample/logit_rules.h"
#include "sample/sampler.h"

namespace slipstream {
namespace {

constexpr size_t kPlaces = 1 + kMaxTopLogprobs;  // of one row's logprobs

}  // namespace

RowSampler::RowSampler(const Executor& executor, ThreadPool& pool)
    : pool_(pool),
      vocab_size_(executor.vocab_size()),
      scratch_lines_((sampler_scratch_bytes(vocab_size_) + sizeof(CacheLine) - 1) / sizeof(CacheLine)),
      logprobs_(executor.max_logit_rows() * kPlaces),
      scratch_(scratch_lines_ * pool.num_threads()),
      raw_(size_t{vocab_size_} * pool.num_threads()) {
  rows_.reserve(executor.max_logit_rows());
  runs_.reserve(executor.max_logit_rows());
}

std::span<const SampledRow> RowSampler::run(const StepPlan& plan, const Logits& logits) {
  find_rows(plan, logits);
  if (rows_.empty()) return rows_;
  // To whoever is free: a greedy row takes a tenth of what one with top_p or with logprobs does.
  pool_.run_tasks(static_cast<uint32_t>(runs_.size()), [&](uint32_t run, uint32_t thread) {
    work_on(runs_[run], plan.slices()[rows_[runs_[run].first].slice], logits, thread);
  });
  std::erase_if(rows_, [](const SampledRow& row) { return !row.is_known && !row.is_drawn; });
  return rows_;
}

void RowSampler::find_rows(const StepPlan& plan, const Logits& logits) {
  rows_.clear();
  runs_.clear();
  uint32_t row = 0;
  for (uint32_t slice = 0; slice < plan.slices().size(); ++slice) {
    const PlannedSlice& planned = plan.slices()[slice];
    const Sequence& sequence = *planned.sequence;
    const uint32_t first = sequence.num_computed + planned.num_rows - planned.num_logits + 1;
    const auto num_drafts = static_cast<uint32_t>(planned.drafts.size());
    for (uint32_t i = 0; i < planned.num_logits + num_drafts; ++i, ++row) {
      if (logits.slice_finite[slice] == 0) continue;
      const bool is_known = first + i < sequence.num_tokens();
      if (!is_known && sequence.output.max_tokens() == 0) continue;
      if (first + i <= sequence.num_tokens()) runs_.push_back({static_cast<uint32_t>(rows_.size()), 0});
      ++runs_.back().num_rows;
      rows_.push_back({slice, row, first + i, is_known, false, is_known ? sequence.tokens[first + i] : 0, {}});
    }
  }
}

void RowSampler::work_on(const Run& run, const PlannedSlice& slice, const Logits& logits, uint32_t thread) {
  Sequence& sequence = *slice.sequence;
  for (uint32_t i = 0; i < run.num_rows; ++i) {
    SampledRow& row = rows_[run.first + i];
    const std::span of_row = logits.rows.span(row.row);
    if (row.is_known) {
      score(row, sequence.output, of_row);
      continue;
    }
    draw(row, sequence, of_row, i, thread);
    if (i < slice.drafts.size() && row.token != slice.drafts[i]) return;
  }
}

// num_before: tokens of its answer that were drawn before it in this step.
void RowSampler::draw(SampledRow& row, Sequence& sequence, std::span<float> logits, uint32_t num_before,
                      uint32_t thread) {
  const Output& output = sequence.output;
  const bool may_end = output.may_end(num_before);
  std::span<const float> raw = logits;
  if (output.num_logprobs() > 0 && (bends_logits(sequence.sampling, sequence.counts) || !may_end)) {
    float* const copy = raw_.data() + size_t{thread} * vocab_size_;
    std::ranges::copy(logits, copy);
    raw = {copy, vocab_size_};
  }
  apply_logit_rules(logits, sequence.sampling, sequence.counts);
  if (!may_end) {
    ban_tokens(logits, output.eos_tokens());
    ban_tokens(logits, output.stop_tokens());
  }
  const DrawPosition where{.position = row.position, .choice = sequence.choice};
  const auto scratch = std::as_writable_bytes(std::span(scratch_).subspan(thread * scratch_lines_, scratch_lines_));
  row.token = sample_token(logits, sequence.sampling, where, scratch);
  row.is_drawn = true;
  sequence.counts.add_output(row.token);
  score(row, output, raw);
}

// From the logits as the model gave them.
void RowSampler::score(SampledRow& row, const Output& output, std::span<const float> logits) {
  if (output.num_logprobs() == 0) return;
  const std::span places = std::span(logprobs_).subspan(row.row * kPlaces, output.num_logprobs());
  find_logprobs(logits, row.token, places);
  row.logprobs = places;
}

}  // namespace slipstream
