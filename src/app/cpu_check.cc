// Compiled for plain x86-64 (src/app/CMakeLists.txt), so nothing here may come from a header's inline function or
// template: the linker might take a copy of it that was compiled with AVX2. tests/tidy looks at the instructions of
// this object.
#include "app/cpu_check.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace slipstream {
namespace {

struct Feature {
  const char* name;
  uint32_t ProcessorBits::*word;
  uint32_t bit;
};

constexpr Feature kFeatures[] = {
    {"SSSE3", &ProcessorBits::leaf1_ecx, 9},       {"CX16", &ProcessorBits::leaf1_ecx, 13},
    {"SSE4.1", &ProcessorBits::leaf1_ecx, 19},     {"SSE4.2", &ProcessorBits::leaf1_ecx, 20},
    {"MOVBE", &ProcessorBits::leaf1_ecx, 22},      {"POPCNT", &ProcessorBits::leaf1_ecx, 23},
    {"OSXSAVE", &ProcessorBits::leaf1_ecx, 27},    {"AVX", &ProcessorBits::leaf1_ecx, 28},
    {"F16C", &ProcessorBits::leaf1_ecx, 29},       {"FMA", &ProcessorBits::leaf1_ecx, 12},
    {"AVX2", &ProcessorBits::leaf7_ebx, 5},        {"BMI1", &ProcessorBits::leaf7_ebx, 3},
    {"BMI2", &ProcessorBits::leaf7_ebx, 8},        {"LZCNT", &ProcessorBits::extended1_ecx, 5},
    {"saved SSE state", &ProcessorBits::saved_state, 1}, {"saved AVX state", &ProcessorBits::saved_state, 2},
};

void say(const char* text) {
  if (write(STDERR_FILENO, text, strlen(text)) < 0) _exit(1);
}

}  // namespace

ProcessorBits read_processor_bits() {
  ProcessorBits bits;
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) bits.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) bits.leaf7_ebx = ebx;
  if (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) != 0) bits.extended1_ecx = ecx;
  if ((bits.leaf1_ecx >> 27 & 1) != 0) {  // without OSXSAVE xgetbv itself is illegal
    __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    bits.saved_state = eax;
  }
  return bits;
}

const char* missing_feature(const ProcessorBits& bits) {
  for (const Feature& feature : kFeatures) {
    if ((bits.*feature.word >> feature.bit & 1) == 0) return feature.name;
  }
  return nullptr;
}

}  // namespace slipstream

// Before every static initialiser of ours (they are of priority 65535). C linkage: the link line asks for it by name.
extern "C" __attribute__((constructor(101))) void slipstream_check_processor() {
  slipstream::ProcessorBits bits = slipstream::read_processor_bits();
  // For the test of this very message: a processor without AVX2.
  if (getenv("SLIPSTREAM_PRETEND_OLD_CPU") != nullptr) bits.leaf7_ebx = 0;
  const char* missing = slipstream::missing_feature(bits);
  if (missing == nullptr) return;
  slipstream::say("slipstream: this processor is too old: it lacks ");
  slipstream::say(missing);
  slipstream::say("; x86-64-v3 is needed (AVX2, FMA, F16C: Intel Haswell, AMD Zen, or newer)\n");
  _exit(1);
}
