#include "app/load.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "app/local_engine.h"
#include "base/percentile.h"
#include "base/random.h"

namespace slipstream {
namespace {

Spread spread_of(const std::vector<double>& seconds) {
  return {percentile(seconds, 0.50) * 1e3, percentile(seconds, 0.99) * 1e3};
}

}  // namespace

std::vector<TokenId> LoadPlan::prompt(uint32_t request) const {
  return made_up_tokens(splitmix64(seed, request), prompt_tokens, vocab_size);
}

std::vector<double> LoadPlan::arrivals() const {
  std::vector<double> times(num_requests);
  double now_s = 0;
  for (uint32_t request = 0; request < num_requests; ++request) {
    times[request] = now_s;
    // 53 bits of a number in (0, 1].
    const double part = (static_cast<double>(splitmix64(~seed, request) >> 11) + 1) * 0x1p-53;
    now_s -= std::log(part) / request_rate;
  }
  return times;
}

double tokens_per_second(const Load& load) {
  if (load.empty()) return 0;
  double first_s = load.front().asked_s, last_s = 0;
  uint64_t num_tokens = 0;
  for (const LoadedRequest& request : load) {
    if (!request.fault.empty()) continue;
    first_s = std::min(first_s, request.asked_s);
    last_s = std::max(last_s, request.ended_s);
    num_tokens += request.num_tokens;
  }
  return last_s > first_s ? static_cast<double>(num_tokens) / (last_s - first_s) : 0;
}

LoadNumbers numbers_of(std::span<const Load> loads) {
  LoadNumbers numbers;
  std::vector<double> first_event, first_text, between;
  double num_pieces = 0, num_tokens = 0;
  for (const Load& load : loads) {
    for (const LoadedRequest& request : load) {
      if (!request.fault.empty()) {
        if (numbers.num_faults++ == 0) numbers.first_fault = request.fault;
        continue;
      }
      num_pieces += static_cast<double>(request.text_s.size());
      num_tokens += request.num_tokens;
      first_event.push_back(request.first_event_s - request.asked_s);
      if (!request.text_s.empty()) first_text.push_back(request.text_s.front() - request.asked_s);
      for (size_t piece = 1; piece < request.text_s.size(); ++piece)
        between.push_back(request.text_s[piece] - request.text_s[piece - 1]);
    }
  }
  numbers.first_event = spread_of(first_event);
  numbers.first_text = spread_of(first_text);
  numbers.between = spread_of(between);
  if (num_tokens > 0) numbers.pieces_per_token = num_pieces / num_tokens;
  return numbers;
}

}  // namespace slipstream
