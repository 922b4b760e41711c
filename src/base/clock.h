// Time comes in through the door: whoever needs it is given a Clock. The only place that asks the system for the time.
#pragma once

#include <atomic>
#include <cstdint>

namespace slipstream {

// Nanoseconds since an arbitrary start, never going back. Any thread.
class Clock {
 public:
  static Clock real() { return Clock(nullptr); }
  // Reads *now_ns instead of the system: for tests and simulations. The number must outlive the clock.
  static Clock manual(const std::atomic<uint64_t>* now_ns) { return Clock(now_ns); }

  uint64_t now_ns() const;
  double now_s() const { return static_cast<double>(now_ns()) * 1e-9; }

 private:
  explicit Clock(const std::atomic<uint64_t>* manual) : manual_(manual) {}
  const std::atomic<uint64_t>* manual_;
};

// Seconds since 1970 (OpenAI's `created`, the date in a chat template).
int64_t unix_time_s();
// Nanoseconds since then: for times of files. It may go back.
int64_t unix_time_ns();

}  // namespace slipstream
