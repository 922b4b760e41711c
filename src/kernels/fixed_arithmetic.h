// The constants of the one arithmetic (ARITHMETIC.md 3 and 9, AVX2.md 5.1) and the few scalar steps that every
// instruction set takes in the same way. Changing a number here changes the bits of every answer.
#pragma once

#include <bit>
#include <cstdint>

namespace slipstream {

// Which arithmetic this is, for K and V that outlive the program (model/model_digest.h). Raise it whenever the bits of
// K or V change for the same model and tokens: a constant here, the order of an operation, what a block's bytes are.
inline constexpr uint32_t kArithmeticVersion = 1;

inline constexpr uint32_t kChunkInputs = 256;               // inputs that share one activation scale
inline constexpr uint32_t kBiasGroups = 32;                 // weight groups whose biases are added together
inline constexpr float kInt16Range = 32512.0f;              // activations are integers in +-32512 = 127 * 256
inline constexpr uint32_t kTinyBits = (127u - 100u) << 23;  // 2^-100: a chunk whose largest is smaller is zero
inline constexpr uint32_t kNotFiniteBits = 0x7f800000;      // sign-less bits from here on: infinity and NaN
inline constexpr uint32_t kSegmentTokens = 256;  // attention: tokens of one softmax segment, at absolute positions
inline constexpr uint32_t kMaxPageTokens = 32;
inline constexpr uint32_t kSumBlock = 1024;      // sampling: ids whose weights are added in fp32
inline constexpr float kFp16Max = 65504.0f;
inline constexpr float kLog2e = std::bit_cast<float>(0x3fb8aa3bu);
inline constexpr double kLog2eDouble = 1.4426950408889634074;

// exp2: the polynomial in f = x - rint(x), highest power first (AVX2.md 5.1).
inline constexpr float kExp2Coefficients[7] = {1.5353362e-4f, 1.3398874e-3f, 9.6184373e-3f, 5.5503324e-2f,
                                               2.4022648e-1f, 6.9314720e-1f, 1.0f};
inline constexpr float kExp2Limit = 126.0f;

static inline float exp2_polynomial(float x) {
  x = x > -kExp2Limit ? x : -kExp2Limit;
  x = x < kExp2Limit ? x : kExp2Limit;
  const float whole = __builtin_rintf(x);
  const float rest = x - whole;
  // Written out: gcc 12 does not turn a loop over numbers into vectors while there is a loop inside it.
  float p = __builtin_fmaf(kExp2Coefficients[0], rest, kExp2Coefficients[1]);
  p = __builtin_fmaf(p, rest, kExp2Coefficients[2]);
  p = __builtin_fmaf(p, rest, kExp2Coefficients[3]);
  p = __builtin_fmaf(p, rest, kExp2Coefficients[4]);
  p = __builtin_fmaf(p, rest, kExp2Coefficients[5]);
  p = __builtin_fmaf(p, rest, kExp2Coefficients[6]);
  const uint32_t exponent = static_cast<uint32_t>(static_cast<int32_t>(whole)) << 23;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(p) + exponent);
}

static inline uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

// The sum of virtual lanes, a power of two of them: L[j] += L[j + n / 2], + n / 4 ... + 1.
template <class Number, uint32_t kLanes>
static inline Number sum_tree(Number (&lanes)[kLanes]) {
  for (uint32_t width = kLanes / 2; width > 0; width /= 2) {
    for (uint32_t j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  }
  return lanes[0];
}

// Two threads may find the same row not finite in different places: both store 0.
static inline void mark_not_finite(uint8_t& finite) { __atomic_store_n(&finite, uint8_t{0}, __ATOMIC_RELAXED); }

static inline uint32_t magnitude_bits(float value) { return std::bit_cast<uint32_t>(value) & 0x7fffffff; }

// Scores are q.k * softmax_scale * log2e, so that softmax is 2^(score - max): q is multiplied by this once.
static inline float query_scale(uint32_t head_dim) {
  return static_cast<float>(kLog2eDouble / __builtin_sqrt(static_cast<double>(head_dim)));
}

}  // namespace slipstream
