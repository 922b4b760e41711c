#include "cache/sequence_keys.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

constexpr uint32_t kBlockTokens = 4;

ExtraKey key(std::span<const RangeKey> ranges, uint32_t begin) {
  return extra_key_of_block({{7, 8}, ranges}, begin, kBlockTokens);
}

TEST(SequenceKeys, blocks_that_a_range_does_not_overlap_have_the_base) {
  const RangeKey ranges[] = {{4, 8, {1, 2}}, {12, 13, {1, 2}}};
  EXPECT_EQ(key({}, 0), (ExtraKey{7, 8}));
  EXPECT_EQ(key(ranges, 0), (ExtraKey{7, 8}));
  EXPECT_EQ(key(ranges, 8), (ExtraKey{7, 8}));
  EXPECT_EQ(key(ranges, 16), (ExtraKey{7, 8}));
  EXPECT_NE(key(ranges, 4), (ExtraKey{7, 8}));
  EXPECT_NE(key(ranges, 12), (ExtraKey{7, 8}));
}

TEST(SequenceKeys, each_block_that_a_range_overlaps_has_a_key_of_its_own) {
  const RangeKey picture[] = {{2, 11, {1, 2}}};
  EXPECT_NE(key(picture, 0), key(picture, 4));
  EXPECT_NE(key(picture, 4), key(picture, 8));
  EXPECT_NE(key(picture, 8), (ExtraKey{7, 8}));
}

TEST(SequenceKeys, a_range_tells_by_its_place_in_the_block_and_its_key) {
  const RangeKey picture[] = {{5, 7, {1, 2}}};
  const RangeKey block_later[] = {{9, 11, {1, 2}}};
  EXPECT_EQ(key(picture, 4), key(block_later, 8));
  for (const RangeKey& other : {RangeKey{4, 7, {1, 2}}, {5, 8, {1, 2}}, {5, 7, {2, 2}}, {5, 7, {1, 1}}}) {
    EXPECT_NE(key(picture, 4), key({&other, 1}, 4));
  }
}

}  // namespace
}  // namespace slipstream
