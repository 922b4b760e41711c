#include <algorithm>

#include "base/clock.h"
#include "kernels/isa_kernels.h"
#include "kernels/peak_loops.h"

namespace slipstream {
namespace {

// Sixteen chains: 512 bits wide, one instruction may take two pipes for a cycle, and each waits four cycles for itself.
#define SIXTEEN(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOOP(X) \
  "vpxorq %%zmm16, %%zmm16, %%zmm16\n\tvpxorq %%zmm17, %%zmm17, %%zmm17\n1:\n\t" SIXTEEN(X) "dec %0\n\tjnz 1b\n\t"
#define PAIR(i) "vpdpwssd %%zmm16, %%zmm17, %%zmm" #i "\n\t"
// Six multiplications as four and four additions (activation_layout.h, couples): more than the multiplying pipes give
// by themselves where additions have pipes of their own.
#define COUPLE(i)                                                                                            \
  "vpaddw %%zmm16, %%zmm17, %%zmm18\n\tvpaddw %%zmm16, %%zmm17, %%zmm19\n\tvpdpwssd %%zmm18, %%zmm19, %%zmm" #i \
  "\n\t"
#define SIX(i) COUPLE(i) PAIR(i) COUPLE(i) PAIR(i)
#define FMA(i) "vfmadd231ps %%zmm16, %%zmm17, %%zmm" #i "\n\t"
#define CLOBBERS                                                                                                   \
  "cc", "xmm18", "xmm19", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
      "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17"

void run_pairs(uint64_t loops) { asm volatile(LOOP(PAIR) : "+r"(loops)::CLOBBERS); }
void run_couples(uint64_t loops) { asm volatile(LOOP(SIX) : "+r"(loops)::CLOBBERS); }
void run_fmas(uint64_t loops) { asm volatile(LOOP(FMA) : "+r"(loops)::CLOBBERS); }

}  // namespace

const PeakLoop kAvx512IntegerLoop{run_pairs, 16.0 * 32 * 2};
const PeakLoop kAvx512CoupledLoop{run_couples, 16.0 * 6 * 32 * 2};
const PeakLoop kAvx512FmaLoop{run_fmas, 16.0 * 16 * 2};

bool avx512_coupling_pays() {
  constexpr uint64_t kLoops = 500;
  const Clock& clock = Clock::real();
  double rates[2] = {};
  for (int run = 0; run < 15; ++run) {
    for (int i = 0; i < 2; ++i) {
      const PeakLoop& loop = i == 0 ? kAvx512IntegerLoop : kAvx512CoupledLoop;
      const double begin = clock.now_s();
      loop.run(kLoops);
      rates[i] = std::max(rates[i], loop.operations / (clock.now_s() - begin));
    }
  }
  return rates[1] > rates[0];
}

}  // namespace slipstream
