#include "engine/step_budget.h"

#include <algorithm>

namespace slipstream {
namespace {

// Eight rows cost little more than one: the weights are read once for all of them (PERFORMANCE.md). A prompt never
// gets less.
constexpr uint32_t kFewestPromptRows = 8;
constexpr uint32_t kFirstPromptRows = 64;
// One step's time is noisy, and the cost of a row grows slowly with its context: a quarter of the newest.
constexpr double kNewest = 0.25;

void blend(double& average, double newest) { average = average == 0 ? newest : average + kNewest * (newest - average); }

}  // namespace

StepBudget::StepBudget(double max_step_ms, uint32_t max_rows) : max_step_ms_(max_step_ms), max_rows_(max_rows) {}

uint32_t StepBudget::rows(uint32_t num_answers) const {
  if (max_step_ms_ <= 0) return max_rows_;
  // Where the answers alone take the time, a prompt adds half of that again: it must get on as well.
  const double left_ms = std::max(max_step_ms_ - answers_ms_, answers_ms_ / 2);
  // Not more than four times what was ever tried: the first estimates come from few rows.
  double prompt_rows = most_prompt_rows_ == 0 ? kFirstPromptRows : 4.0 * most_prompt_rows_;
  if (ms_per_prompt_row_ > 0) prompt_rows = std::min(prompt_rows, left_ms / ms_per_prompt_row_);
  const double all = num_answers + std::max<double>(kFewestPromptRows, prompt_rows);
  return static_cast<uint32_t>(std::min<double>(max_rows_, all));
}

void StepBudget::learn(uint32_t num_rows, uint32_t num_answers, double step_ms) {
  const uint32_t prompt_rows = num_rows - num_answers;
  if (prompt_rows == 0) return blend(answers_ms_, step_ms);
  if (prompt_rows < kFewestPromptRows && most_prompt_rows_ >= kFewestPromptRows) return;  // says little about a row
  most_prompt_rows_ = std::max(most_prompt_rows_, prompt_rows);
  blend(ms_per_prompt_row_, std::max(0.0, step_ms - answers_ms_) / prompt_rows);
}

}  // namespace slipstream
