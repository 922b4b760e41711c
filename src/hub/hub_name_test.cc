#include "hub/hub_name.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

TEST(HubName, organisation_and_name) {
  const auto name = parse_hub_name("mlx-community/Qwen3-0.6B-8bit");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->repository, "mlx-community/Qwen3-0.6B-8bit");
  EXPECT_EQ(name->revision, "main");
  EXPECT_EQ(name->file_part, "");
}

TEST(HubName, a_revision_and_a_part_of_a_files_name) {
  auto name = parse_hub_name("a/b@refs/pr/3").value();
  EXPECT_EQ(name.repository, "a/b");
  EXPECT_EQ(name.revision, "refs/pr/3");
  name = parse_hub_name("a/b:Q8_0.gguf").value();
  EXPECT_EQ(name.repository, "a/b");
  EXPECT_EQ(name.file_part, "Q8_0.gguf");
  name = parse_hub_name("a/b@v1.0:Q4").value();
  EXPECT_EQ(name.revision, "v1.0");
  EXPECT_EQ(name.file_part, "Q4");
}

TEST(HubName, what_is_none) {
  const std::string long_name = "a/" + std::string(95, 'b');
  for (const std::string text :
       {"", "/", "a", "a/", "/b", "a/b/c", "./b", "../b", "a/..", "a/b..c", "a/b--c", "a--b/c", "-a/b", "a/b-", ".a/b",
        "a/b.", "a b/c", "a/b\n", "a/b.git", "a/b@", "a/b@..", "a/b@-x", "a/b@x//y", "a/b@/x", "a/b@x/.", "a/b@x y",
        "a/b:", "a/b:..", "a/b:x/y", "a/b:c:d", "/models/x", "~/x", "a/\xc3\xa4", long_name.c_str()}) {
    EXPECT_FALSE(parse_hub_name(text).has_value()) << text;
  }
  EXPECT_TRUE(parse_hub_name(long_name.substr(0, 96)).has_value());
}

}  // namespace
}  // namespace slipstream
