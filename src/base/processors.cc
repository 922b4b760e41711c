#include "base/processors.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>

namespace slipstream {
namespace {

std::optional<uint64_t> read_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string read_line(const std::string& path) {
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

std::vector<uint32_t> usable_cores(const std::string& folder) {
  std::vector<uint32_t> cores;
  std::set<std::string> seen;
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return cores;
  for (uint32_t processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(processor, &allowed)) continue;
    const std::string siblings = read_line(folder + "/cpu" + std::to_string(processor) + "/topology/core_cpus_list");
    if (siblings.empty() || seen.insert(siblings).second) cores.push_back(processor);
  }
  return cores;
}

uint32_t num_usable_cores() {
  const auto cores = static_cast<uint32_t>(usable_cores().size());
  // In a container these are its own limits; elsewhere they are the root's, which has none.
  std::string cpu_max = read_line("/sys/fs/cgroup/cpu.max");
  if (cpu_max.empty()) {
    cpu_max =
        read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") + " " + read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  }
  return std::max(1u, std::min(cores, processors_of_cpu_max(cpu_max).value_or(cores)));
}

}  // namespace slipstream
