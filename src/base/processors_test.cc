#include "base/processors.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

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
  EXPECT_GE(num_usable_cores(), 1u);
  EXPECT_LE(num_usable_cores(), static_cast<uint32_t>(CPU_COUNT(&all)));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &all)) {
      CPU_SET(cpu, &one);
      break;
    }
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(num_usable_cores(), 1u);
  ASSERT_EQ(::sched_setaffinity(0, sizeof(all), &all), 0);
}

TEST(Processors, a_core_counts_once) {
  cpu_set_t all;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(all), &all), 0);
  const auto num_processors = static_cast<size_t>(CPU_COUNT(&all));
  EXPECT_EQ(usable_cores("/nonexistent").size(), num_processors) << "what is not described is a core of its own";

  const std::string folder = testing::TempDir() + "processors_test." + std::to_string(::getpid());
  std::vector<uint32_t> processors = usable_cores("/nonexistent");
  for (size_t i = 0; i < processors.size(); ++i) {  // two neighbours are one core
    const std::string topology = folder + "/cpu" + std::to_string(processors[i]) + "/topology";
    std::filesystem::create_directories(topology);
    std::ofstream(topology + "/core_cpus_list") << "core of " << i / 2 << '\n';
  }
  const std::vector<uint32_t> cores = usable_cores(folder);
  EXPECT_EQ(cores.size(), (num_processors + 1) / 2);
  EXPECT_EQ(cores.front(), processors.front());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace slipstream
