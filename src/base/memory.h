// Big memory, and how much there is.
//
// An Arena is anonymous memory in huge pages, held from its making to its end: in a virtual machine the first touch of
// a page is slow (0.4-2 GB/s) and a freed one is paid for again (PERFORMANCE.md 0.10), so arenas are made once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace slipstream {

class Arena {
 public:
  Arena() = default;
  // Zero-filled, 2 MB aligned, not yet touched. bytes may be 0. Error: the system refuses the memory.
  static Result<Arena> make(size_t bytes);
  ~Arena();
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  template <class T>
  std::span<T> as() const { return {reinterpret_cast<T*>(data_), size_ / sizeof(T)}; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// What this process may still take, in bytes: MemAvailable, or less where a cgroup (v1 or v2) limits it.
uint64_t available_memory_bytes();
// The part of that which one cgroup's folder decides: its limit less what it uses, pages of files not counted, since
// the system drops them when memory is needed. No limit: the largest number.
uint64_t memory_left_in_group(const std::string& folder);
// From now on what malloc takes in blocks of 256 KiB and more goes back to the system as soon as it is freed; else
// glibc learns from the first of them to keep them, and a server that was once sent large bodies stays large. At the
// start.
void give_back_large_blocks();
// Resident memory of this process now, and its highest so far, in bytes.
uint64_t resident_bytes();
uint64_t peak_resident_bytes();

constexpr size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace slipstream
