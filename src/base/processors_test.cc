#include "base/processors.h"

#include <gtest/gtest.h>
#include <sched.h>

namespace slipstream {
namespace {

TEST(Processors, a_cgroup_limit_counts_in_whole_processors) {
  EXPECT_EQ(processors_of_cpu_max("200000 100000"), 2u);
  EXPECT_EQ(processors_of_cpu_max("150000 100000"), 2u);
  EXPECT_EQ(processors_of_cpu_max("50000 100000"), 1u);
  EXPECT_EQ(processors_of_cpu_max("max 100000"), std::nullopt);
  EXPECT_EQ(processors_of_cpu_max("-1 100000"), std::nullopt);  // version 1: no limit
  EXPECT_EQ(processors_of_cpu_max("100000 0"), std::nullopt);
  EXPECT_EQ(processors_of_cpu_max(""), std::nullopt);
  EXPECT_EQ(processors_of_cpu_max("lots of them"), std::nullopt);
}

TEST(Processors, affinity_bounds_what_is_usable) {
  cpu_set_t all;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(all), &all), 0);
  EXPECT_GE(usable_processors(), 1u);
  EXPECT_LE(usable_processors(), static_cast<uint32_t>(CPU_COUNT(&all)));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &all)) {
      CPU_SET(cpu, &one);
      break;
    }
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(usable_processors(), 1u);
  ASSERT_EQ(::sched_setaffinity(0, sizeof(all), &all), 0);
}

}  // namespace
}  // namespace slipstream
