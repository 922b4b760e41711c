#include "server/cache_key.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace slipstream {
namespace {

using Salt = std::optional<std::string>;

CacheSecret counted_secret() {
  CacheSecret secret;
  for (size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::byte>(i);
  return secret;
}

CacheKeys keys_of(const std::vector<std::string>& apart) { return {counted_secret(), apart}; }

// By Python's hmac: hmac.new(hmac.new(bytes(range(32)), b"\x02alice", "sha256").digest(), b"\x04blue", "sha256") and
// the same of b"\x01" and b"\x03".
TEST(CacheKeys, are_the_first_128_bits_of_hmac_sha_256) {
  EXPECT_EQ(keys_of({"alice", "bob"}).of(0, "blue"), (ExtraKey{0xa13bbfa61c224621, 0x023b175091a716f5}));
  EXPECT_EQ(keys_of({}).of(0, {}), (ExtraKey{0xffb8069c3a1b7fe7, 0x37a24c284463bc7b}));
}

TEST(CacheKeys, differ_with_the_client_and_with_the_salt_and_no_pair_is_taken_for_another) {
  const std::vector<std::string> names = {"a", "ab", "b", "abc", "bc", std::string(1, '\3'), std::string(1, '\4')};
  const std::vector<Salt> salts = {std::nullopt, "", "a", "b", "bc", "c", "ab", std::string("a\0", 2),
                                   std::string(1, '\3'), std::string(1, '\4')};
  std::set<std::pair<uint64_t, uint64_t>> seen;
  const auto expect_new = [&seen, &salts](const CacheKeys& keys, uint32_t client) {
    for (const Salt& salt : salts) {
      const ExtraKey key = keys.of(client, salt);
      EXPECT_TRUE(seen.insert({key.low, key.high}).second) << client << " " << salt.value_or("none");
      EXPECT_NE(key, ExtraKey{});
      EXPECT_EQ(keys.of(client, salt), key);
    }
  };
  const CacheKeys several = keys_of(names);
  for (uint32_t client = 0; client < names.size(); ++client) expect_new(several, client);
  expect_new(keys_of({}), 0);
  CacheSecret other = counted_secret();
  other.back() ^= std::byte{1};
  expect_new(CacheKeys(other, {"a"}), 0);
  expect_new(CacheKeys(other, {}), 0);
}

TEST(CacheKeys, are_one_for_clients_that_are_not_apart_and_a_salt_still_narrows) {
  const CacheKeys shared = keys_of({});
  EXPECT_EQ(shared.of(0, {}), shared.of(1, {}));
  EXPECT_EQ(shared.of(0, "x"), shared.of(1, "x"));
  EXPECT_NE(shared.of(0, "x"), shared.of(0, "y"));
  EXPECT_NE(shared.of(0, "x"), shared.of(0, {}));
}

TEST(CacheKeys, go_with_the_text_of_an_api_key_wherever_it_stands) {
  EXPECT_EQ(keys_of({"a", "b"}).of(1, "x"), keys_of({"b", "c", "d"}).of(0, "x"));
  EXPECT_EQ(keys_of({"a", "b"}).of(1, {}), keys_of({"b"}).of(0, {}));
}

TEST(CacheKeys, without_salt_are_listed_once_each) {
  const CacheKeys several = keys_of({"a", "b"});
  ASSERT_EQ(several.unsalted().size(), 2u);
  for (uint32_t client = 0; client < 2; ++client) EXPECT_EQ(several.unsalted()[client], several.of(client, {}));
  EXPECT_EQ(keys_of({}).unsalted().size(), 1u);
}

}  // namespace
}  // namespace slipstream
