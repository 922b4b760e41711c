// What `slipstream bench` can measure (bench_command.cc). Each gives its figures, each beside its limit: what the best
// that could be done would give, where that is known.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/load_options.h"
#include "app/measured_model.h"
#include "app/speed_options.h"
#include "base/memory.h"
#include "base/result.h"

namespace slipstream {

struct Figure {
  std::string name = {};
  double value = 0;
  std::string unit = {};
  std::optional<double> limit = {};  // in the same unit; absent: not known
  bool more_is_better = true;        // else the limit is the least there can be
  std::optional<double> goal = {};   // what this house wants of it; absent: it is shown only

  // Of the limit: <= 1 where it is one.
  std::optional<double> share() const {
    if (!limit) return std::nullopt;
    return more_is_better ? value / *limit : *limit / value;
  }
  bool misses_goal() const { return goal && (more_is_better ? value < *goal : value > *goal); }
};
using Figures = std::vector<Figure>;
// Error: a figure is better than its limit, so the limit was measured badly.
Result<Figures> within_limits(Figures figures);

// What this machine can do: reading memory, integer products, fp32 FMA. No model is used.
Result<Figures> bench_machine(const MeasuredModelOptions& options);
// Every way of reading weights; the best is remembered (tuning.h).
Result<Figures> bench_tune(const MeasuredModelOptions& options);
// So many bytes that are no zeros, and all touched.
Result<Arena> random_memory(size_t num_bytes, ThreadPool& pool);
// Tokens a second of one running answer, of a batch of them, and of prompts.
Result<Figures> bench_decode(const MeasuredModelOptions& options, const SpeedOptions& speed);
Result<Figures> bench_batch(const MeasuredModelOptions& options, const SpeedOptions& speed);
Result<Figures> bench_prefill(const MeasuredModelOptions& options, const SpeedOptions& speed);
// What clients of a server see: one at a URL, or one that is started, beside the same load without HTTP. Throws
// CLI::ParseError where model and URL do not go together.
Result<Figures> bench_serve(const MeasuredModelOptions& model, const LoadOptions& options);
// The same for several values of --stream-interval.
Result<Figures> bench_interval(const MeasuredModelOptions& model, const LoadOptions& options);
// Simple mode beside a batch of one.
Result<Figures> bench_simple(const MeasuredModelOptions& model, const LoadOptions& options);
// What drafts out of a request's own tokens gain, and cost where there is nothing to gain.
Result<Figures> bench_lookup(const MeasuredModelOptions& options);
// KV memory that users save who share a beginning, counted from blocks in use.
Result<Figures> bench_sharing(const MeasuredModelOptions& options);
// Time to the first token of a long prompt: cold, again, and in a burst whose prompts begin alike.
Result<Figures> bench_prefix(const MeasuredModelOptions& options);

}  // namespace slipstream
