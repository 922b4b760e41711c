// Which processors this process may use.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipstream {

// One processor of each physical core that this process may run on (its affinity), ascending: what a core's second
// processor would add to arithmetic, it takes from the first. `folder`: where the system describes its processors; what
// it does not describe is a core.
std::vector<uint32_t> usable_cores(const std::string& folder = "/sys/devices/system/cpu");

// How many cores it may use: usable_cores(), or fewer where a cgroup (v1 or v2) gives it less time. At least 1.
uint32_t num_usable_cores();

// What a cgroup v2 cpu.max says ("max 100000", "150000 100000"): whole processors, rounded up; none where it sets no
// limit or is not understood.
std::optional<uint32_t> processors_of_cpu_max(std::string_view cpu_max);

}  // namespace slipstream
