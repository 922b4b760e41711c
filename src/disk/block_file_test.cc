#include "disk/block_file.h"

#include <gtest/gtest.h>

#include "disk/test_folder.h"

namespace slipstream {
namespace {

ChainKey key_of(const TestBlock& block) { return chain_key(test_secret(), block.name(), 8); }

std::vector<std::byte> file_of(const TestBlock& block) {
  std::vector<std::byte> image(block_file_bytes(test_space(), block.bytes.size()));
  const auto place = begin_block_file(test_space(), key_of(block), block.name(), block.bytes.size(), image);
  std::ranges::copy(block.bytes, place.begin());
  image.resize(end_block_file(image).size());
  return image;
}

bool is_read_as(const TestBlock& block, std::span<const std::byte> file) {
  const auto content = read_block_file(test_space(), key_of(block), block.name(), file);
  if (!content) return false;
  EXPECT_TRUE(std::ranges::equal(content->tokens, block.tokens));
  EXPECT_TRUE(std::ranges::equal(content->bytes, block.bytes));
  return true;
}

TEST(ChainKey, differs_where_anything_differs_that_a_block_depends_on) {
  TestBlock block(1);
  const ChainKey key = key_of(block);
  EXPECT_EQ(key_of(TestBlock(1)), key);
  EXPECT_FALSE(chain_key(test_secret(2), block.name(), 8) == key);
  TestBlock other = block;
  other.tokens[7] ^= 1;
  EXPECT_FALSE(key_of(other) == key);
  other = block;
  other.extra[1] = 1;
  EXPECT_FALSE(key_of(other) == key);
  other.extra = {1, 0};
  EXPECT_FALSE(key_of(other) == key);
  other = block;
  other.parent = {0, 1};
  EXPECT_FALSE(key_of(other) == key);
}

TEST(ChainKey, of_the_end_of_a_sequence_depends_on_its_first_token_alone) {
  TestBlock block(2, 3);
  block.tokens[0] = TestBlock(1, 7).tokens[0];
  EXPECT_EQ(key_of(TestBlock(1, 7)), key_of(block));
  EXPECT_FALSE(key_of(TestBlock(1, 7)) == key_of(TestBlock(2, 7)));
  EXPECT_FALSE(key_of(TestBlock(1, 7)) == key_of(TestBlock(1, 8)));
  TestBlock other(1, 7);
  other.extra[0] = 1;
  EXPECT_FALSE(key_of(other) == key_of(TestBlock(1, 7)));
}

TEST(BlockFile, is_read_as_what_was_written) {
  for (const uint32_t num_tokens : {1u, 5u, 8u}) {
    for (const size_t num_bytes : {size_t{0}, size_t{1}, size_t{1000}}) {
      const TestBlock block(7, num_tokens, num_bytes);
      EXPECT_TRUE(is_read_as(block, file_of(block))) << num_tokens << " tokens, " << num_bytes << " bytes";
    }
  }
}

TEST(BlockFile, of_the_end_of_a_sequence_says_its_tokens) {
  const TestBlock block(7, 5);
  const auto file = file_of(block);
  const std::vector<TokenId> asked = {block.tokens[0], 1, 2, 3, 4, 5, 6};
  for (const size_t length : {1u, 3u, 7u}) {
    const BlockName name{block.parent, block.extra, std::span(asked).first(length)};
    const auto content = read_block_file(test_space(), key_of(block), name, file);
    ASSERT_TRUE(content);
    EXPECT_TRUE(std::ranges::equal(content->tokens, block.tokens));
    EXPECT_FALSE(read_block_file(test_space(), key_of(TestBlock(7)), name, file_of(TestBlock(7)))) << "no end";
  }
  TestBlock other = block;
  other.tokens[0] ^= 1;
  EXPECT_FALSE(read_block_file(test_space(), key_of(block), other.name(), file));
}

TEST(BlockFile, with_any_bit_flipped_is_not_read) {
  const TestBlock block(7, 8, 200);
  std::vector<std::byte> file = file_of(block);
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    file[bit / 8] ^= std::byte{1} << bit % 8;
    EXPECT_FALSE(is_read_as(block, file)) << "bit " << bit;
    file[bit / 8] ^= std::byte{1} << bit % 8;
  }
  EXPECT_TRUE(is_read_as(block, file));
}

TEST(BlockFile, of_any_other_length_is_not_read) {
  const TestBlock block(7, 8, 200);
  std::vector<std::byte> file = file_of(block);
  for (size_t length = 0; length < file.size(); ++length) {
    EXPECT_FALSE(is_read_as(block, std::span(file).first(length))) << length;
  }
  file.push_back(std::byte{0});
  EXPECT_FALSE(is_read_as(block, file));
}

TEST(BlockFile, of_zeros_behind_any_place_is_not_read) {  // what a machine that stopped may leave
  const TestBlock block(7, 8, 200);
  for (size_t begin = 0; begin + 1 < file_of(block).size(); ++begin) {
    std::vector<std::byte> file = file_of(block);
    std::fill(file.begin() + static_cast<ptrdiff_t>(begin), file.end(), std::byte{0});
    EXPECT_FALSE(is_read_as(block, file)) << begin;
  }
}

TEST(BlockFile, is_read_for_its_own_name_and_model_alone) {
  const TestBlock block(7);
  const auto file = file_of(block);
  const auto reads = [&](const CacheNamespace& space, const BlockName& name) {
    return read_block_file(space, key_of(block), name, file).has_value();
  };
  EXPECT_TRUE(reads(test_space(), block.name()));
  CacheNamespace space = test_space();
  space.model[0] ^= 1;
  EXPECT_FALSE(reads(space, block.name()));
  space = test_space();
  ++space.arithmetic;
  EXPECT_FALSE(reads(space, block.name()));
  TestBlock other = block;
  other.parent.high = 1;
  EXPECT_FALSE(reads(test_space(), other.name()));
  other = block;
  other.extra[0] = 1;
  EXPECT_FALSE(reads(test_space(), other.name()));
  other = block;
  other.tokens[0] ^= 1;
  EXPECT_FALSE(reads(test_space(), other.name()));
}

TEST(BlockFile, has_a_name_that_can_be_read_back) {
  const CacheNamespace space{.model = {~uint64_t{0}, 1}, .arithmetic = 12, .block_tokens = 256};
  const ChainKey key{5, uint64_t{1} << 63};
  const std::string name = block_file_name(space, key);
  EXPECT_EQ(name, "0000000000000001ffffffffffffffff-a12-b256-80000000000000000000000000000005.kv");
  const auto parsed = parse_block_file_name(name);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->space, space);
  EXPECT_EQ(parsed->key, key);
  for (const std::string& wrong : {std::string(), std::string("lock"), name + "x", "x" + name, name.substr(1),
                                   name.substr(0, name.size() - 4) + ".kv", std::string("-a1-b2-.kv")}) {
    EXPECT_FALSE(parse_block_file_name(wrong)) << wrong;
  }
  std::string upper = name;
  upper[20] = 'F';
  EXPECT_FALSE(parse_block_file_name(upper)) << "one block has one name";
}

}  // namespace
}  // namespace slipstream
