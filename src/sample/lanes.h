// Eight numbers side by side, for the few loops over a vocabulary that are no kernels. Inside of sample/.
#pragma once

#include <cstdint>
#include <cstring>

namespace slipstream {

using Floats = float __attribute__((vector_size(32)));
using Integers = int32_t __attribute__((vector_size(32)));  // a comparison's result too: all ones where it holds
inline constexpr uint32_t kLanes = 8;

inline Floats load_lanes(const float* from) {
  Floats lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}
inline void store_lanes(float* to, Floats lanes) { std::memcpy(to, &lanes, sizeof lanes); }

// The numbers where the comparison holds, elsewhere 0.
inline Floats where(Integers holds, Floats numbers) {
  return reinterpret_cast<Floats>(reinterpret_cast<Integers>(numbers) & holds);
}

}  // namespace slipstream
