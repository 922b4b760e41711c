// What `serve` takes of this machine's memory with its settings: the numbers that engine/capacity.h reckons with.
#pragma once

#include <cstdint>

#include "app/serve_settings.h"
#include "engine/capacity.h"
#include "model/cpu_executor.h"
#include "model/model_config.h"

namespace slipstream {

// num_blocks and max_context are not set: they come out of the plan.
CpuExecutorOptions executor_options(const ServeSettings& settings);

// weights_bytes: what they will take; 0 once they are in. available_bytes: available_memory_bytes() now.
CapacityInput capacity_input(const ServeSettings& settings, const ModelConfig& config, uint32_t num_threads,
                             uint64_t weights_bytes, uint64_t available_bytes);

}  // namespace slipstream
