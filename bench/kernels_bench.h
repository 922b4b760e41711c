// What the parts of kernels_bench share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernels.h"

namespace slipstream {

struct BenchOptions {
  bool matmul = false, attention = false, rowwise = false, pack = false;
  uint32_t threads = 2;
  size_t mib = 512;
  Isa isa = best_isa();
  std::vector<uint32_t> rows = {1, 2, 3, 4, 6, 8, 16, 32, 64, 256};
  std::vector<uint32_t> head_dims;  // of attention: only these; empty: all
  std::vector<uint32_t> groups;
  std::vector<uint32_t> contexts;
};

struct KernelsBench {
  const BenchOptions& options;
  const Kernels& kernels;
  ThreadPool& pool;
  std::span<std::byte> memory;
  double integer_tops;
  double fma_tops;
};

void bench_attention(KernelsBench bench);

}  // namespace slipstream
