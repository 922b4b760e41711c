// One number of 128 bits for all that K and V depend on beside the tokens: what may be read back from a file that
// another process left is what was written under the same digest.
#pragma once

#include <array>
#include <cstdint>

#include "base/thread_pool.h"
#include "model/cpu_executor.h"
#include "model/model_config.h"
#include "model/weights.h"

namespace slipstream {

// XXH3 of kArithmeticVersion, the kind of activations, every field of the config, and of the weights every packed byte
// and which matrix stands where. The same in every process, on every instruction set and for any number of threads.
// Not keyed: it tells models apart, not people who want to deceive. Reads all of the weights once (10 GB/s and more).
std::array<uint64_t, 2> model_digest(const ModelConfig& config, const Weights& weights, ActivationMode activations,
                                     ThreadPool& pool);

}  // namespace slipstream
