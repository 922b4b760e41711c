#include "server/api_keys.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

TEST(ApiKeys, each_key_is_a_client_of_its_own) {
  const ApiKeys keys({"first-key", "second", std::string(kMostKeyBytes, 'k')});
  EXPECT_EQ(keys.find("Bearer first-key"), 0u);
  EXPECT_EQ(keys.find("bearer second"), 1u);
  EXPECT_EQ(keys.find("BEARER " + std::string(kMostKeyBytes, 'k')), 2u);
}

TEST(ApiKeys, whatever_is_no_key_is_nobody) {
  const ApiKeys keys({"first-key", "second"});
  const std::string wrong[] = {"",
                               "Bearer",
                               "Bearer ",
                               "first-key",
                               "Basic first-key",
                               "Bearer first",
                               "Bearer first-key2",
                               "Bearer FIRST-KEY",
                               "Bearer  second",
                               "Bearer second ",
                               "Bearer second, Bearer second",
                               std::string("Bearer second\0", 14),
                               "Bearer " + std::string(kMostKeyBytes + 1, 's'),
                               "Bearer " + std::string(10'000, 's')};
  for (const std::string& authorization : wrong) EXPECT_EQ(keys.find(authorization), std::nullopt) << authorization;
}

TEST(ApiKeys, without_keys_everyone_is_the_one_client) {
  EXPECT_EQ(ApiKeys({}).find(""), 0u);
  EXPECT_EQ(ApiKeys({}).find("Bearer anything"), 0u);
  EXPECT_EQ(ApiKeys::num_clients({}), 1u);
  EXPECT_EQ(ApiKeys::num_clients({"a", "b"}), 2u);
}

TEST(ApiKeys, a_key_that_no_header_can_carry_is_refused_and_not_shown) {
  EXPECT_TRUE(check_api_key("sk-proj_AZaz09.~+/=").ok());
  const std::string wrong[] = {"", "se cret", "secret\n", "secr\xc3\xa9t", std::string(kMostKeyBytes + 1, 'x')};
  for (const std::string& key : wrong) {
    const Status status = check_api_key(key);
    ASSERT_FALSE(status.ok()) << key;
    EXPECT_EQ(status.error().message.find("secr"), std::string::npos);
  }
}

}  // namespace
}  // namespace slipstream
