// The page /v1/cache/stats: the KV cache in numbers, as JSON; "disk" is all 0 without --cache-dir. They are totals of
// all clients together, and tell nobody which of them has cached what.
#pragma once

#include <cstdint>
#include <string>

#include "engine/engine_stats.h"

namespace slipstream {

// block_bytes: of the keys and values of one block, all layers.
std::string write_cache_stats(const EngineStats& stats, uint64_t block_bytes);

}  // namespace slipstream
