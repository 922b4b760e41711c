#include "model/rope.h"

#include "kernels/scalar_math.h"

namespace slipstream {
namespace {

constexpr double kTwoPi = 6.283185307179586476925;

// Llama 3.1's stretching of the context: waves longer than the original context are slowed by `factor`, short ones
// stay, those between are mixed. As transformers' _compute_llama3_parameters.
double scaled(double frequency, const RopeScaling& scaling) {
  if (scaling.factor == 1.0) return frequency;
  const double wavelength = kTwoPi / frequency;
  const double original = scaling.original_max_position_embeddings;
  if (wavelength < original / scaling.high_freq_factor) return frequency;
  if (wavelength > original / scaling.low_freq_factor) return frequency / scaling.factor;
  const double smooth =
      (original / wavelength - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1.0 - smooth) * frequency / scaling.factor + smooth * frequency;
}

}  // namespace

RopeTable::RopeTable(const ModelConfig& config) {
  frequencies_.reserve(config.head_dim / 2);
  for (uint32_t pair = 0; pair < config.head_dim / 2; ++pair) {
    const double exponent = 2.0 * pair / config.head_dim;
    const double divisor = config.rope_divisors.empty() ? 1.0 : static_cast<double>(config.rope_divisors[pair]);
    frequencies_.push_back(scaled(1.0 / pow_double(config.rope_theta, exponent), config.rope_scaling) / divisor);
  }
}

void RopeTable::angles(uint32_t position, float* cos, float* sin) const {
  for (const double frequency : frequencies_) {
    const SinCos at = sin_cos_double(frequency * position);
    *cos++ = static_cast<float>(at.cos);
    *sin++ = static_cast<float>(at.sin);
  }
}

}  // namespace slipstream
