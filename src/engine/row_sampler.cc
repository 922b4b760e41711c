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
}

std::span<const SampledRow> RowSampler::run(const StepPlan& plan, const Logits& logits) {
  find_rows(plan, logits);
  if (rows_.empty()) return rows_;
  pool_.run([&](uint32_t thread) {
    const Range range = split(static_cast<uint32_t>(rows_.size()), thread, pool_.num_threads());
    for (uint32_t i = range.begin; i < range.end; ++i) {
      work_on(rows_[i], *plan.slices()[rows_[i].slice].sequence, logits.rows.span(rows_[i].row), thread);
    }
  });
  return rows_;
}

void RowSampler::find_rows(const StepPlan& plan, const Logits& logits) {
  rows_.clear();
  uint32_t row = 0;
  for (uint32_t slice = 0; slice < plan.slices().size(); ++slice) {
    const PlannedSlice& planned = plan.slices()[slice];
    const Sequence& sequence = *planned.sequence;
    const uint32_t first = sequence.num_computed + planned.num_rows - planned.num_logits + 1;
    for (uint32_t i = 0; i < planned.num_logits; ++i, ++row) {
      if (logits.slice_finite[slice] == 0) continue;
      const bool is_known = first + i < sequence.num_tokens();
      if (!is_known && sequence.output.max_tokens() == 0) continue;
      rows_.push_back({slice, row, first + i, is_known, is_known ? sequence.tokens[first + i] : 0, {}});
    }
  }
}

void RowSampler::work_on(SampledRow& row, const Sequence& sequence, std::span<float> logits, uint32_t thread) {
  const Output& output = sequence.output;
  const bool has_logprobs = output.num_logprobs() > 0;
  const std::span raw(raw_.data() + size_t{thread} * vocab_size_, vocab_size_);
  if (!row.is_known) {
    if (has_logprobs) std::ranges::copy(logits, raw.begin());
    apply_logit_rules(logits, sequence.sampling, sequence.counts);
    if (!output.may_end()) {
      ban_tokens(logits, output.eos_tokens());
      ban_tokens(logits, output.stop_tokens());
    }
    const DrawPosition where{.position = row.position, .choice = sequence.choice};
    const auto scratch = std::as_writable_bytes(std::span(scratch_).subspan(thread * scratch_lines_, scratch_lines_));
    row.token = sample_token(logits, sequence.sampling, where, scratch);
  }
  if (!has_logprobs) return;
  const std::span places = std::span(logprobs_).subspan(row.row * kPlaces, output.num_logprobs());
  find_logprobs(row.is_known ? std::span<const float>(logits) : raw, row.token, places);
  row.logprobs = places;
}

}  // namespace slipstream
