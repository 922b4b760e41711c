#include "kernels/avx2_attention.h"
#include "kernels/avx2_matmul.h"
#include "kernels/avx2_rowwise.h"
#include "kernels/avx2_vocabulary.h"
#include "kernels/isa_kernels.h"

namespace slipstream {

const Kernels& avx2_kernels() {
  static constexpr Kernels kKernels{
      .isa = Isa::kAvx2,
      .quantised_bytes = avx2_quantised_bytes,
      .quantise = avx2_quantise,
      .matmul = avx2_matmul,
      .rms_norm = avx2_rms_norm,
      .rope = avx2_rope,
      .swiglu = avx2_swiglu,
      .add = avx2_add,
      .add_scaled = avx2_add_scaled,
      .weigh = avx2_weigh,
      .divide = avx2_divide,
      .store_kv = avx2_store_kv,
      .attention = avx2_attention,
      .attend_segments = avx2_attend_segments,
      .merge_segments = avx2_merge_segments,
  };
  return kKernels;
}

}  // namespace slipstream
