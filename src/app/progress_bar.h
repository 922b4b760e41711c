// The line that grows on a terminal while a model is loaded, or prompts are computed before anyone asks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "model/weights.h"

namespace slipstream {

// What is counted.
enum class ProgressUnit : uint8_t { kBytes, kTokens };

class ProgressBar {
 public:
  ProgressBar(std::string label, Clock clock, ProgressUnit unit = ProgressUnit::kBytes);

  // "loading [#########                ]  36 %  35 of 97 MB  120 MB/s  1 s left", in less than `columns` columns: what
  // does not fit is left out, the bar first. Speed is that of the last seconds, and at the end that of the whole; no
  // speed and no time left in the first second. Absent: the line before was shown a moment ago, or it was the last one.
  std::optional<std::string> update(uint64_t done, uint64_t total, uint32_t columns);

  // A line was shown, and it was not the one of the end.
  bool is_open() const { return shown_ && !ended_; }

 private:
  void take_speed(uint64_t done, double now_s);

  const std::string label_;
  const Clock clock_;
  const ProgressUnit unit_;
  const double start_s_;
  bool shown_ = false;
  bool ended_ = false;
  double shown_s_ = 0;        // when a line was shown last
  double last_s_ = 0;         // what was done when, at the last update
  uint64_t last_done_ = 0;
  double recent_done_ = 0;    // both fade with time, so that their quotient is the speed of the last seconds
  double recent_seconds_ = 0;
};

// Draws one on standard error when that is a terminal; else it is empty. The line is ended when all is done, or when
// the last copy of this function goes (loading has failed).
LoadProgress terminal_progress(std::string label, ProgressUnit unit = ProgressUnit::kBytes);

}  // namespace slipstream
