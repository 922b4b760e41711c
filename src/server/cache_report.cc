#include "server/cache_report.h"

#include <fmt/format.h>

#include "api/json_text.h"

namespace slipstream {
namespace {

std::string time_text(uint64_t ns) {
  const double seconds = static_cast<double>(ns) * 1e-9;
  return seconds < 100 ? fmt::format("{:.1f} s", seconds) : fmt::format("{:.0f} min", seconds / 60);
}

}  // namespace

// Tokens of a prompt are counted from 0, so the first that was not reused has the number of those that were.
std::string reuse_reason(const Reuse& reuse, uint32_t num_reused) {
  switch (reuse.end) {
    case ReuseEnd::kAll:
      return "all but the last token, which is always computed";
    case ReuseEnd::kNew:
      return "never seen: nothing in the cache begins like it";
    case ReuseEnd::kEnds:
      return fmt::format("what is cached ends before token {}", num_reused);
    case ReuseEnd::kDiffers:
      return fmt::format("differs at token {} from what is cached", num_reused);
    case ReuseEnd::kEvicted:
      return fmt::format("evicted {} ago, from token {} on", time_text(reuse.ago_ns), num_reused);
    case ReuseEnd::kCleared:
      return fmt::format("cleared {} ago, from token {} on", time_text(reuse.ago_ns), num_reused);
    case ReuseEnd::kOtherKey:
      return "other key: it is cached without this cache_salt";
    case ReuseEnd::kScored:
      return "not looked for: the logprobs of the prompt are wanted";
    case ReuseEnd::kOff:
      return "the prefix cache is off";
  }
  return {};
}

void CacheReport::add(const TextEvent& event) {
  num_reused_ += event.cached_tokens;
  if (!is_whole_) return;
  reason_ = reuse_reason(event.reuse, event.cached_tokens);
  is_whole_ = event.reuse.end == ReuseEnd::kAll;
}

std::string CacheReport::json() const {
  const char* const status = num_reused_ == 0 ? "MISS" : is_whole_ ? "HIT" : "PREFIX_HIT";
  return fmt::format(R"({{"status":"{}","reused_tokens":{},"reason":{}}})", status, num_reused_, json_string(reason_));
}

}  // namespace slipstream
