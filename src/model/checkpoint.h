// MODEL as people name it -> what its numbers are: a folder as people download it (config.json, safetensors), or one
// .gguf file.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/thread_pool.h"
#include "files/gguf.h"
#include "files/tensor_source.h"
#include "model/dummy_shape.h"
#include "model/model_config.h"
#include "model/weights.h"

namespace slipstream {

// The folder's or the file's own name, without ".gguf" and "-00001-of-00003": what the API calls the model by default.
std::string model_display_name(const std::string& path);

// Opened and checked; no weight is read yet.
struct Checkpoint {
  std::string path;
  ModelConfig config;
  TensorSource tensors;
  TensorNames names = TensorNames::kHuggingFace;  // kGguf: the path is a file, else a folder
  std::optional<DummyShape> dummy;                // random weights of this shape: no file, no tokenizer of its own
  GgufMetadata metadata;                          // of a GGUF file: its tokenizer and template are in there; else empty

  std::string display_name() const { return model_display_name(path); }
};

// Errors begin with the path and are one line: what, where, what was expected.
Result<Checkpoint> open_checkpoint(const std::string& path);

// As if `slipstream make-dummy SHAPE` had written a folder and that were opened; its path is the shape's name.
Result<Checkpoint> open_dummy(const DummyName& name);

// What load_checkpoint() will take of the memory. Errors: as plan_weights(), beginning with the path.
Result<uint64_t> packed_weights_bytes(const Checkpoint& checkpoint);

// load_weights() of the checkpoint, its errors beginning with the path.
Result<Weights> load_checkpoint(const Checkpoint& checkpoint, ThreadPool& pool, const LoadProgress& progress);

}  // namespace slipstream
