#include "base/memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

namespace slipstream {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr int kLargeBlock = 256 << 10;

// "Name:   123 kB" in a /proc file, in bytes; 0 when it is not there.
uint64_t proc_field(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string key;
  uint64_t kilobytes = 0;
  std::string rest;
  while (file >> key) {
    if (key == name + ":") {
      file >> kilobytes;
      return kilobytes * 1024;
    }
    std::getline(file, rest);
  }
  return 0;
}

// A file with one number; absent or "max" = no limit.
uint64_t number_in(const std::string& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  if (file >> value) return value;
  return std::numeric_limits<uint64_t>::max();
}

// "name 123" in a memory.stat file; 0 when it is not there.
uint64_t stat_field(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string key;
  uint64_t value = 0;
  while (file >> key >> value) {
    if (key == name) return value;
  }
  return 0;
}

// The names that one version of cgroups has for the same things.
struct GroupFiles {
  const char* limit;
  const char* usage;
  const char* cache[2];  // in memory.stat: file pages, which the system drops when memory is needed
};
constexpr GroupFiles kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes",
                               {"total_active_file", "total_inactive_file"}};
constexpr GroupFiles kVersion2{"memory.max", "memory.current", {"active_file", "inactive_file"}};

uint64_t left_under(const std::string& folder, const GroupFiles& names) {
  const uint64_t limit = number_in(folder + "/" + names.limit);
  if (limit >= std::numeric_limits<int64_t>::max() / 2) return std::numeric_limits<uint64_t>::max();
  uint64_t used = number_in(folder + "/" + names.usage);
  for (const char* cache : names.cache) used -= std::min(used, stat_field(folder + "/memory.stat", cache));
  return used >= limit ? 0 : limit - used;
}

// The tightest room left on the way from this process's group up to the root.
uint64_t cgroup_left() {
  uint64_t left = std::numeric_limits<uint64_t>::max();
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    const bool v2 = controllers.empty();
    if (!v2 && controllers.find("memory") == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    while (true) {
      left = std::min(left, memory_left_in_group(root + path));
      if (path.empty() || path == "/") break;
      path.resize(path.find_last_of('/'));
    }
    left = std::min(left, memory_left_in_group(root));
  }
  return left;
}

}  // namespace

Result<Arena> Arena::make(size_t bytes) {
  Arena arena;
  if (bytes == 0) return arena;
  if (bytes > std::numeric_limits<size_t>::max() / 2) return outside("{} bytes of memory cannot be had", bytes);
  const size_t size = round_up(bytes, kHugePage);
  // One huge page more than needed, so that the part kept can begin on a huge page.
  void* raw =
      mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return outside("{} MB of memory cannot be had: {}", size >> 20, std::strerror(errno));
  const size_t address = reinterpret_cast<size_t>(raw);
  const size_t aligned = round_up(address, kHugePage);
  if (aligned > address) munmap(raw, aligned - address);
  if (const size_t tail = address + kHugePage - aligned; tail > 0) {
    munmap(reinterpret_cast<void*>(aligned + size), tail);
  }
  madvise(reinterpret_cast<void*>(aligned), size, MADV_HUGEPAGE);  // advice only: 4 KB pages work as well
  arena.data_ = reinterpret_cast<std::byte*>(aligned);
  arena.size_ = size;
  return arena;
}

Arena::~Arena() {
  if (data_ != nullptr) munmap(data_, size_);
}

Arena::Arena(Arena&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

uint64_t memory_left_in_group(const std::string& folder) {
  return std::min(left_under(folder, kVersion1), left_under(folder, kVersion2));
}
uint64_t available_memory_bytes() { return std::min(proc_field("/proc/meminfo", "MemAvailable"), cgroup_left()); }
void give_back_large_blocks() {
  ::mallopt(M_MMAP_THRESHOLD, kLargeBlock);  // setting it is what ends the learning
}

uint64_t resident_bytes() { return proc_field("/proc/self/status", "VmRSS"); }
uint64_t peak_resident_bytes() { return proc_field("/proc/self/status", "VmHWM"); }

}  // namespace slipstream
