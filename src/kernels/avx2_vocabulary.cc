#include "kernels/avx2_vocabulary.h"

#include "kernels/avx2_lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kStep = 32;  // logits that are weighed side by side

struct WeightNumbers {
  float max_logit, scale, banned;
};

// The weights of kStep logits, and the 16 virtual lanes (0-7, 8-15) with them added. Logits are read twice, and numbers
// where they are wanted: there are no registers to keep them in.
inline __attribute__((always_inline)) void weigh_step(const float* logits, const WeightNumbers* numbers, float* weights,
                                                      __m256 (&lanes)[2]) {
  asm("" : "+r"(numbers));  // or gcc reads them before the loop that this stands in
  const __m256 max_logit = _mm256_broadcast_ss(&numbers->max_logit), scale = _mm256_broadcast_ss(&numbers->scale);
  __m256 weight[4];
  UNROLL for (int j = 0; j < 4; ++j) {
    weight[j] = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(logits + j * 8), max_logit), scale);
  }
  exp2_lanes_below_one(weight);
  asm("" : "+r"(logits), "+r"(numbers));
  const __m256 banned = _mm256_broadcast_ss(&numbers->banned);
  UNROLL for (int j = 0; j < 4; ++j) {
    weight[j] = _mm256_and_ps(weight[j], _mm256_cmp_ps(_mm256_loadu_ps(logits + j * 8), banned, _CMP_NEQ_OQ));
    _mm256_storeu_ps(weights + j * 8, weight[j]);
    lanes[j % 2] = _mm256_add_ps(lanes[j % 2], weight[j]);
  }
}

// The places of the bits of each mask of 8, ascending.
struct LanesOfMask {
  constexpr LanesOfMask() {
    for (uint32_t mask = 0; mask < 256; ++mask) {
      uint32_t count = 0;
      for (uint8_t lane = 0; lane < 8; ++lane) {
        if ((mask >> lane & 1) != 0) lanes[mask][count++] = lane;
      }
    }
  }
  uint8_t lanes[256][8] = {};
};
constexpr LanesOfMask kLanesOfMask;

}  // namespace

float avx2_weigh(const float* logits, uint32_t n, float max_logit, float scale, float* weights) {
  const WeightNumbers numbers{max_logit, scale, -__builtin_inff()};
  __m256 lanes[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  uint32_t i = 0;
  for (; i + kStep <= n; i += kStep) weigh_step(logits + i, &numbers, weights + i, lanes);
  if (i < n) {
    float last[kStep];  // behind the end as if banned: + 0 changes no lane
    for (uint32_t j = 0; j < kStep; ++j) last[j] = i + j < n ? logits[i + j] : -__builtin_inff();
    weigh_step(last, &numbers, weights + i, lanes);
    i += kStep;
  }
  for (; i < kSumBlock; i += 8) _mm256_storeu_ps(weights + i, _mm256_setzero_ps());
  return sum_lanes(lanes[0], lanes[1]);
}

uint32_t avx2_divide(const float* logits, const float* weights, Range which, const LogitBracket& bracket,
                     uint32_t* inside, double* above) {
  const __m256 low = _mm256_set1_ps(bracket.low), high = _mm256_set1_ps(bracket.high);
  __m256d sums[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
  uint32_t count = 0;
  uint32_t i = which.begin;
  // No branches, which nobody could foresee.
  for (; i + 16 <= which.end; i += 16) {
    UNROLL for (int j = 0; j < 2; ++j) {
      const __m256 logit = _mm256_loadu_ps(logits + i + j * 8);
      const __m256 is_above = _mm256_cmp_ps(logit, high, _CMP_GT_OQ);
      const __m256 weight = _mm256_and_ps(is_above, _mm256_loadu_ps(weights + i + j * 8));
      sums[j * 2] = _mm256_add_pd(sums[j * 2], _mm256_cvtps_pd(_mm256_castps256_ps128(weight)));
      sums[j * 2 + 1] = _mm256_add_pd(sums[j * 2 + 1], _mm256_cvtps_pd(_mm256_extractf128_ps(weight, 1)));
      const __m256 is_inside = _mm256_andnot_ps(is_above, _mm256_cmp_ps(logit, low, _CMP_GT_OQ));
      const auto mask = static_cast<uint32_t>(_mm256_movemask_ps(is_inside));
      const __m128i lanes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kLanesOfMask.lanes[mask]));
      const __m256i tokens = _mm256_set1_epi32(static_cast<int>(i) + j * 8);
      store_integers(inside + count, _mm256_add_epi32(tokens, _mm256_cvtepu8_epi32(lanes)));
      count += static_cast<uint32_t>(__builtin_popcount(mask));
    }
  }
  double lanes[16];
  UNROLL for (int j = 0; j < 4; ++j) _mm256_storeu_pd(lanes + j * 4, sums[j]);
  for (uint32_t lane = 0; i < which.end; ++i, ++lane) {
    if (logits[i] > bracket.high) {
      lanes[lane] += weights[i];
    } else if (logits[i] > bracket.low) {
      inside[count++] = i;
    }
  }
  *above += sum_tree(lanes);
  return count;
}

}  // namespace slipstream
