// What `slipstream check` can check (check_command.cc). Each prints its table on standard output and returns whether
// every row is right. Error: the check could not be made.
#pragma once

#include "app/measured_model.h"
#include "base/result.h"

namespace slipstream {

Result<bool> check_prefix_cache(const MeasuredModelOptions& options);

}  // namespace slipstream
