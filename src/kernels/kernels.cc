#include "kernels/kernels.h"

#include <cpuid.h>

#include "base/check.h"
#include "kernels/avx512_biases.h"
#include "kernels/fixed_arithmetic.h"
#include "kernels/isa_kernels.h"

namespace slipstream {
namespace {

// clang 14 does not know the name for __builtin_cpu_supports.
bool has_f16c() {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

}  // namespace

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kReference: return "reference";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
    case Isa::kAvx512Coupled: return "avx512-coupled";
  }
  return "";
}

std::optional<Isa> isa_from_name(std::string_view name) {
  for (Isa isa : kAllIsas) {
    if (isa_name(isa) == name) return isa;
  }
  return std::nullopt;
}

bool isa_supported(Isa isa) {
  switch (isa) {
    case Isa::kReference: return true;
    case Isa::kAvx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    case Isa::kAvx512:
      return isa_supported(Isa::kAvx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vnni");
    case Isa::kAvx512Coupled: {
      static const bool supported =
          isa_supported(Isa::kAvx512) && __builtin_cpu_supports("avx512bf16") && avx512_pairs_are_exact();
      return supported;
    }
  }
  return false;
}

Isa best_isa() {
  static const Isa best = [] {
    if (isa_supported(Isa::kAvx512Coupled) && avx512_coupling_pays()) return Isa::kAvx512Coupled;
    for (Isa isa : {Isa::kAvx512, Isa::kAvx2}) {
      if (isa_supported(isa)) return isa;
    }
    return Isa::kReference;
  }();
  return best;
}

uint32_t num_attention_segments(uint32_t context) { return (context + kSegmentTokens - 1) / kSegmentTokens; }

// Sizes: the largest need of any instruction set.
size_t matmul_scratch_bytes(uint32_t max_rows, uint32_t max_cols) {
  static_cast<void>(max_cols);
  // A chunk of two panels made ready (less than 32 KB), and three sets of 16 sums for each row.
  return (64 << 10) + static_cast<size_t>(max_rows) * 3 * kPanelRows * sizeof(float);
}

size_t attention_scratch_bytes(uint32_t group, uint32_t head_dim, uint32_t max_context) {
  static_cast<void>(max_context);
  // For each of up to 96 rows (or the heads of one token) its scores, query and sums, rows a little apart.
  const size_t rows = group < 96 ? 96 : group;
  return (rows + 8) * (2 * (kSegmentTokens + 16) + 4 * static_cast<size_t>(head_dim)) * sizeof(float);
}

const Kernels& kernels_for(Isa isa) {
  CHECK(isa_supported(isa), "{}", isa_name(isa));
  switch (isa) {
    case Isa::kAvx512Coupled: return avx512_coupled_kernels();
    case Isa::kAvx512: return avx512_kernels();
    case Isa::kAvx2: return avx2_kernels();
    case Isa::kReference: break;
  }
  return reference_kernels();
}

const Kernels& best_kernels() {
  static const Kernels& kernels = kernels_for(best_isa());
  return kernels;
}

bool all_finite(const float* values, size_t n) {
  bool finite = true;
  for (size_t i = 0; i < n; ++i) finite &= magnitude_bits(values[i]) < kNotFiniteBits;
  return finite;
}

}  // namespace slipstream
