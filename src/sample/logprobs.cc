#include "sample/logprobs.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/float_mode.h"
#include "kernels/kernels.h"
#include "sample/ranking.h"

namespace slipstream {
namespace {

constexpr double kLn2 = 0.693147180559945309417;

// x >= 1, finite. x = 2^e * m with m in [1/sqrt(2), sqrt(2)]; ln m = 2 artanh((m - 1) / (m + 1)), whose argument is at
// most 0.172: 12 terms are more than a double holds.
double natural_log(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  auto exponent = static_cast<int32_t>(bits >> 52) - 1023;
  double mantissa = std::bit_cast<double>((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);  // [1, 2)
  if (mantissa > 1.41421356237309504880) {
    mantissa *= 0.5;
    ++exponent;
  }
  const double s = (mantissa - 1) / (mantissa + 1);
  const double square = s * s;
  double series = 0;
  for (int term = 23; term >= 1; term -= 2) series = series * square + 1.0 / term;
  return exponent * kLn2 + 2 * s * series;
}

double sum_of_weights(std::span<const float> logits, float max_logit) {
  const Kernels& kernels = best_kernels();
  double sum = 0;
  float weights[kSumBlock];
  for (size_t begin = 0; begin < logits.size(); begin += kSumBlock) {
    const auto size = static_cast<uint32_t>(std::min<size_t>(kSumBlock, logits.size() - begin));
    sum += kernels.weigh(logits.data() + begin, size, max_logit, kLog2e, weights);
  }
  return sum;
}

// The first ranks, by one walk: few enter the list after its first thousands of logits.
void find_best(std::span<const float> logits, std::span<TokenLogprob> best) {
  size_t found = 0;
  const auto consider = [&](TokenId token) {
    const float logit = logits[token];
    if (found == best.size() && !(logit > best.back().logprob)) return;
    size_t place = found < best.size() ? found++ : best.size() - 1;
    for (; place > 0 && logit > best[place - 1].logprob; --place) best[place] = best[place - 1];
    best[place] = {token, logit};
  };
  for (size_t begin = 0; begin < logits.size(); begin += kRankGroup) {
    const size_t end = std::min<size_t>(begin + kRankGroup, logits.size());
    const bool is_whole = end - begin == kRankGroup;
    if (is_whole && found == best.size() && !(largest_in_group(logits.data() + begin) > best.back().logprob)) continue;
    for (size_t token = begin; token < end; ++token) consider(static_cast<TokenId>(token));
  }
  std::fill(best.begin() + found, best.end(), best[found - 1]);
}

}  // namespace

void find_logprobs(std::span<const float> logits, TokenId token, std::span<TokenLogprob> out) {
  CHECK(token < logits.size() && !out.empty() && out.size() <= 1 + kMaxTopLogprobs, "token {} of {}, {} places", token,
        logits.size(), out.size());
  const FloatModeScope float_mode;
  const float max_logit = logits[first_rank(logits)];
  const double log_sum = natural_log(sum_of_weights(logits, max_logit));
  out[0] = {token, logits[token]};
  if (out.size() > 1) find_best(logits, out.subspan(1));
  for (TokenLogprob& one : out) {  // they hold logits until here
    one.logprob = static_cast<float>((static_cast<double>(one.logprob) - static_cast<double>(max_logit)) - log_sum);
  }
}

}  // namespace slipstream
