#include "model/checkpoint.h"

#include <filesystem>

#include "files/quoted.h"
#include "model/dummy_tensors.h"
#include "model/weights_plan.h"

namespace slipstream {
namespace {

Result<Checkpoint> open_folder(const std::string& path) {
  ASSIGN_OR_RETURN(ModelConfig config, read_model_config(path));
  ASSIGN_OR_RETURN(TensorSource tensors, open_safetensors_folder(path));
  return Checkpoint{path, std::move(config), std::move(tensors), TensorNames::kHuggingFace, {}, {}};
}

Result<Checkpoint> open_file(const std::string& path) {
  ASSIGN_OR_RETURN(GgufFile gguf, open_gguf(path));
  ASSIGN_OR_RETURN(ModelConfig config, model_config_from_gguf(gguf));
  return Checkpoint{path, std::move(config), std::move(gguf.tensors), TensorNames::kGguf, {}, std::move(gguf.metadata)};
}

// "X-00001-of-00003" (the first file of several) -> "X"
std::string without_part(const std::string& name) {
  constexpr std::string_view kFirst = "-00001-of-";
  const size_t at = name.rfind(kFirst);
  return at == std::string::npos || name.size() != at + kFirst.size() + 5 ? name : name.substr(0, at);
}

}  // namespace

std::string model_display_name(const std::string& path) {
  std::filesystem::path name = std::filesystem::absolute(path).lexically_normal();
  if (!name.has_filename()) name = name.parent_path();  // "folder/"
  if (name.extension() == ".gguf") return without_part(name.stem().string());
  return name.filename().string();
}

Result<Checkpoint> open_checkpoint(const std::string& path) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  const bool is_file = std::filesystem::is_regular_file(status);
  if (!is_file && !std::filesystem::is_directory(status)) {
    return Error{
        ErrorKind::kNotFound,
        fmt::format(
            "{} is neither a folder nor a file; expected a folder with config.json and safetensors, or one .gguf file",
            in_quotes(path)),
        {},
        {}};
  }
  if (is_file && !path.ends_with(".gguf")) {
    return invalid("{} is a file but no .gguf: MODEL is a folder with config.json and safetensors, or one .gguf file",
                   in_quotes(path));
  }
  auto checkpoint = is_file ? open_file(path) : open_folder(path);
  if (!checkpoint.ok()) return std::move(checkpoint.error()).within(path);
  return checkpoint;
}

Result<Checkpoint> open_dummy(const DummyName& name) {
  ASSIGN_OR_RETURN(TensorSource tensors, dummy_tensor_source(name.shape, name.seed));
  ModelConfig config = dummy_config(name.shape, kDummyBosToken, {kDummyEosToken});
  return Checkpoint{std::string(name.shape.name), std::move(config), std::move(tensors), TensorNames::kHuggingFace,
                    name.shape, {}};
}

Result<uint64_t> packed_weights_bytes(const Checkpoint& checkpoint) {
  Weights planned;
  auto plan = plan_weights(checkpoint.config, checkpoint.tensors, checkpoint.names, planned);
  if (!plan.ok()) return std::move(plan.error()).within(checkpoint.path);
  return plan->packed_bytes;
}

Result<Weights> load_checkpoint(const Checkpoint& checkpoint, ThreadPool& pool, const LoadProgress& progress) {
  auto weights = load_weights(checkpoint.config, checkpoint.tensors, checkpoint.names, pool, progress);
  if (!weights.ok()) return std::move(weights.error()).within(checkpoint.path);
  return weights;
}

}  // namespace slipstream
