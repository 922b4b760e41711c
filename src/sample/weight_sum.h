// The order in which weights over a vocabulary are added (ARITHMETIC.md 9): fp32 in 16 virtual lanes inside a block of
// 1,024 ids, blocks in double. Kernels::weigh adds a block as it is made; this one does it after some were dropped.
// Inside of sample/.
#pragma once

#include "kernels/fixed_arithmetic.h"
#include "sample/lanes.h"

namespace slipstream {

// weights: [kSumBlock]. Those where keep(i, weights i .. i + 7), a comparison, does not hold become 0. Returns the sum
// of the others: 16 virtual lanes, lane id % 16, and one tree.
template <class Keep>
float keep_in_block(float* weights, Keep&& keep) {
  Floats first = {}, second = {};  // lanes 0-7, 8-15
  for (uint32_t i = 0; i < kSumBlock; i += 2 * kLanes) {
    Floats lanes = load_lanes(weights + i);
    lanes = where(keep(i, lanes), lanes);
    store_lanes(weights + i, lanes);
    first += lanes;
    lanes = load_lanes(weights + i + kLanes);
    lanes = where(keep(i + kLanes, lanes), lanes);
    store_lanes(weights + i + kLanes, lanes);
    second += lanes;
  }
  first += second;
  return ((first[0] + first[4]) + (first[2] + first[6])) + ((first[1] + first[5]) + (first[3] + first[7]));
}

}  // namespace slipstream
