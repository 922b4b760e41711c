// MODEL as typed -> where it lies on this disk, and what the API calls it.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "hub/hub_cache.h"
#include "model/dummy_shape.h"

namespace slipstream {

// What every command says of MODEL in its --help.
inline constexpr const char* kModelHelp =
    "A folder with config.json, safetensors and tokenizer.json, or one .gguf file,\n"
    "or the name of a repository in the hub's cache on this disk: ORG/NAME,\n"
    "ORG/NAME@REVISION, ORG/NAME:PART (the .gguf file with PART in its name)";

struct ModelPath {
  std::string path;  // a folder or a file
  std::string name;  // ORG/NAME, or the folder's or file's own name without ".gguf"
  std::optional<DummyName> dummy = {};  // random weights; both of the above are the shape's name
};

// A path that exists goes before a hub's name; of the latter the cache alone is asked, nothing is fetched. Errors:
// neither; or what hub/hub_cache.h says.
Result<ModelPath> find_model(const std::string& model, const HubEnvironment& environment);
Result<ModelPath> find_model(const std::string& model);  // in this process's environment
// MODEL, or --dummy SHAPE[:SEED]: one of the two, the other empty.
Result<ModelPath> find_model_or_dummy(const std::string& model, const std::string& dummy);

}  // namespace slipstream
