// What every config must keep, from whatever file it came: sizes that are possible and agree with each other.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "model/model_config.h"

namespace slipstream {

// Far above any model there is; they keep sums of sizes far from overflow and a claim from becoming an allocation.
namespace config_limits {
inline constexpr uint32_t kMaxLayers = 1024;
inline constexpr uint32_t kMaxHidden = 1u << 17;
inline constexpr uint32_t kMaxIntermediate = 1u << 20;
inline constexpr uint32_t kMaxHeads = 1024;
inline constexpr uint32_t kMaxHeadDim = 1024;
inline constexpr uint32_t kMaxExperts = 4096;
inline constexpr uint32_t kMaxVocab = 1u << 21;
inline constexpr uint32_t kMaxPositions = 1u << 28;
inline constexpr double kMaxRopeTheta = 1e12;
inline constexpr double kMaxRopeFactor = 1e6;
// A divisor of 1 may have been rounded to a little less; much less would leave the angles that sin_cos_double() takes.
inline constexpr double kMinRopeDivisor = 0.5;
}  // namespace config_limits

Status check_model_config(const ModelConfig& config);

}  // namespace slipstream
