// The floating-point mode of every thread that computes: round to nearest even, results and operands that are denormal
// are zero (FTZ|DAZ). Part of the one arithmetic (ARITHMETIC.md 9): a thread without it gives other bits.
#pragma once

#include <xmmintrin.h>

namespace slipstream {

// Set by ThreadPool in its workers, and in the calling thread for the length of each run().
inline void set_float_mode() { _mm_setcsr(0x1f80 | 0x8000 | 0x0040); }  // all exceptions masked, FTZ, DAZ

// Sets the mode now and puts the caller's own back at the end of the scope.
class FloatModeScope {
 public:
  FloatModeScope() : outer_(_mm_getcsr()) { set_float_mode(); }
  ~FloatModeScope() { _mm_setcsr(outer_); }
  FloatModeScope(const FloatModeScope&) = delete;
  FloatModeScope& operator=(const FloatModeScope&) = delete;

 private:
  unsigned outer_;
};

}  // namespace slipstream
