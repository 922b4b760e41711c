// The model that the commands which check and measure take: MODEL, --dummy SHAPE with all or some of its layers, or,
// where neither is given, a small made-up one.
#pragma once

#include <cstdint>
#include <string>

#include "app/compute_options.h"
#include "app/model_files.h"
#include "base/result.h"
#include "base/thread_pool.h"

namespace slipstream {

struct MeasuredModelOptions {
  ComputeOptions compute;
  uint32_t num_layers = 0;  // of a dummy, its first ones; 0: all

  // Adds what ComputeOptions adds, and --layers; `this` outlives the parsing.
  void add_to(CLI::App& command);
  // In a command's callback. Throws CLI::ParseError: both models, or --layers without --dummy.
  void check() const;
  // "qwen3-0.6b-8bit, 2 layers": for the first line of a report.
  std::string describe(const OpenedModel& model) const;
  // "qwen3-0.6b-8bit 2 layers", "small": in the names of figures.
  std::string short_name() const;
};

// Shows its progress on a terminal.
Result<OpenedModel> load_measured_model(const MeasuredModelOptions& options, ThreadPool& pool);

}  // namespace slipstream
