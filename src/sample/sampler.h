// Logits -> token. A draw is a function of (logits, params, choice, position) alone (ARITHMETIC.md 9, sampling and draw), so it
// does not matter who else is sampled, on which thread, or on which machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/ids.h"
#include "sample/sampling_params.h"

namespace slipstream {

// Where in the stream of random numbers a draw stands.
struct DrawPosition {
  uint32_t position = 0;  // index of the drawn token in its sequence (prompt included)
  uint32_t choice = 0;    // index among the request's n
};

// One thread's work. scratch: sampler_scratch_bytes(vocab_size) of this thread's own, 64-byte aligned. No allocation.
TokenId sample_token(std::span<const float> logits, const SamplingParams& params, DrawPosition where, std::span<std::byte> scratch);
size_t sampler_scratch_bytes(uint32_t vocab_size);

}  // namespace slipstream
