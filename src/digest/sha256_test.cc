#include "digest/sha256.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <string>

namespace slipstream {
namespace {

std::string hex(const std::array<std::byte, 32>& digest) {
  std::string text;
  for (const std::byte byte : digest) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

std::string of(std::string_view text) { return hex(Sha256().add(std::as_bytes(std::span(text))).finish()); }

// The examples of FIPS 180-2, and an empty message.
TEST(Sha256, gives_the_published_digests) {
  EXPECT_EQ(of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(of(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, does_not_depend_on_how_the_bytes_came) {
  const std::string text = "some bytes, longer than a block of sixty-four of them, so that pieces cross its end";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Sha256 hash;
    hash.add(std::as_bytes(std::span(text).first(cut)));
    hash.add(std::as_bytes(std::span(text).subspan(cut)));
    EXPECT_EQ(hex(hash.finish()), of(text)) << cut;
  }
}

}  // namespace
}  // namespace slipstream
