// Random numbers as a function of where they stand, not of what was drawn before: Philox4x32-10, ten rounds of multiply
// and xor on a counter under a key (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Any thread,
// no state.
#pragma once

#include <array>
#include <cstdint>

namespace slipstream {

// Four random words for each of 2^128 counters, under each of 2^64 keys (key word 0 = the low half).
constexpr std::array<uint32_t, 4> philox4x32(uint64_t key, std::array<uint32_t, 4> counter) {
  uint32_t key0 = static_cast<uint32_t>(key);
  uint32_t key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xd2511f53} * counter[0];
    const uint64_t product1 = uint64_t{0xcd9e8d57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += 0x9e3779b9;  // the golden ratio
    key1 += 0xbb67ae85;  // sqrt(3) - 1
  }
  return counter;
}

// 64 random bits for each index, under each key: the mixing function of SplitMix64 (Steele, Lea, Flood, "Fast
// splittable pseudorandom number generators", OOPSLA 2014) on a counter. Two multiplications for 8 bytes where Philox
// takes twenty for 16: for made-up weights. Nothing that a user sees is drawn with it.
constexpr uint64_t splitmix64(uint64_t key, uint64_t index) {
  uint64_t word = key + (index + 1) * 0x9e3779b97f4a7c15;
  word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
  word = (word ^ word >> 27) * 0x94d049bb133111eb;
  return word ^ word >> 31;
}

// Uniform in [0, 1), a multiple of 2^-53, from the first two words.
constexpr double unit_double(const std::array<uint32_t, 4>& words) {
  const uint64_t bits = (uint64_t{words[0]} << 21) + (words[1] >> 11);
  return static_cast<double>(bits) * 0x1p-53;
}

}  // namespace slipstream
