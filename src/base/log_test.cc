#include "base/log.h"

#include <gtest/gtest.h>

#include <string>

namespace slipstream {
namespace {

// What the log writes while `work` runs at `level`.
template <class Work>
std::string logged(LogLevel level, Work work) {
  set_log_level(level);
  testing::internal::CaptureStderr();
  work();
  set_log_level(LogLevel::kInfo);
  return testing::internal::GetCapturedStderr();
}

TEST(Log, a_line_has_its_level_and_its_numbers) {
  const std::string text = logged(LogLevel::kInfo, [] { LOG_WARNING("{} blocks of {}", 3, 64); });
  EXPECT_NE(text.find("warning 3 blocks of 64\n"), std::string::npos) << text;
}

TEST(Log, below_the_level_nothing_is_written_or_even_evaluated) {
  bool evaluated = false;
  const auto number = [&] {
    evaluated = true;
    return 1;
  };
  EXPECT_EQ(logged(LogLevel::kInfo, [&] { LOG_DEBUG("{}", number()); }), "");
  EXPECT_FALSE(evaluated);
  EXPECT_NE(logged(LogLevel::kDebug, [&] { LOG_DEBUG("{}", number()); }), "");
  EXPECT_TRUE(evaluated);
  EXPECT_EQ(logged(LogLevel::kOff, [] { LOG_ERROR("lost"); }), "");
}

TEST(Log, braces_in_a_text_are_not_a_format) {
  const std::string text = logged(LogLevel::kInfo, [] { log_line(LogLevel::kInfo, "a {} b"); });
  EXPECT_NE(text.find("a {} b"), std::string::npos) << text;
}

TEST(Log, levels_have_names) {
  EXPECT_EQ(log_level_from_name("debug"), LogLevel::kDebug);
  EXPECT_EQ(log_level_from_name("off"), LogLevel::kOff);
  EXPECT_EQ(log_level_from_name("loud"), std::nullopt);
}

}  // namespace
}  // namespace slipstream
