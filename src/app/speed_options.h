// What `slipstream bench decode`, `batch` and `prefill` are asked beside the model.
#pragma once

#include <cstdint>
#include <vector>

namespace slipstream {

struct SpeedOptions {
  uint32_t context = 512;          // tokens of each sequence before the steps that are measured
  std::vector<uint32_t> batches = {1, 2, 5, 8, 16, 32, 64};  // sequences of a step
  std::vector<uint32_t> prompts = {512, 2048};               // tokens
};

}  // namespace slipstream
