// How many guessed tokens (drafts) a step of answers may verify. Each is a row more, which takes everyone time, and
// saves its own answer a step if it turns out right. What a row costs is learned from steps; what it may cost is this:
// no request loses more than kDraftAllowance of its time, be it by drafts of its own or by others'.
//
// The books: each sequence has a credit in milliseconds. A step gives everyone in it the allowance of the time that it
// takes without drafts; what the drafts took longer is taken from everyone; a draft that was right gives its sequence
// the time of the step it saved. Nobody's drafts may take what somebody running has no credit for.
//
// Engine thread. All memory is taken at construction.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/step_plan.h"

namespace slipstream {

// A little less than the 2 % that are promised: estimates are not exact.
inline constexpr double kDraftAllowance = 1.0 / 64;
// Of one answer in one step: with that many rows a step is limited by arithmetic on any processor, and each further one
// costs what it may save.
inline constexpr uint32_t kMaxDrafts = 15;

class DraftBudget {
 public:
  // most_rows: of a step that is learned from. allowance: infinity gives each guess its drafts, whatever they cost, for
  // checks of what comes of them.
  DraftBudget(uint32_t most_rows, double allowance);

  struct Asked {
    uint32_t num_answers = 0;  // of the step: a row each
    uint32_t num_rows = 0;     // of the step so far: those and others' drafts
    double chance = 0;         // that a draft is right, if the one before is
    uint32_t most = 0;         // drafts
    double credit_ms = 0;      // the least that anybody has who runs
  };
  // Drafts for one more sequence of the step: as many as pay best for all together. None while it is not known what the
  // step takes without.
  uint32_t choose(const Asked& asked) const;

  // A step is over: learns what it took and brings its sequences' credits up to date.
  void settle(const StepPlan& plan, std::span<const Sample> samples, double step_ms);

 private:
  struct Cost {
    std::array<double, 9> newest_ms = {};
    uint32_t num_ms = 0;       // so far
    double step_ms = 0;        // their median
    uint64_t known_until = 0;  // num_learned_
  };
  bool is_known(uint32_t num_rows) const { return costs_[num_rows].known_until > num_learned_; }
  double step_ms(uint32_t num_rows, uint32_t num_answers) const;
  void learn(uint32_t num_rows, double step_ms);

  const double allowance_;
  std::vector<Cost> costs_;  // [rows]
  uint64_t num_learned_ = 0;
};

}  // namespace slipstream
