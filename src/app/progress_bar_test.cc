#include "app/progress_bar.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

TEST(ProgressBar, says_how_much_how_fast_and_how_long) {
  EXPECT_EQ(progress_line("loading", 25'000'000, 100'000'000, 0.5),
            "loading [######                   ]  25 %  25 of 100 MB  50 MB/s  2 s left");
  EXPECT_EQ(progress_line("loading", 10'000'000, 10'000'000'000, 1.0),
            "loading [                         ]   0 %  10 of 10000 MB  10 MB/s  16 min 39 s left");
  EXPECT_EQ(progress_line("loading", 100'000'000, 100'000'000, 2.0),
            "loading [#########################] 100 %  100 of 100 MB  50 MB/s");
}

TEST(ProgressBar, before_the_first_byte_no_speed_is_made_up) {
  EXPECT_EQ(progress_line("loading", 0, 1'000'000, 3.0), "loading [                         ]   0 %  0 of 1 MB");
  EXPECT_EQ(progress_line("loading", 0, 0, 0.0), "loading [#########################] 100 %  0 of 0 MB");
}

}  // namespace
}  // namespace slipstream
