#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace slipstream {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return invalid("{} is odd", number);
  return number / 2;
}

Result<int> quarter(int number) {
  ASSIGN_OR_RETURN(const int once, half(number));
  ASSIGN_OR_RETURN(const int twice, half(once));
  return twice;
}

Status check_quarter(int number) {
  RETURN_IF_ERROR(quarter(number));
  return ok_status();
}

TEST(Result, carries_a_value_or_an_error_in_words) {
  ASSERT_TRUE(half(4).ok());
  EXPECT_EQ(*half(4), 2);
  ASSERT_FALSE(half(3).ok());
  EXPECT_EQ(half(3).error().message, "3 is odd");
  EXPECT_EQ(half(3).error().kind, ErrorKind::kInvalid);
}

TEST(Result, the_first_error_is_handed_on) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(7).error().message, "7 is odd");
  EXPECT_EQ(quarter(6).error().message, "3 is odd");
  EXPECT_TRUE(check_quarter(8).ok());
  EXPECT_EQ(check_quarter(6).error().message, "3 is odd");
}

TEST(Result, each_floor_adds_its_context_in_front) {
  EXPECT_EQ(invalid_param("top_p", "{} is too much", 2).within("request 7").message, "request 7: 2 is too much");
  EXPECT_EQ(invalid_param("top_p", "{} is too much", 2).within("request 7").param, "top_p");
  EXPECT_EQ(outside("disk full").kind, ErrorKind::kOutside);
}

TEST(Result, holds_what_cannot_be_copied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, the_value_of_an_error_is_a_bug_of_ours) {
  EXPECT_DEATH(half(3).value(), "value\\(\\) of an error: 3 is odd");
  EXPECT_DEATH(half(4).error(), "error\\(\\) of a value");
}

}  // namespace
}  // namespace slipstream
