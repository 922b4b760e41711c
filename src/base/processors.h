// How many processors this process may use.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace slipstream {

// The processors it may run on (its affinity), or fewer where a cgroup (v1 or v2) gives it less time. At least 1.
uint32_t usable_processors();

// What a cgroup v2 cpu.max says ("max 100000", "150000 100000"): whole processors, rounded up; none where it sets no
// limit or is not understood.
std::optional<uint32_t> processors_of_cpu_max(std::string_view cpu_max);

}  // namespace slipstream
