// The two 16-bit float types, widened exactly and narrowed to nearest even, in integer arithmetic: the same bits
// whatever the processor and the floating-point mode.
//
// `static` on purpose, here and in every header that the sources of an instruction set include: a shared inline
// function could be emitted with wider instructions than the processor has (tests/tidy).
#pragma once

#include <bit>
#include <cstdint>

namespace slipstream {

static inline float widen_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// The finite value's nearest bf16 (ties to even); an infinity stays, a NaN has no defined bits.
static inline uint16_t narrow_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static inline float widen_fp16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  uint32_t exponent = (bits >> 10) & 0x1f;
  uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000 | (mantissa << 13));
  if (exponent == 0) {
    if (mantissa == 0) return std::bit_cast<float>(sign);
    const int shift = std::countl_zero(mantissa) - 21;  // brings the leading one to bit 10
    mantissa = (mantissa << shift) & 0x3ff;
    exponent = static_cast<uint32_t>(1 - shift);
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

// To nearest even; denormals of fp16 are kept, what is beyond its range becomes infinity, a NaN stays one.
static inline uint16_t narrow_fp16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00);
  if (magnitude >= 0x47800000) return static_cast<uint16_t>(sign | 0x7c00);  // >= 65536
  if (magnitude < 0x33000000) return static_cast<uint16_t>(sign);            // < 2^-25: to zero
  if (magnitude >= 0x38800000) {                                             // >= 2^-14: normal
    const uint32_t shifted = magnitude - (112u << 23);
    return static_cast<uint16_t>(sign | ((shifted + 0xfff + ((shifted >> 13) & 1)) >> 13));
  }
  // value = m * 2^(e - 150) with m of 24 bits; one unit of the result is 2^-24.
  const uint32_t shift = 126 - (magnitude >> 23);
  const uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
  const uint32_t half = (1u << (shift - 1)) - 1;
  return static_cast<uint16_t>(sign | ((mantissa + half + ((mantissa >> shift) & 1)) >> shift));
}

}  // namespace slipstream
