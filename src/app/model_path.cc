#include "app/model_path.h"

#include <stdlib.h>

#include "files/quoted.h"
#include "files/text_file.h"
#include "model/checkpoint.h"

namespace slipstream {
namespace {

std::string variable(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? "" : value;
}

HubEnvironment this_environment() {
  return {variable("HF_HUB_CACHE"), variable("HUGGINGFACE_HUB_CACHE"), variable("HF_HOME"), variable("XDG_CACHE_HOME"),
          variable("HOME")};
}

Error not_found(std::string message) { return Error{ErrorKind::kNotFound, std::move(message), {}, {}}; }

}  // namespace

Result<ModelPath> find_model(const std::string& model, const HubEnvironment& environment) {
  if (file_exists(model)) return ModelPath{model, model_display_name(model)};
  const auto name = parse_hub_name(model);
  if (!name.has_value()) {
    return not_found(fmt::format("{} is neither a folder nor a file, nor a name in the hub's cache (ORG/NAME). MODEL "
                                 "is a folder with config.json and safetensors, or one .gguf file, or such a name",
                                 in_quotes(model)));
  }
  const std::string cache = hub_cache_folder(environment);
  if (cache.empty()) {
    return not_found(fmt::format("{} is neither a folder nor a file, and where the hub's cache is says neither "
                                 "HF_HUB_CACHE nor HF_HOME nor HOME",
                                 in_quotes(model)));
  }
  auto path = find_in_hub_cache(cache, *name);
  if (!path.ok() && path.error().kind == ErrorKind::kNotFound)
    return not_found(fmt::format("there is no folder or file {}, and {}", in_quotes(model), path.error().message));
  if (!path.ok()) return std::move(path).error();
  return ModelPath{std::move(path).value(), name->repository};
}

Result<ModelPath> find_model(const std::string& model) { return find_model(model, this_environment()); }

Result<ModelPath> find_model_or_dummy(const std::string& model, const std::string& dummy) {
  if (model.empty() == dummy.empty()) return invalid("expected MODEL or --dummy SHAPE, one of the two");
  if (dummy.empty()) return find_model(model);
  auto name = read_dummy_name(dummy);
  if (!name.ok()) return std::move(name.error()).within("--dummy");
  return ModelPath{std::string(name->shape.name), std::string(name->shape.name), *name};
}

}  // namespace slipstream
