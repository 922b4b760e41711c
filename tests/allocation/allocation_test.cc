// P4: in steady state the step path allocates nothing. malloc itself is counted, while Engine::step() runs and on
// every thread.
#include <gtest/gtest.h>

#include <coroutine>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include "counted_malloc.h"
#include "echo_executor.h"
#include "engine/engine.h"
#include "model/checkpoint.h"
#include "model/cpu_executor.h"
#include "text/tokenizer.h"

namespace slipstream {
namespace {

constexpr uint32_t kSteps = 1000;

class Allocation : public testing::Test {
 protected:
  void SetUp() override {
    if (!kCanCountMalloc) GTEST_SKIP() << "SKIPPED: a sanitizer brings its own malloc";
  }
};

// A coroutine that reads as the server does.
struct Reading {
  struct promise_type {
    Reading get_return_object() { return {}; }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};
Reading read(TextStream& stream, uint64_t& num_tokens, bool& ended) {
  while (true) {
    const auto event = co_await stream.next();
    if (!event) co_return;
    num_tokens += event->num_tokens;
    if (event->finish) ended = true;
    if (ended) co_return;
  }
}

// An executor of either kind with what an engine needs beside it.
struct House {
  EngineOptions options;
  TokenTable table;
  std::unique_ptr<Executor> executor;
  ThreadPool pool{2};
  std::optional<Checkpoint> checkpoint;
  Weights weights;
  std::optional<Tokenizer> tokenizer;
  Clock clock = Clock::real();
};

std::string content(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

EngineOptions small_options() {
  EngineOptions options;
  options.num_blocks = 600;
  options.block_tokens = 16;
  options.max_model_len = 1200;
  options.max_num_seqs = 8;
  options.max_num_batched_tokens = 128;
  return options;
}

std::unique_ptr<House> echo_house(const EngineOptions& options) {
  auto house = std::make_unique<House>();
  house->options = options;
  house->table = echo_tokens(64);
  house->executor = std::make_unique<EchoExecutor>(
      EchoOptions{.vocab_size = 64, .num_blocks = options.num_blocks, .block_tokens = options.block_tokens});
  return house;
}

std::unique_ptr<House> model_house(const EngineOptions& options) {
  auto house = std::make_unique<House>();
  house->options = options;
  const std::string folder = SLIPSTREAM_TEST_DATA "/oracle/llama-mlx-4bit-g64";
  house->checkpoint = open_checkpoint(folder).value();
  house->weights = load_checkpoint(*house->checkpoint, house->pool, {}).value();
  house->tokenizer = Tokenizer::from_json(content(folder + "/tokenizer.json")).value();
  house->table = house->tokenizer->table();
  CpuExecutorOptions executor;
  executor.num_blocks = options.num_blocks;
  executor.block_tokens = options.block_tokens;
  executor.max_rows = options.max_num_batched_tokens;
  executor.max_slices = options.max_num_seqs;
  executor.max_logit_rows = options.max_num_seqs + 10;
  executor.max_context = options.max_model_len;
  house->executor = CpuExecutor::make(house->checkpoint->config, house->weights, house->pool, executor).value();
  return house;
}

Request ask(uint32_t number, uint32_t num_prompt_tokens, uint32_t max_tokens) {
  Request request;
  for (uint32_t i = 0; i < num_prompt_tokens; ++i) request.prompt.push_back((i * 7 + (i < 20 ? 0 : number)) % 60);
  request.max_tokens = max_tokens;
  request.ignore_eos = true;
  request.stop = {"this never comes", "\x01\x02"};
  request.sampling.temperature = number % 2 == 0 ? 0.0 : 1.0;
  request.sampling.top_p = number % 3 == 0 ? 0.9 : 1.0;
  request.sampling.top_k = number % 5 == 0 ? 20 : 0;
  request.sampling.seed = number;
  request.report_tokens = number % 4 == 1;
  if (number % 4 > 1) request.top_logprobs = number;
  request.prompt_logprobs = number % 4 == 2;
  return request;
}

TEST_F(Allocation, the_counter_sees_cpp_and_rust) {
  const CountedScope counted;
  void* memory = ::operator new(8);  // a new-expression might be optimised away
  EXPECT_EQ(counted.counts().num_allocations, 1u);
  ::operator delete(memory);
  EXPECT_EQ(counted.counts().num_frees, 1u);
  const auto house = model_house(small_options());
  const uint64_t before = counted.counts().num_allocations;
  ASSERT_TRUE(house->tokenizer->encode("hello, is Rust there?", false).ok());
  EXPECT_GT(counted.counts().num_allocations, before + 5);
}

// The same sequences for a thousand steps, their readers awaiting each token.
EngineStats expect_none_while_all_go_on(House& house, uint32_t max_tokens = 1150) {
  ResumeQueue queue;
  Engine engine(house.options, *house.executor, house.pool, &house.table, house.clock);
  std::vector<TextStream> streams;
  for (uint32_t i = 0; i < 8; ++i) streams.push_back(engine.submit(ask(i, 40, max_tokens), &queue).value());
  uint64_t num_tokens = 0;
  bool ended = false;
  for (TextStream& stream : streams) read(stream, num_tokens, ended);
  for (uint32_t step = 0; step < 50; ++step) {  // prompts, and buffers that swap with each other grow to what they need
    engine.step();
    queue.run();
  }
  AllocationCounts all;
  for (uint32_t step = 0; step < kSteps; ++step) {
    {
      const CountedScope counted;
      EXPECT_TRUE(engine.step());
      all.num_allocations += counted.counts().num_allocations;
      all.num_frees += counted.counts().num_frees;
    }
    queue.run();
  }
  EXPECT_EQ(all.num_allocations, 0u);
  EXPECT_EQ(all.num_frees, 0u);
  EXPECT_EQ(engine.stats().num_running, 8u);
  EXPECT_GT(num_tokens, 8u * kSteps);
  EXPECT_FALSE(ended);
  return engine.stats();
}

TEST_F(Allocation, none_in_a_thousand_steps_of_the_echo_model) {
  expect_none_while_all_go_on(*echo_house(small_options()));
}
TEST_F(Allocation, none_in_a_thousand_steps_of_a_real_model) {
  expect_none_while_all_go_on(*model_house(small_options()));
}

TEST_F(Allocation, none_in_a_thousand_steps_with_drafts) {
  EngineOptions options = small_options();
  options.num_blocks = 8000;
  options.max_model_len = 12'000;
  options.max_drafts = 8;
  options.draft_allowance = std::numeric_limits<double>::infinity();
  const auto house = echo_house(options);
  std::atomic<uint64_t> clock_ns{0};
  house->clock = Clock::manual(&clock_ns);
  house->executor = std::make_unique<EchoExecutor>(EchoOptions{.vocab_size = 64,
                                                               .num_blocks = options.num_blocks,
                                                               .block_tokens = options.block_tokens,
                                                               .clock_ns = &clock_ns,
                                                               .ns_per_step = 1'000'000,
                                                               .ns_per_row = 1'000,
                                                               .period = 20});
  const EngineStats stats = expect_none_while_all_go_on(*house, 11'000);
  EXPECT_GT(stats.num_accepted_tokens, 5'000u);
  EXPECT_LT(stats.num_accepted_tokens + 100, stats.num_draft_tokens);
}

// Requests come, share, are preempted, leave and end all the time: what each needs was taken at submit.
void expect_none_while_all_come_and_go(House& house) {
  Engine engine(house.options, *house.executor, house.pool, &house.table, Clock::real());
  std::vector<std::optional<TextStream>> streams(12);
  uint64_t num_allocations = 0;
  uint32_t number = 0;
  for (uint32_t step = 0; step < kSteps + 50; ++step) {
    for (auto& stream : streams) {
      ++number;
      if (stream) {
        const auto event = stream->try_next();
        if (event && event->finish) stream.reset();
        if (number % 97 == 0) stream.reset();
      }
      if (!stream) stream = engine.submit(ask(number % 5, 20 + number % 60, 10 + number % 80), nullptr).value();
    }
    const CountedScope counted;
    ASSERT_TRUE(engine.step());
    if (step >= 50) num_allocations += counted.counts().num_allocations;
  }
  EXPECT_EQ(num_allocations, 0u);
  EXPECT_GT(engine.stats().num_preemptions, 20u);
  EXPECT_GT(engine.stats().num_cancelled, 20u);
  EXPECT_GT(engine.stats().num_ended, 50u);
  EXPECT_GT(engine.stats().num_cached_tokens, 500u);
}

EngineOptions tight_options() {
  EngineOptions options = small_options();
  options.num_blocks = 24;
  options.max_model_len = 180;
  return options;
}

TEST_F(Allocation, none_while_requests_come_and_go_with_the_echo_model) {
  expect_none_while_all_come_and_go(*echo_house(tight_options()));
}
TEST_F(Allocation, none_while_requests_come_and_go_with_a_real_model) {
  expect_none_while_all_come_and_go(*model_house(tight_options()));
}

}  // namespace
}  // namespace slipstream
