// Rotary position embedding: the angles. Everything is worked out in double with own functions and rounded once to
// fp32 (ARITHMETIC.md 9), so that position 100,000 is as good as position 1 and the same on every machine.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/model_config.h"

namespace slipstream {

// The tensor of a GGUF file that model_config_gguf.cc reads into ModelConfig::rope_divisors.
inline constexpr std::string_view kGgufRopeDivisors = "rope_freqs.weight";

class RopeTable {
 public:
  explicit RopeTable(const ModelConfig& config);

  uint32_t num_pairs() const { return static_cast<uint32_t>(frequencies_.size()); }
  // Radians per position of each pair.
  const std::vector<double>& frequencies() const { return frequencies_; }
  // cos and sin of frequency * position; each [num_pairs].
  void angles(uint32_t position, float* cos, float* sin) const;

 private:
  std::vector<double> frequencies_;  // [head_dim / 2]
};

}  // namespace slipstream
