#include "base/processors.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

namespace slipstream {
namespace {

std::optional<uint64_t> read_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string read_line(const char* path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

}  // namespace

std::optional<uint32_t> processors_of_cpu_max(std::string_view cpu_max) {
  const size_t space = cpu_max.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto quota = read_number(cpu_max.substr(0, space));
  const auto period = read_number(cpu_max.substr(space + 1));
  if (!quota || !period || *quota == 0 || *period == 0) return std::nullopt;
  const uint64_t processors = *quota / *period + (*quota % *period != 0 ? 1 : 0);
  return static_cast<uint32_t>(std::min<uint64_t>(processors, 1u << 20));
}

uint32_t usable_processors() {
  uint32_t processors = 1;
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) == 0) processors = static_cast<uint32_t>(CPU_COUNT(&allowed));
  // In a container these are its own limits; elsewhere they are the root's, which has none.
  std::string cpu_max = read_line("/sys/fs/cgroup/cpu.max");
  if (cpu_max.empty()) {
    cpu_max =
        read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") + " " + read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  }
  return std::max(1u, std::min(processors, processors_of_cpu_max(cpu_max).value_or(processors)));
}

}  // namespace slipstream
