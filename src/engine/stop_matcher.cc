#include "engine/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace slipstream {
namespace {

// The longest prefix of `text` that ends (what `matched` stands for, then `byte`).
uint32_t advance(const std::string& text, const std::vector<uint32_t>& fallback, uint32_t matched, char byte) {
  while (matched > 0 && text[matched] != byte) matched = fallback[matched - 1];
  return text[matched] == byte ? matched + 1 : matched;
}

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  for (std::string& text : stops) {
    CHECK(!text.empty(), "an empty stop string");
    longest_ = std::max(longest_, static_cast<uint32_t>(text.size()));
    Stop stop{std::move(text), {}, 0};
    stop.fallback.assign(stop.text.size(), 0);
    for (size_t i = 1; i < stop.text.size(); ++i) {
      stop.fallback[i] = advance(stop.text, stop.fallback, stop.fallback[i - 1], stop.text[i]);
    }
    stops_.push_back(std::move(stop));
  }
}

std::optional<StopMatcher::Found> StopMatcher::read(std::string_view piece) {
  if (stops_.empty()) return std::nullopt;
  for (size_t i = 0; i < piece.size(); ++i) {
    uint32_t found = 0;
    for (Stop& stop : stops_) {
      stop.matched = advance(stop.text, stop.fallback, stop.matched, piece[i]);
      if (stop.matched == stop.text.size()) found = std::max(found, stop.matched);
    }
    if (found > 0) return Found{i + 1, found};
  }
  return std::nullopt;
}

uint32_t StopMatcher::num_held() const {
  uint32_t held = 0;
  for (const Stop& stop : stops_) held = std::max(held, stop.matched);
  return held;
}

}  // namespace slipstream
