// How many tokens a step may compute so that it takes about max_step_ms: learned from the steps before. Only time
// depends on it, never an answer's bits (P1).
#pragma once

#include <cstdint>

namespace slipstream {

class StepBudget {
 public:
  // max_step_ms <= 0: always max_rows.
  StepBudget(double max_step_ms, uint32_t max_rows);

  // Tokens for the next step when num_answers sequences want one token each; in [1, max_rows].
  uint32_t rows(uint32_t num_answers) const;
  // A step of `num_rows`, of which num_answers belonged to answers being written, took step_ms.
  void learn(uint32_t num_rows, uint32_t num_answers, double step_ms);

 private:
  const double max_step_ms_;
  const uint32_t max_rows_;
  double answers_ms_ = 0;         // what a step costs without any prompt: reading the weights
  double ms_per_prompt_row_ = 0;  // what each prompt row adds
  uint32_t most_prompt_rows_ = 0; // tried so far
};

}  // namespace slipstream
