#include "base/clock.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

TEST(Clock, real_time_never_goes_back) {
  const Clock clock = Clock::real();
  uint64_t last = clock.now_ns();
  for (int i = 0; i < 1000; ++i) {
    const uint64_t now = clock.now_ns();
    EXPECT_GE(now, last);
    last = now;
  }
  EXPECT_GT(unix_time_s(), 1'700'000'000);
}

TEST(Clock, manual_time_is_the_number_it_was_given) {
  std::atomic<uint64_t> now_ns{1'500'000'000};
  const Clock clock = Clock::manual(&now_ns);
  EXPECT_EQ(clock.now_ns(), 1'500'000'000u);
  EXPECT_EQ(clock.now_s(), 1.5);
  now_ns = 7;
  EXPECT_EQ(clock.now_ns(), 7u);
}

}  // namespace
}  // namespace slipstream
