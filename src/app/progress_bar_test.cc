#include "app/progress_bar.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

constexpr uint64_t kMega = 1'000'000;

// A bar whose clock stands until it is told to go on.
class ProgressBarTest : public testing::Test {
 protected:
  // The line after so many seconds; "" when none is shown.
  std::string after(double seconds, uint64_t done_mega, uint64_t total_mega, uint32_t columns = 100) {
    now_ns_ += static_cast<uint64_t>(seconds * 1e9);
    return bar_.update(done_mega * kMega, total_mega * kMega, columns).value_or("");
  }

  std::atomic<uint64_t> now_ns_{7'000'000'000};
  ProgressBar bar_{"loading", Clock::manual(&now_ns_)};
};

TEST_F(ProgressBarTest, says_how_much_how_fast_and_how_long) {
  EXPECT_EQ(after(1, 50, 200), "loading [######                   ]  25 %  50 of 200 MB  50 MB/s  3 s left");
  EXPECT_TRUE(bar_.is_open());
  EXPECT_EQ(after(3, 200, 200), "loading [#########################] 100 %  200 of 200 MB  50 MB/s");
  EXPECT_FALSE(bar_.is_open());
}

TEST_F(ProgressBarTest, tokens_are_told_as_tokens) {
  ProgressBar bar("warming", Clock::manual(&now_ns_), ProgressUnit::kTokens);
  now_ns_ += 2'000'000'000;
  EXPECT_EQ(bar.update(500, 2'000, 100),
            "warming [######                   ]  25 %  500 of 2000 tokens  250 tokens/s  6 s left");
}

TEST_F(ProgressBarTest, large_models_are_told_in_gigabytes_and_minutes) {
  EXPECT_EQ(after(1, 100, 17'200),
            "loading [                         ]   0 %  0.1 of 17.2 GB  100 MB/s  2 min 51 s left");
  EXPECT_EQ(after(9, 109, 17'200).substr(59), "2.8 MB/s  1 h 42 min left");
}

TEST_F(ProgressBarTest, before_the_first_byte_no_speed_is_made_up) {
  EXPECT_EQ(after(0, 0, 100), "loading [                         ]   0 %  0 of 100 MB");
  EXPECT_EQ(after(3, 0, 100), "loading [                         ]   0 %  0 of 100 MB");
  EXPECT_EQ(after(3, 60, 100).substr(43), "60 of 100 MB  13 MB/s  4 s left");
}

TEST_F(ProgressBarTest, the_first_second_promises_nothing) {
  EXPECT_EQ(after(0.9, 1, 8'000).substr(36), "  0 %  1 of 8000 MB");
  EXPECT_EQ(after(0.2, 300, 8'000).substr(36), "  3 %  300 of 8000 MB  282 MB/s  28 s left");
}

TEST_F(ProgressBarTest, speed_is_that_of_the_last_seconds) {
  after(1, 1'000, 10'000);
  std::string line;
  for (uint64_t done = 1'010; done <= 1'200; done += 10) line = after(1, done, 10'000);  // 20 s at 10 MB/s
  EXPECT_NE(line.find("  13 MB/s"), std::string::npos) << line;  // on average it was 57
}

TEST_F(ProgressBarTest, one_slow_moment_does_not_throw_the_time_left_about) {
  for (uint64_t done = 100; done <= 1'000; done += 100) after(1, done, 2'000);
  const std::string line = after(1, 1'010, 2'000);
  EXPECT_NE(line.find("  82 MB/s  13 s left"), std::string::npos) << line;
}

TEST_F(ProgressBarTest, is_shown_ten_times_a_second_and_once_at_the_end) {
  EXPECT_NE(after(0, 1, 100), "");
  EXPECT_EQ(after(0.05, 2, 100), "");
  EXPECT_NE(after(0.06, 3, 100), "");
  EXPECT_NE(after(0.01, 100, 100), "");
  EXPECT_EQ(after(5, 100, 100), "");
}

TEST_F(ProgressBarTest, a_small_total_has_decimals_and_none_is_all) {
  EXPECT_EQ(after(1, 1, 4), "loading [######                   ]  25 %  1.0 of 4.0 MB  1.0 MB/s  3 s left");
  ProgressBar nothing("loading", Clock::manual(&now_ns_));
  EXPECT_EQ(nothing.update(0, 0, 100), "loading [#########################] 100 %  0.0 of 0.0 MB");
}

TEST_F(ProgressBarTest, more_than_all_is_all) {
  EXPECT_EQ(after(1, 101, 100), "loading [#########################] 100 %  100 of 100 MB  100 MB/s");
}

TEST_F(ProgressBarTest, a_narrow_terminal_gets_less) {
  const std::string full = "loading [######                   ]  25 %  25 of 100 MB  25 MB/s  3 s left";
  EXPECT_EQ(after(1, 25, 100, 75), full);
  ProgressBar same("loading", Clock::manual(&now_ns_));
  EXPECT_EQ(same.update(0, 100 * kMega, 35), "loading [     ]   0 %  0 of 100 MB");
  const std::pair<uint32_t, std::string> forms[] = {
      {74, "loading [######                  ]  25 %  25 of 100 MB  25 MB/s  3 s left"},
      {55, "loading [#    ]  25 %  25 of 100 MB  25 MB/s  3 s left"},
      {54, "loading  25 %  25 of 100 MB  25 MB/s  3 s left"},
      {47, "loading  25 %  25 of 100 MB  25 MB/s  3 s left"},
      {46, "loading  25 %  25 MB/s  3 s left"},
      {33, "loading  25 %  25 MB/s  3 s left"},
      {32, " 25 %  25 MB/s  3 s left"},
      {10, " 25 %"},
      {0, " 25 %"},
  };
  for (const auto& [columns, line] : forms) {
    std::atomic<uint64_t> now_ns{0};
    ProgressBar bar("loading", Clock::manual(&now_ns));
    now_ns = 1'000'000'000;
    EXPECT_EQ(bar.update(25 * kMega, 100 * kMega, columns), line) << columns;
  }
}

TEST(TerminalProgress, is_empty_where_standard_error_is_no_terminal) {
  testing::internal::CaptureStderr();
  EXPECT_FALSE(terminal_progress("loading"));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace slipstream
