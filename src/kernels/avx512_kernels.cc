// What AVX-512 does better has functions of its own; the rest is AVX2's.
#include "kernels/avx512_attention.h"
#include "kernels/avx512_matmul.h"
#include "kernels/avx512_rowwise.h"
#include "kernels/avx512_vocabulary.h"
#include "kernels/isa_kernels.h"

namespace slipstream {

namespace {

constexpr Kernels kPlain{
    .isa = Isa::kAvx512,
    .quantised_bytes = avx512_quantised_bytes,
    .quantise = avx512_quantise,
    .matmul = avx512_matmul,
    .rms_norm = avx512_rms_norm,
    .rope = avx512_rope,
    .swiglu = avx512_swiglu,
    .add = avx512_add,
    .add_scaled = avx512_add_scaled,
    .weigh = avx512_weigh,
    .divide = avx512_divide,
    .store_kv = avx512_store_kv,
    .attention = avx512_attention,
    .attend_segments = avx512_attend_segments,
    .merge_segments = avx512_merge_segments,
};

constexpr Kernels coupled() {
  Kernels kernels = kPlain;
  kernels.isa = Isa::kAvx512Coupled;
  kernels.quantised_bytes = avx512_coupled_quantised_bytes;
  kernels.quantise = avx512_coupled_quantise;
  kernels.matmul = avx512_coupled_matmul;
  return kernels;
}

}  // namespace

const Kernels& avx512_kernels() { return kPlain; }

const Kernels& avx512_coupled_kernels() {
  static constexpr Kernels kKernels = coupled();
  return kKernels;
}

}  // namespace slipstream
