#include "engine/waiting_queue.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace slipstream {
namespace {

struct Desk {
  explicit Desk(const WaitingQueueOptions& options) : queue(options) {}

  Sequence& add(uint32_t client, uint32_t num_tokens, uint32_t num_expected = 0) {
    SequenceList one;
    Sequence& sequence = one.emplace_back(Output(nullptr, OutputRules()), nullptr);
    sequence.tokens.assign(num_tokens, 1);
    sequence.client = client;
    sequence.num_expected_tokens = num_expected;
    sequence.number = num_added++;
    queue.add(one);
    return sequence;
  }

  // The client whose request is admitted next.
  uint32_t admit() {
    Sequence* const next = queue.next();
    EXPECT_EQ(queue.next(), next);  // asking changes nothing
    queue.take_next(running);
    EXPECT_EQ(&running.back(), next);
    running.back().num_cached = 0;
    EXPECT_EQ(queue.check(), "");
    return next->client;
  }
  std::vector<uint32_t> admit_all() {
    std::vector<uint32_t> clients;
    while (!queue.empty()) clients.push_back(admit());
    return clients;
  }

  WaitingQueue queue;
  SequenceList running;
  uint64_t num_added = 0;
};
using Clients = std::vector<uint32_t>;

TEST(WaitingQueue, one_clients_requests_come_in_order_of_arrival) {
  Desk desk({.num_clients = 1, .quantum_tokens = 10});
  for (const uint32_t tokens : {50u, 1u, 20u}) desk.add(0, tokens);
  EXPECT_EQ(desk.queue.num_tokens(), 71u);
  desk.admit_all();
  std::vector<uint64_t> numbers;
  for (const Sequence& sequence : desk.running) numbers.push_back(sequence.number);
  EXPECT_EQ(numbers, (std::vector<uint64_t>{0, 1, 2}));
  EXPECT_EQ(desk.queue.num_tokens(), 0u);
  EXPECT_EQ(desk.queue.next(), nullptr);
}

TEST(WaitingQueue, a_lone_request_waits_for_one_turn_of_a_crowd) {
  Desk desk({.num_clients = 3, .quantum_tokens = 100});
  for (int i = 0; i < 1000; ++i) desk.add(0, 40, 10);
  EXPECT_EQ(desk.admit(), 0u);
  desk.add(2, 60, 40);
  EXPECT_EQ(desk.admit(), 0u);  // what is left of the turn that has begun
  EXPECT_EQ(desk.admit(), 2u);
  EXPECT_EQ(desk.admit(), 0u);
}

TEST(WaitingQueue, who_asks_for_little_is_admitted_more_often_and_both_get_as_many_tokens) {
  Desk desk({.num_clients = 2, .quantum_tokens = 100});
  for (int i = 0; i < 400; ++i) desk.add(0, 10);
  for (int i = 0; i < 20; ++i) desk.add(1, 200);
  uint64_t tokens[2] = {};
  for (int i = 0; i < 200; ++i) {
    const uint32_t client = desk.admit();
    tokens[client] += desk.running.back().num_tokens();
  }
  EXPECT_NEAR(static_cast<double>(tokens[0]), static_cast<double>(tokens[1]), 200);
}

TEST(WaitingQueue, what_an_answer_is_expected_to_take_counts_like_a_prompt) {
  Desk desk({.num_clients = 2, .quantum_tokens = 50});
  for (int i = 0; i < 4; ++i) desk.add(0, 1, 49);
  for (int i = 0; i < 4; ++i) desk.add(1, 10, 15);
  EXPECT_EQ(desk.admit_all(), (Clients{0, 1, 1, 0, 1, 1, 0, 0}));
}

TEST(WaitingQueue, credit_is_kept_from_turn_to_turn_but_not_by_an_empty_line) {
  Desk desk({.num_clients = 2, .quantum_tokens = 10});
  desk.add(0, 30);
  for (int i = 0; i < 6; ++i) desk.add(1, 5);
  EXPECT_EQ(desk.admit_all(), (Clients{1, 1, 1, 1, 0, 1, 1}));  // thirty in its third turn
  desk.add(0, 1);  // nine of its turn are left over, and lost
  EXPECT_EQ(desk.admit(), 0u);
  desk.add(0, 19);
  desk.add(1, 10);
  EXPECT_EQ(desk.admit_all(), (Clients{1, 0}));
}

TEST(WaitingQueue, who_was_sent_back_goes_before_everyone_and_pays_nothing) {
  Desk desk({.num_clients = 2, .quantum_tokens = 10});
  Sequence& first = desk.add(0, 10);
  Sequence& second = desk.add(0, 10);
  desk.add(1, 10);
  desk.admit();
  desk.admit();
  desk.admit();
  desk.add(1, 10);
  desk.queue.send_back(desk.running, second);
  desk.queue.send_back(desk.running, first);
  EXPECT_EQ(desk.queue.num_sent_back(), 2u);
  EXPECT_EQ(desk.queue.check(), "");
  EXPECT_EQ(desk.queue.next(), &first);
  EXPECT_EQ(desk.admit_all(), (Clients{0, 0, 1}));
}

TEST(WaitingQueue, who_is_passed_over_has_paid_and_comes_before_all_lines) {
  Desk desk({.num_clients = 2, .quantum_tokens = 10});
  Sequence& first = desk.add(0, 10);
  desk.add(0, 10);
  desk.add(1, 10);
  desk.queue.pass_over();
  EXPECT_EQ(desk.queue.size(), 3u);
  EXPECT_EQ(desk.admit(), 1u);  // its line's turn is over
  desk.queue.recall();
  EXPECT_EQ(desk.queue.next(), &first);
  EXPECT_EQ(desk.queue.check(), "");
  EXPECT_EQ(desk.admit_all(), (Clients{0, 0}));
}

TEST(WaitingQueue, those_passed_over_keep_their_order_and_come_behind_who_was_sent_back) {
  Desk desk({.num_clients = 1, .quantum_tokens = 10});
  Sequence& running = desk.add(0, 10);
  desk.admit();
  std::vector<Sequence*> waiting;
  for (int i = 0; i < 4; ++i) waiting.push_back(&desk.add(0, 10));
  for (int i = 0; i < 3; ++i) desk.queue.pass_over();
  desk.queue.recall();
  desk.queue.pass_over();  // again; the others are not looked at this time
  desk.queue.recall();
  desk.queue.send_back(desk.running, running);
  EXPECT_EQ(desk.queue.num_sent_back(), 1u);
  EXPECT_EQ(desk.queue.next(), &running);
  desk.admit();
  for (Sequence* const sequence : waiting) {
    EXPECT_EQ(desk.queue.next(), sequence);
    desk.admit();
  }
}

TEST(WaitingQueue, who_is_passed_over_may_leave) {
  Desk desk({.num_clients = 1, .quantum_tokens = 10});
  Sequence& first = desk.add(0, 10);
  Sequence& second = desk.add(0, 10);
  desk.queue.pass_over();
  desk.queue.remove(first);
  EXPECT_EQ(desk.queue.next(), &second);
  desk.queue.pass_over();
  EXPECT_EQ(desk.queue.next(), nullptr);
  desk.queue.recall();
  desk.queue.remove(second);
  EXPECT_TRUE(desk.queue.empty());
  EXPECT_EQ(desk.queue.check(), "");
}

TEST(WaitingQueue, who_is_removed_leaves_no_trace_wherever_it_was) {
  Desk desk({.num_clients = 2, .quantum_tokens = 10});
  Sequence& head = desk.add(0, 25);
  Sequence& behind = desk.add(0, 5);
  Sequence& alone = desk.add(1, 5);
  Sequence& returned = desk.add(1, 5);
  desk.admit();
  desk.queue.send_back(desk.running, alone);
  for (Sequence* const sequence : {&head, &alone, &behind, &returned}) {
    desk.queue.remove(*sequence);
    EXPECT_EQ(desk.queue.check(), "");
  }
  EXPECT_TRUE(desk.queue.empty());
  EXPECT_EQ(desk.queue.num_tokens(), 0u);
  EXPECT_EQ(desk.queue.next(), nullptr);
}

// check() holds the bound on what may be admitted past a head: 3,000 random days of five clients, one of them greedy.
TEST(WaitingQueue, however_they_come_nobody_is_passed_by_more_than_the_bound) {
  uint64_t drawn = 0;
  const auto from = [&](uint32_t low, uint32_t high) {
    return low + philox4x32(9, {static_cast<uint32_t>(drawn++), 0, 0, 0})[0] % (high - low + 1);
  };
  for (int day = 0; day < 3000; ++day) {
    Desk desk({.num_clients = 5, .quantum_tokens = from(1, 40)});
    for (int event = 0; event < 60; ++event) {
      if (from(0, 2) > 0) desk.add(from(0, 1) * from(0, 4), from(1, 50), from(0, 20));
      else if (desk.queue.next() != nullptr) desk.admit();
      if (from(0, 3) == 0 && desk.queue.next() != nullptr && !desk.queue.next()->num_cached) desk.queue.pass_over();
      if (from(0, 1) == 0) desk.queue.recall();
      if (from(0, 9) == 0 && !desk.running.empty() && desk.running.back().num_cached) {
        desk.queue.send_back(desk.running, desk.running.back());
      }
      if (from(0, 9) == 0 && desk.queue.next() != nullptr) desk.queue.remove(*desk.queue.next());
      ASSERT_EQ(desk.queue.check(), "") << day;
    }
    desk.queue.recall();
    desk.admit_all();
  }
}

TEST(WaitingQueueDeathTest, a_client_that_is_not_there_is_a_bug) {
  Desk desk({.num_clients = 2, .quantum_tokens = 10});
  EXPECT_DEATH(desk.add(2, 1), "client 2 of 2");
}

}  // namespace
}  // namespace slipstream
