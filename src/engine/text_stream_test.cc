// Streams as coroutines read them, and the engine with threads of its own around it (meant for ThreadSanitizer as
// well).
#include "engine/text_stream.h"

#include <gtest/gtest.h>

#include <poll.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "engine/counting_executor.h"
#include "engine/engine.h"

namespace slipstream {
namespace {

constexpr uint32_t kVocab = 20;

// A coroutine that runs until it waits, and belongs to itself.
struct Reading {
  struct promise_type {
    Reading get_return_object() { return {}; }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

struct Read {
  std::string text;
  uint32_t num_events = 0;
  uint32_t num_interrupts = 0;
  std::optional<FinishReason> finish;
  bool ended = false;
};

// Reads to the end; goes on after an interruption.
Reading read(TextStream& stream, Read& into) {
  while (!into.finish) {
    const std::optional<TextEvent> event = co_await stream.next();
    if (!event) {
      ++into.num_interrupts;
      continue;
    }
    ++into.num_events;
    into.text += event->text;
    into.finish = event->finish;
  }
  EXPECT_FALSE(co_await stream.next()) << "an event after the last";
  into.ended = true;
}

bool readable(const ResumeQueue& queue) {
  pollfd one{queue.fd(), POLLIN, 0};
  return poll(&one, 1, 0) == 1;
}

struct House {
  House() : table(letter_table(kVocab)), executor(kVocab) {}
  EngineOptions options() const {
    EngineOptions result;
    result.num_blocks = 64;
    result.block_tokens = 4;
    result.max_model_len = 32;
    result.max_num_seqs = 8;
    return result;
  }
  static Request ask(TokenId last, uint32_t max_tokens) {
    Request request;
    request.prompt = {1, 2, 3, 4, 5, last};
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    return request;
  }

  TokenTable table;
  CountingExecutor executor;
  ThreadPool pool{1};
  ResumeQueue queue;
};

TEST(TextStream, a_waiting_reader_is_resumed_with_each_event_until_the_last) {
  House house;
  Engine engine(house.options(), house.executor, house.pool, &house.table, Clock::real());
  TextStream stream = engine.submit(House::ask(0, 3), &house.queue).value();
  Read got;
  read(stream, got);
  EXPECT_EQ(got.num_events, 0u);
  for (uint32_t step = 1; step <= 3; ++step) {
    engine.step();
    EXPECT_EQ(house.queue.run(), 1u);
    EXPECT_EQ(got.num_events, step);
  }
  EXPECT_EQ(got.text, "bcd");
  EXPECT_TRUE(got.ended);
}

TEST(TextStream, an_event_that_came_before_the_reader_waits_is_read_at_once) {
  House house;
  Engine engine(house.options(), house.executor, house.pool, &house.table, Clock::real());
  TextStream stream = engine.submit(House::ask(0, 2), &house.queue).value();
  while (engine.step()) {}
  Read got;
  read(stream, got);
  EXPECT_TRUE(got.ended);
  EXPECT_EQ(got.text, "bc");
  EXPECT_FALSE(readable(house.queue));
}

TEST(TextStream, one_step_posts_once_for_all_readers_of_a_queue) {
  House house;
  ResumeQueue other_queue;
  EngineOptions together = house.options();
  together.prefix_cache = false;  // else five would wait for the block that all begin with
  Engine engine(together, house.executor, house.pool, &house.table, Clock::real());
  std::vector<TextStream> streams;
  for (TokenId token = 0; token < 6; ++token) {
    streams.push_back(engine.submit(House::ask(token, 1), token % 3 == 0 ? &other_queue : &house.queue).value());
  }
  std::vector<Read> got(streams.size());
  for (size_t i = 0; i < streams.size(); ++i) read(streams[i], got[i]);
  engine.step();
  uint64_t posts = 0;  // an eventfd adds them up
  ASSERT_EQ(::read(house.queue.fd(), &posts, sizeof posts), 8);
  EXPECT_EQ(posts, 1u);
  ASSERT_EQ(::read(other_queue.fd(), &posts, sizeof posts), 8);
  EXPECT_EQ(posts, 1u);
  EXPECT_EQ(house.queue.run(), 4u);
  EXPECT_EQ(other_queue.run(), 2u);
  for (const Read& one : got) EXPECT_TRUE(one.ended);
}

TEST(TextStream, an_interrupted_reader_gets_nothing_once_and_loses_nothing) {
  House house;
  Engine engine(house.options(), house.executor, house.pool, &house.table, Clock::real());
  TextStream stream = engine.submit(House::ask(0, 2), &house.queue).value();
  Read got;
  read(stream, got);
  stream.interrupt();
  EXPECT_EQ(got.num_interrupts, 0u) << "resumed outside the queue";
  EXPECT_EQ(house.queue.run(), 1u);
  EXPECT_EQ(got.num_interrupts, 1u);
  engine.step();
  stream.interrupt();  // after the engine has posted the reader
  EXPECT_EQ(house.queue.run(), 1u);
  EXPECT_EQ(got.num_interrupts, 2u);
  EXPECT_EQ(got.text, "b");  // it asked again at once
  engine.step();
  house.queue.run();
  EXPECT_TRUE(got.ended);
  EXPECT_EQ(got.text, "bc");
}

TEST(TextStream, an_interruption_while_nobody_waits_is_told_to_the_next_who_does) {
  House house;
  Engine engine(house.options(), house.executor, house.pool, &house.table, Clock::real());
  TextStream stream = engine.submit(House::ask(0, 1), &house.queue).value();
  stream.interrupt();
  Read got;
  read(stream, got);
  EXPECT_EQ(got.num_interrupts, 1u);
  EXPECT_EQ(got.num_events, 0u);
  engine.step();
  house.queue.run();
  EXPECT_TRUE(got.ended);
}

TEST(TextStream, stopping_resumes_readers_with_the_error) {
  House house;
  Engine engine(house.options(), house.executor, house.pool, &house.table, Clock::real());
  TextStream stream = engine.submit(House::ask(0, 9), &house.queue).value();
  Read got;
  read(stream, got);
  engine.stop();
  engine.run();
  house.queue.run();
  EXPECT_EQ(got.finish, FinishReason::kError);
  EXPECT_TRUE(got.ended);
}

TEST(TextStream, a_moved_stream_is_the_same_answer) {
  House house;
  Engine engine(house.options(), house.executor, house.pool, &house.table, Clock::real());
  TextStream stream = engine.submit(House::ask(0, 2), nullptr).value();
  TextStream moved = std::move(stream);
  stream = engine.submit(House::ask(7, 2), nullptr).value();
  while (engine.step()) {}
  EXPECT_EQ(moved.try_next()->text, "bc");
  EXPECT_EQ(stream.try_next()->text, "ij");
  EXPECT_EQ(engine.stats().num_cancelled, 0u);
}

// What each of several threads does: submits, reads or leaves, on an I/O thread of its own.
void live(Engine& engine, uint32_t seed, uint32_t num_requests, std::atomic<uint32_t>& num_refused) {
  std::mt19937 random(seed);
  ResumeQueue queue;
  for (uint32_t i = 0; i < num_requests; ++i) {
    const TokenId last = random() % 10;
    const uint32_t max_tokens = 1 + random() % 10;
    auto result = engine.submit(House::ask(last, max_tokens), &queue);
    if (!result.ok()) {
      EXPECT_EQ(result.error().kind, ErrorKind::kUnavailable);
      ++num_refused;
      continue;
    }
    TextStream stream = std::move(*result);
    if (random() % 3 == 0) continue;  // leaves at once
    Read got;
    read(stream, got);
    while (!got.ended) {
      pollfd one{queue.fd(), POLLIN, 0};
      poll(&one, 1, 1000);
      if (random() % 8 == 0) stream.interrupt();
      queue.run();
    }
    if (got.finish == FinishReason::kError) continue;  // stopped
    std::string expected;
    for (uint32_t token = 1; token <= max_tokens; ++token) expected += static_cast<char>('a' + (last + token) % kVocab);
    EXPECT_EQ(got.text, expected);
  }
}

TEST(EngineThreads, many_threads_submit_read_interrupt_and_leave_until_it_is_drained) {
  House house;
  Engine engine(house.options(), house.executor, house.pool, &house.table, Clock::real());
  std::thread stepping([&] { engine.run(); });
  std::atomic<uint32_t> num_refused{0};
  std::vector<std::thread> users;
  for (uint32_t seed = 1; seed <= 4; ++seed) users.emplace_back([&, seed] { live(engine, seed, 200, num_refused); });
  for (std::thread& user : users) user.join();
  EXPECT_EQ(num_refused, 0u);
  engine.drain();
  while (!engine.idle()) std::this_thread::yield();
  EXPECT_EQ(engine.stats().num_running, 0u);
  engine.stop();
  stepping.join();
  EXPECT_EQ(engine.check(), "");
  EXPECT_EQ(engine.stats().blocks_in_use, 0u);
}

TEST(EngineThreads, stopping_in_the_middle_leaves_nobody_waiting) {
  for (uint32_t round = 0; round < 20; ++round) {
    House house;
    Engine engine(house.options(), house.executor, house.pool, &house.table, Clock::real());
    std::thread stepping([&] { engine.run(); });
    std::atomic<uint32_t> num_refused{0};
    std::vector<std::thread> users;
    for (uint32_t seed = 1; seed <= 3; ++seed) {
      users.emplace_back([&, seed] { live(engine, round * 10 + seed, 30, num_refused); });
    }
    while (engine.stats().num_steps < 10 + round) std::this_thread::yield();
    engine.stop();
    stepping.join();
    for (std::thread& user : users) user.join();
    EXPECT_TRUE(engine.idle());
  }
}

}  // namespace
}  // namespace slipstream
