#include "engine/draft_budget.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace slipstream {
namespace {

// A context grows, another program slows the machine down: what was learned so many steps ago is tried anew.
constexpr uint64_t kStepsKnown = 256;
// What a row is thought to cost that was never tried, of the share of those before: half, between rows that cost
// nothing (where weights are read) and rows that cost all (where they are multiplied). But not less than those that
// were tried.
constexpr double kGuessedShare = 0.5;

}  // namespace

DraftBudget::DraftBudget(uint32_t most_rows, double allowance) : allowance_(allowance), costs_(most_rows + 1) {}

uint32_t DraftBudget::choose(const Asked& asked) const {
  const auto [num_answers, num_rows, chance, most, credit_ms] = asked;
  if (std::isinf(allowance_)) return chance > 0 ? most : 0;
  if (num_rows >= costs_.size() || !is_known(num_answers)) return 0;
  const double plain_ms = costs_[num_answers].step_ms;
  const double before_ms = step_ms(num_rows, num_answers);
  const auto last = std::min(most, static_cast<uint32_t>(costs_.size()) - 1 - num_rows);
  uint32_t best = 0;
  double best_gain_ms = 0;
  double likely = 1;
  double num_expected = 0;
  for (uint32_t drafts = 1; drafts <= last; ++drafts) {
    likely *= chance;
    num_expected += likely;
    const double with_ms = step_ms(num_rows + drafts, num_answers);
    if (with_ms - plain_ms > credit_ms) continue;
    const double gain_ms = num_expected * plain_ms - num_answers * (with_ms - before_ms);
    if (gain_ms <= best_gain_ms) continue;
    best = drafts;
    best_gain_ms = gain_ms;
  }
  return best;
}

// num_answers: rows of a step that is known. More rows take no less time.
double DraftBudget::step_ms(uint32_t num_rows, uint32_t num_answers) const {
  if (is_known(num_rows)) return costs_[num_rows].step_ms;
  uint32_t fewer = num_rows;
  while (!is_known(fewer)) --fewer;
  const double fewer_ms = costs_[fewer].step_ms;
  double row_ms = kGuessedShare * fewer_ms / fewer;
  if (fewer > num_answers) row_ms = std::max(row_ms, (fewer_ms - costs_[num_answers].step_ms) / (fewer - num_answers));
  const double guess_ms = fewer_ms + row_ms * (num_rows - fewer);
  uint32_t more = num_rows + 1;
  while (more < costs_.size() && !is_known(more)) ++more;
  return more == costs_.size() ? guess_ms : std::min(guess_ms, std::max(costs_[more].step_ms, fewer_ms));
}

void DraftBudget::learn(uint32_t num_rows, double step_ms) {
  // The median: where another program takes a processor for a moment, a step takes twice its time. A mean would take
  // that for the cost of rows, or for that of a step without drafts, beside which they then seem to be free.
  Cost& cost = costs_[num_rows];
  cost.newest_ms[cost.num_ms++ % cost.newest_ms.size()] = step_ms;
  std::array<double, 9> sorted = cost.newest_ms;
  const auto end = sorted.begin() + std::min<size_t>(cost.num_ms, sorted.size());
  const auto middle = sorted.begin() + (end - sorted.begin() - 1) / 2;
  std::nth_element(sorted.begin(), middle, end);
  cost.step_ms = *middle;
  cost.known_until = ++num_learned_ + kStepsKnown;
}

void DraftBudget::settle(const StepPlan& plan, std::span<const Sample> samples, double step_ms) {
  const auto num_answers = static_cast<uint32_t>(plan.slices().size());
  const uint32_t num_rows = plan.num_rows();
  const bool has_prompt = num_rows - plan.num_drafts() > num_answers;
  if (!has_prompt && num_rows < costs_.size()) learn(num_rows, step_ms);
  const bool has_drafts = plan.num_drafts() > 0;
  const double plain_ms = has_drafts ? costs_[num_answers].step_ms : step_ms;
  // What rows were thought to cost may have been learned while memory was faster: then they seem to be free.
  const double lost_ms = has_drafts ? std::max({0.0, costs_[num_rows].step_ms - plain_ms, step_ms - plain_ms}) : 0;
  for (size_t index = 0; index < samples.size(); ++index) {
    const size_t num_tokens = samples[index].tokens.size();
    const double num_saved = num_tokens > 1 ? static_cast<double>(num_tokens - 1) : 0;
    plan.slices()[index].sequence->draft_credit_ms += (allowance_ + num_saved) * plain_ms - lost_ms;
  }
}

}  // namespace slipstream
