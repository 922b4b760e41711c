// Weights of any shape and format, out of a seed: for tests, and for measuring shapes whose checkpoint is not at hand.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/thread_pool.h"
#include "kernels/packed_matrix.h"
#include "model/model_config.h"
#include "model/weights.h"

namespace slipstream {

// Every matrix is in `format`, its values about +-sqrt(3 / cols), uniform, so that activations stay near 1; norms are
// near 1. group divides every matrix's cols. The same seed gives the same weights on every machine. Error: the memory
// cannot be had.
Result<Weights> random_weights(const ModelConfig& config, const MatrixFormat& format, uint64_t seed, ThreadPool& pool);

}  // namespace slipstream
