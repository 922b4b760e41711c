#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace slipstream {
namespace {

using Found = StopMatcher::Found;

TEST(StopMatcher, finds_a_stop_string_across_pieces) {
  StopMatcher stops({"hello"});
  EXPECT_FALSE(stops.read("say hel"));
  EXPECT_EQ(stops.num_held(), 3u);
  const auto found = stops.read("lo there");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->end, 2u);
  EXPECT_EQ(found->num_bytes, 5u);
}

TEST(StopMatcher, a_beginning_that_comes_to_nothing_is_held_no_longer) {
  StopMatcher stops({"hello"});
  stops.read("hell");
  EXPECT_EQ(stops.num_held(), 4u);
  stops.read("i");
  EXPECT_EQ(stops.num_held(), 0u);
}

TEST(StopMatcher, a_beginning_inside_a_beginning_is_not_missed) {
  StopMatcher stops({"aab"});
  const auto found = stops.read("aaab");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->end, 4u);
}

TEST(StopMatcher, the_one_that_ends_first_is_found_and_of_those_the_longest) {
  StopMatcher stops({"cd", "bcd", "abcde"});
  const auto found = stops.read("xabcdef");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->end, 5u);
  EXPECT_EQ(found->num_bytes, 3u);
}

TEST(StopMatcher, without_stop_strings_nothing_is_held) {
  StopMatcher stops({});
  EXPECT_FALSE(stops.read("anything"));
  EXPECT_EQ(stops.num_held(), 0u);
  EXPECT_EQ(stops.longest(), 0u);
}

TEST(StopMatcher, equals_a_search_of_the_whole_text_however_it_is_cut) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    const auto word = [&](uint32_t longest) {
      std::string text;
      for (uint32_t i = 1 + random() % longest; i > 0; --i) text += static_cast<char>('a' + random() % 2);
      return text;
    };
    const std::vector<std::string> words{word(6), word(6), word(9)};
    const std::string text = word(60);
    size_t first_end = 0;
    uint32_t longest = 0;
    for (size_t end = 1; end <= text.size() && longest == 0; ++end) {
      for (const std::string& stop : words) {
        if (std::string_view(text).substr(0, end).ends_with(stop))
          longest = std::max(longest, static_cast<uint32_t>(stop.size()));
      }
      first_end = end;
    }
    StopMatcher stops(words);
    size_t begin = 0;
    std::optional<Found> found;
    while (begin < text.size() && !found) {
      const std::string_view piece = std::string_view(text).substr(begin, 1 + random() % 5);
      found = stops.read(piece);
      if (found) found->end += begin;
      begin += piece.size();
    }
    ASSERT_EQ(found.has_value(), longest > 0) << text;
    if (!found) continue;
    EXPECT_EQ(found->end, first_end);
    EXPECT_EQ(found->num_bytes, longest);
  }
}

// 2 MB of text against a stop string of 1 MB that it almost is, over and over: linear, or this test does not end.
TEST(StopMatcher, a_long_stop_string_does_not_make_text_slow) {
  const std::string almost(1 << 20, 'a');
  StopMatcher stops({almost + "b"});
  for (int piece = 0; piece < 2048; ++piece) EXPECT_FALSE(stops.read(std::string_view(almost).substr(0, 1024)));
  EXPECT_EQ(stops.num_held(), almost.size());
}

}  // namespace
}  // namespace slipstream
