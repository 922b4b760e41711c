#include "counted_malloc.h"

#include <atomic>
#include <cerrno>
#include <cstddef>

namespace slipstream {
namespace {

std::atomic<bool> is_counting{false};
std::atomic<uint64_t> num_allocations{0};
std::atomic<uint64_t> num_frees{0};

[[maybe_unused]] void count(std::atomic<uint64_t>& number) {
  if (is_counting.load(std::memory_order_relaxed)) number.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

CountedScope::CountedScope() {
  num_allocations = 0;
  num_frees = 0;
  is_counting = true;
}
CountedScope::~CountedScope() { is_counting = false; }
AllocationCounts CountedScope::counts() const { return {num_allocations.load(), num_frees.load()}; }

}  // namespace slipstream

#ifndef SLIPSTREAM_SANITIZED
extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* memory);

void* malloc(size_t bytes) {
  slipstream::count(slipstream::num_allocations);
  return __libc_malloc(bytes);
}
void* calloc(size_t number, size_t bytes) {
  slipstream::count(slipstream::num_allocations);
  return __libc_calloc(number, bytes);
}
void* realloc(void* memory, size_t bytes) {
  slipstream::count(slipstream::num_allocations);
  return __libc_realloc(memory, bytes);
}
void* memalign(size_t alignment, size_t bytes) {
  slipstream::count(slipstream::num_allocations);
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  *memory = memalign(alignment, bytes);
  return *memory == nullptr ? ENOMEM : 0;
}
void free(void* memory) {
  if (memory != nullptr) slipstream::count(slipstream::num_frees);
  __libc_free(memory);
}
}
#endif
