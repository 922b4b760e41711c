#include "base/clock.h"

#include <chrono>

namespace slipstream {

uint64_t Clock::now_ns() const {
  if (manual_ != nullptr) return manual_->load(std::memory_order_relaxed);
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

int64_t unix_time_s() {
  return std::chrono::system_clock::now().time_since_epoch() / std::chrono::seconds(1);
}

int64_t unix_time_ns() {
  return std::chrono::system_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

}  // namespace slipstream
