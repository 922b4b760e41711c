// The whole program is compiled for x86-64-v3 (AVX2, FMA, F16C ...). On an older processor its first wide instruction
// would be a bare "Illegal instruction"; instead cpu_check.cc, which alone is compiled for plain x86-64, runs before
// everything else and says in one line what is missing.
#pragma once

#include <cstdint>

namespace slipstream {

// What the processor and the system say of themselves.
struct ProcessorBits {
  uint32_t leaf1_ecx = 0;      // CPUID 1
  uint32_t leaf7_ebx = 0;      // CPUID 7, 0
  uint32_t extended1_ecx = 0;  // CPUID 0x80000001
  uint32_t saved_state = 0;    // XCR0: which registers the system saves
};
ProcessorBits read_processor_bits();

// The first of x86-64-v3's features that is missing; null when it has all.
const char* missing_feature(const ProcessorBits& bits);

}  // namespace slipstream
