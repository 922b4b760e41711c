// The inner instructions of the kernels alone, on registers: what machine_limits.cc times.
#pragma once

#include <cstdint>

namespace slipstream {

struct PeakLoop {
  void (*run)(uint64_t loops);
  double operations;  // multiplications and additions of one loop
};

// int16 pairs with sums of int32: vpmaddwd with vpaddd (AVX2), vpdpwssd (VNNI).
extern const PeakLoop kAvx2IntegerLoop, kAvx512IntegerLoop;
extern const PeakLoop kAvx512CoupledLoop;  // the same, some of the multiplications by additions
extern const PeakLoop kAvx2FmaLoop, kAvx512FmaLoop;

}  // namespace slipstream
