#include "base/mailbox.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace slipstream {
namespace {

TEST(Mailbox, gives_everything_in_order_of_arrival_and_only_once) {
  Mailbox<int> box;
  std::vector<int> mail{99};
  box.take(mail);
  EXPECT_TRUE(mail.empty());  // what was in there before is gone
  box.put(1);
  box.put(2);
  box.take(mail);
  EXPECT_EQ(mail, (std::vector<int>{1, 2}));
  box.take(mail);
  EXPECT_TRUE(mail.empty());
}

TEST(Mailbox, carries_what_cannot_be_copied) {
  Mailbox<std::unique_ptr<int>> box;
  box.put(std::make_unique<int>(3));
  std::vector<std::unique_ptr<int>> mail;
  box.take(mail);
  ASSERT_EQ(mail.size(), 1u);
  EXPECT_EQ(*mail[0], 3);
}

TEST(Mailbox, a_wake_before_the_wait_is_not_lost) {
  Mailbox<int> box;
  box.wake();
  box.wait();  // returns at once
  box.put(1);
  box.wait();  // there is mail: returns at once, and again
  box.wait();
}

TEST(Mailbox, nothing_is_lost_or_reordered_among_many_senders) {
  constexpr uint32_t kSenders = 4, kLetters = 5000;
  Mailbox<std::pair<uint32_t, uint32_t>> box;
  std::vector<std::thread> senders;
  for (uint32_t sender = 0; sender < kSenders; ++sender) {
    senders.emplace_back([&box, sender] {
      for (uint32_t letter = 0; letter < kLetters; ++letter) box.put({sender, letter});
    });
  }
  uint32_t next[kSenders] = {};
  uint32_t received = 0;
  std::vector<std::pair<uint32_t, uint32_t>> mail;
  while (received < kSenders * kLetters) {
    box.wait();
    box.take(mail);
    for (const auto& [sender, letter] : mail) EXPECT_EQ(letter, next[sender]++);
    received += static_cast<uint32_t>(mail.size());
  }
  for (std::thread& sender : senders) sender.join();
}

TEST(Mailbox, two_buffers_are_all_it_needs) {
  Mailbox<int> box;
  std::vector<int> mail;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 100; ++i) box.put(i);
    box.take(mail);
  }
  const int* const first = mail.data();
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 100; ++i) box.put(i);
    box.take(mail);
    for (int i = 0; i < 100; ++i) box.put(i);
    box.take(mail);
    EXPECT_EQ(mail.data(), first);  // they swap; none is made anew
  }
}

}  // namespace
}  // namespace slipstream
