// CpuExecutor::run() allocates nothing: malloc itself is counted, whoever calls it, on every thread.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "golden/model_runs.h"

extern "C" {
void* __libc_malloc(size_t size);                      // NOLINT: glibc's names
void* __libc_calloc(size_t count, size_t size);        // NOLINT
void* __libc_realloc(void* memory, size_t size);       // NOLINT
void* __libc_memalign(size_t alignment, size_t size);  // NOLINT
}

namespace {
std::atomic<uint64_t> num_allocations{0};
}

extern "C" {
void* malloc(size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(memory, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? 12 : 0;
}
}

namespace slipstream {
namespace {

TEST(Allocation, is_counted_by_this_test) {
  const uint64_t before = num_allocations.load();
  void* volatile memory = std::malloc(100);  // volatile: the compiler may not leave it out
  std::free(memory);
  EXPECT_EQ(num_allocations.load() - before, 1u);
  const std::vector<int> through_operator_new(num_allocations.load());
  EXPECT_EQ(num_allocations.load() - before, 2u);
}

// Steps of every kind: a prompt longer than a pass, chunks beside single tokens, a copied block, single tokens alone.
void expect_no_allocations(const std::string& checkpoint) {
  ThreadPool pool(2);
  const auto model = load_model(std::string(SLIPSTREAM_TEST_DATA) + "/oracle/" + checkpoint, pool);
  ASSERT_TRUE(model.ok()) << model.error().message;
  for (const Isa isa : kAllIsas) {
    if (!isa_supported(isa)) continue;
    for (const ActivationMode activations : {ActivationMode::kInt16, ActivationMode::kF32}) {
      auto executor = CpuExecutor::make(model->config(), model->weights, pool,
                                        {.isa = isa,
                                         .activations = activations,
                                         .num_blocks = 32,
                                         .max_rows = 700,
                                         .max_slices = 4,
                                         .max_context = 1024});
      ASSERT_TRUE(executor.ok());
      std::vector<TokenId> tokens(700);
      for (uint32_t index = 0; index < tokens.size(); ++index) tokens[index] = index % model->config().vocab_size;
      std::vector<BlockId> table(16);
      for (uint32_t index = 0; index < table.size(); ++index) table[index] = index;
      std::vector<BlockId> other{20, 21};
      std::vector<BlockId> tables = table;
      tables.insert(tables.end(), other.begin(), other.end());

      const std::vector<StepSlice> prompt{{0, 700, 0, 0, 16, 1}};
      const std::vector<StepSlice> mixed{{0, 1, 700, 0, 16, 1}, {1, 70, 0, 16, 2, 0}};
      const std::vector<StepSlice> single{{0, 1, 701, 0, 16, 1}, {1, 1, 70, 16, 2, 1}};
      const std::vector<BlockCopy> copies{{3, 25, 40}};
      const uint64_t before = num_allocations.load();
      executor.value()->run({tokens, prompt, tables, {}});
      executor.value()->run({std::span(tokens).first(71), mixed, tables, copies});
      for (int step = 0; step < 100; ++step) executor.value()->run({std::span(tokens).first(2), single, tables, {}});
      EXPECT_EQ(num_allocations.load(), before) << isa_name(isa);
    }
  }
}

TEST(Allocation, a_step_of_the_executor_takes_no_memory_from_its_first_on) {
  expect_no_allocations("qwen3-mlx-4bit-g64");
}

TEST(Allocation, nor_with_experts) { expect_no_allocations("qwen3-moe-mlx-4bit-g64-mixed"); }

}  // namespace
}  // namespace slipstream
