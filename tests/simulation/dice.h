// Randomness of a simulated world: all of it from one seed, so that the seed replays the world. SplitMix64.
#pragma once

#include <cstdint>
#include <iterator>

namespace slipstream {

constexpr uint64_t mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(mix64(seed)) {}

  uint64_t bits() { return mix64(state_ += 0x9e3779b97f4a7c15u); }
  // In [low, high], both possible.
  uint32_t from(uint32_t low, uint32_t high) {
    return low + static_cast<uint32_t>(bits() % (uint64_t{high} - low + 1));
  }
  bool one_in(uint32_t chances) { return bits() % chances == 0; }
  double fraction() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  template <class Values>
  const auto& any_of(const Values& values) { return values[bits() % std::size(values)]; }

 private:
  uint64_t state_;
};

}  // namespace slipstream
