#include "base/check.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

std::string name_subject(const void* subject) { return "dump of " + std::string(static_cast<const char*>(subject)); }
std::string fail_again(const void*) {
  CHECK(1 == 2, "inside the dump");
  return {};
}

TEST(Check, a_condition_that_holds_costs_only_itself) {
  int evaluated = 0;
  CHECK(++evaluated == 1, "{}", ++evaluated);
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckDeathTest, says_where_what_and_the_numbers) {
  EXPECT_DEATH(CHECK(2 + 2 == 5, "{} blocks of {}", 3, 4),
               "check_test.cc:[0-9]+: CHECK failed: 2 \\+ 2 == 5  3 blocks of 4");
  EXPECT_DEATH(CHECK(false), "CHECK failed: false");
}

TEST(CheckDeathTest, the_innermost_dump_of_this_thread_is_printed) {
  const CheckDumpScope outer(name_subject, "the engine");
  EXPECT_DEATH(CHECK(false), "dump of the engine");
  {
    const CheckDumpScope inner(name_subject, "the scheduler");
    EXPECT_DEATH(CHECK(false), "dump of the scheduler");
  }
  EXPECT_DEATH(CHECK(false), "dump of the engine");
}

TEST(CheckDeathTest, a_dump_that_fails_itself_does_not_come_back) {
  const CheckDumpScope scope(fail_again, nullptr);
  EXPECT_DEATH(CHECK(false, "first"), "first\n.*inside the dump");
}

}  // namespace
}  // namespace slipstream
