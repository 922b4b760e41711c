#include "engine/queue_bounds.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

TEST(QueueBounds, one_client_may_fill_the_queue_in_requests_or_tokens) {
  QueueBounds bounds(3, 100, 1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bounds.enter(0, 10).ok());
  const Status full = bounds.enter(0, 10);
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().kind, ErrorKind::kOverloaded);
  EXPECT_NE(full.error().message.find("3 requests of at most 3 wait, with 30 prompt tokens of at most 100"),
            std::string::npos)
      << full.error().message;
  EXPECT_EQ(bounds.num_requests(), 3u);
  bounds.leave(0, 10);
  EXPECT_FALSE(bounds.enter(0, 81).ok());
  EXPECT_TRUE(bounds.enter(0, 80).ok());
}

TEST(QueueBounds, a_request_that_waits_alone_may_have_any_length) {
  QueueBounds bounds(10, 100, 2);
  EXPECT_TRUE(bounds.enter(0, 500).ok());
  EXPECT_FALSE(bounds.enter(0, 1).ok());
  EXPECT_FALSE(bounds.enter(1, 1).ok());
  bounds.leave(0, 500);
  EXPECT_TRUE(bounds.enter(1, 1).ok());
}

TEST(QueueBounds, of_several_clients_each_holds_at_most_what_is_still_free) {
  QueueBounds bounds(100, 1'000'000, 3);
  const auto fill = [&](uint32_t client) {
    int entered = 0;
    while (bounds.enter(client, 1).ok()) ++entered;
    return entered;
  };
  EXPECT_EQ(fill(0), 50);
  EXPECT_EQ(fill(1), 25);
  EXPECT_EQ(fill(2), 13);  // there is always room for who comes next
  EXPECT_EQ(fill(0), 0);
  const Status refusal = bounds.enter(0, 1);
  EXPECT_NE(refusal.error().message.find("this key's share"), std::string::npos) << refusal.error().message;
}

TEST(QueueBounds, the_same_in_tokens) {
  QueueBounds bounds(1000, 100, 2);
  EXPECT_TRUE(bounds.enter(0, 40).ok());
  EXPECT_FALSE(bounds.enter(0, 30).ok());  // it holds 40, and 30 would be free
  EXPECT_TRUE(bounds.enter(1, 30).ok());
  EXPECT_EQ(bounds.num_requests(), 2u);
}

}  // namespace
}  // namespace slipstream
