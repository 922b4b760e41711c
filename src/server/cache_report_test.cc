#include "server/cache_report.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

TextEvent event_of(uint32_t cached_tokens, ReuseEnd end, double ago_s = 0) {
  TextEvent event;
  event.cached_tokens = cached_tokens;
  event.reuse = {end, static_cast<uint64_t>(ago_s * 1e9)};
  return event;
}

std::string json_of(const std::vector<TextEvent>& events) {
  CacheReport report;
  for (const TextEvent& event : events) report.add(event);
  return report.json();
}

TEST(CacheReport, says_how_much_and_why_not_more) {
  EXPECT_EQ(json_of({event_of(0, ReuseEnd::kNew)}),
            R"({"status":"MISS","reused_tokens":0,"reason":"never seen: nothing in the cache begins like it"})");
  EXPECT_EQ(json_of({event_of(99, ReuseEnd::kAll)}),
            R"({"status":"HIT","reused_tokens":99,"reason":"all but the last token, which is always computed"})");
  EXPECT_EQ(json_of({event_of(70, ReuseEnd::kDiffers)}),
            R"({"status":"PREFIX_HIT","reused_tokens":70,"reason":"differs at token 70 from what is cached"})");
  EXPECT_EQ(json_of({event_of(64, ReuseEnd::kEnds)}),
            R"({"status":"PREFIX_HIT","reused_tokens":64,"reason":"what is cached ends before token 64"})");
  EXPECT_EQ(json_of({event_of(0, ReuseEnd::kEvicted, 12.34)}),
            R"({"status":"MISS","reused_tokens":0,"reason":"evicted 12.3 s ago, from token 0 on"})");
  EXPECT_EQ(json_of({event_of(64, ReuseEnd::kCleared, 7200)}),
            R"({"status":"PREFIX_HIT","reused_tokens":64,"reason":"cleared 120 min ago, from token 64 on"})");
}

TEST(CacheReport, of_several_prompts_gives_the_reason_of_the_first_that_was_not_whole) {
  EXPECT_EQ(json_of({event_of(9, ReuseEnd::kAll), event_of(0, ReuseEnd::kOtherKey), event_of(0, ReuseEnd::kNew)}),
            R"({"status":"PREFIX_HIT","reused_tokens":9,"reason":"other key: it is cached without this cache_salt"})");
  EXPECT_EQ(json_of({event_of(0, ReuseEnd::kOff), event_of(0, ReuseEnd::kOff)}),
            R"({"status":"MISS","reused_tokens":0,"reason":"the prefix cache is off"})");
  EXPECT_EQ(json_of({event_of(9, ReuseEnd::kAll), event_of(5, ReuseEnd::kAll)}),
            R"({"status":"HIT","reused_tokens":14,"reason":"all but the last token, which is always computed"})");
}

}  // namespace
}  // namespace slipstream
