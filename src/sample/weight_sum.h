// The order in which weights over a vocabulary are added (ARITHMETIC.md 9): fp32 in 16 virtual lanes inside a block of
// 1,024 ids, blocks in double. Inside of sample/.
#pragma once

#include <cstdint>

namespace slipstream {

inline constexpr uint32_t kSumBlock = 1024;

// weights: [kSumBlock]. 16 virtual lanes, lane id % 16, and one tree.
inline float block_sum(const float* weights) {
  constexpr uint32_t kLanes = 16;
  float lanes[kLanes] = {};
  for (uint32_t i = 0; i < kSumBlock; i += kLanes) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) lanes[lane] += weights[i + lane];
  }
  for (uint32_t half = kLanes / 2; half > 0; half /= 2) {
    for (uint32_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

}  // namespace slipstream
