// What `slipstream inspect` says of a model: for people, and for programs.
#pragma once

#include <cstdint>
#include <string>

#include "app/memory_plan.h"
#include "app/model_files.h"
#include "app/model_path.h"
#include "model/model_summary.h"

namespace slipstream {

struct InspectReport {
  std::string name;
  std::string path;
  ModelConfig config;
  ModelSummary weights;
  uint32_t tokenizer_tokens = 0;
  bool has_chat_template = false;
  size_t chat_template_bytes = 0;
  std::string chat_template_error;  // of rendering a plain conversation; "": it renders
  CapacityInput memory;             // as `serve --continuous-batching` would have it here
};

// Opens the model; reads headers and texts, no weight. Errors: as `serve`, before it reads weights.
Result<InspectReport> inspect_model(const ModelPath& model, uint64_t available_bytes, uint32_t num_threads);

std::string inspect_text(const InspectReport& report);
// One JSON object. Its names stay as they are; new ones may come.
std::string inspect_json(const InspectReport& report);

}  // namespace slipstream
