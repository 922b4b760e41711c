// What `slipstream check` can check (check_command.cc). Each prints its table on standard output and returns whether
// every row is right. Error: the check could not be made.
#pragma once

#include "app/measured_model.h"
#include "base/result.h"

namespace slipstream {

// A request's status and the tokens reused, for a prompt that comes again and one that begins like it.
Result<bool> check_prefix_cache(const MeasuredModelOptions& options);
// The bits of a request's logits, whoever else is there and whatever was there before. is_short: fewer cases, a shorter
// prompt.
Result<bool> check_invariance(const MeasuredModelOptions& options, bool is_short);

}  // namespace slipstream
