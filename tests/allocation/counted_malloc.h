// Counts every malloc, calloc, realloc, aligned allocation and free of this program, whoever calls: C++ (operator
// new), Rust, the libraries. Linking counted_malloc.cc replaces glibc's functions by ones that count and then call
// glibc's own.
#pragma once

#include <cstdint>

namespace slipstream {

struct AllocationCounts {
  uint64_t num_allocations = 0;
  uint64_t num_frees = 0;
};

// Counts from its making to counts(), on all threads. One at a time.
class CountedScope {
 public:
  CountedScope();
  ~CountedScope();
  AllocationCounts counts() const;
};

// Sanitizers bring a malloc of their own: there is nothing to count then.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLIPSTREAM_SANITIZED
#elif defined(__has_feature)  // clang's way to say the same
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLIPSTREAM_SANITIZED
#endif
#endif

#ifdef SLIPSTREAM_SANITIZED
inline constexpr bool kCanCountMalloc = false;
#else
inline constexpr bool kCanCountMalloc = true;
#endif

}  // namespace slipstream
