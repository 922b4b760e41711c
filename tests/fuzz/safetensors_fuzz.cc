// A folder of safetensors, from its index to packed weights.
//
// An input is a byte of choices, then parts with "\n--\n" between them: the index (empty: there is none), and up to
// three shards.
//   bit 0      a shard is a file byte for byte; else the JSON of a header, to which its length and data are added
//   bits 1-3   which of the models below the config says it is
#include <vector>

#include "fuzz/fuzz_input.h"
#include "model/checkpoint.h"

namespace slipstream {
namespace {

constexpr size_t kDataBytes = 32 << 10;  // the small models below have 16 KB
constexpr std::string_view kMark = "\n--\n";

// One layer of the least sizes; the corpus has weights for each.
constexpr std::string_view kShape =
    R"("num_hidden_layers":1,"hidden_size":32,"intermediate_size":32,"num_attention_heads":2,"num_key_value_heads":1,
       "head_dim":16,"vocab_size":16,"max_position_embeddings":64)";
const std::string kConfigs[] = {
    R"({"model_type":"llama","tie_word_embeddings":true,)" + std::string(kShape) + "}",
    R"({"model_type":"qwen3",)" + std::string(kShape) + "}",
    R"({"model_type":"qwen3","tie_word_embeddings":true,"quantization":{"bits":4,"group_size":32},)" +
        std::string(kShape) + "}",
    R"({"model_type":"llama","quantization":{"bits":8,"group_size":32,"lm_head":false,)"
    R"("model.layers.0.mlp.down_proj":{"bits":4,"group_size":32}},)" +
        std::string(kShape) + "}",
    R"({"model_type":"qwen2","tie_word_embeddings":true,"quantization":{"bits":3,"group_size":32},)" +
        std::string(kShape) + "}",
    R"({"model_type":"qwen3_moe","tie_word_embeddings":true,"num_experts":3,"num_experts_per_tok":2,)"
    R"("moe_intermediate_size":16,)" +
        std::string(kShape) + "}",
    R"({"model_type":"qwen3_moe","tie_word_embeddings":true,"num_experts":3,"num_experts_per_tok":2,)"
    R"("moe_intermediate_size":32,"quantization":{"bits":6,"group_size":32,)"
    R"("model.layers.0.mlp.gate":{"bits":8,"group_size":32}},)" +
        std::string(kShape) + "}",
};

struct Target {
  Target() {
    for (const std::string& json : kConfigs) {
      write_file(fuzz_folder().path("config.json"), json);
      auto config = read_model_config(fuzz_folder().path());
      CHECK(config.ok(), "{}: {}", json, config.error().message);
      configs.push_back(std::move(config).value());
    }
  }
  std::vector<ModelConfig> configs;
  ThreadPool pool{1};
};

void put_files(std::string_view index, const std::array<std::string_view, 4>& parts, bool raw) {
  const TempFolder& folder = fuzz_folder();
  const std::array<std::string, 3> names = {index.empty() ? "model.safetensors" : "a.safetensors", "b.safetensors",
                                            "c.safetensors"};
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) std::filesystem::remove(entry.path());
  if (!index.empty()) write_file(folder.path("model.safetensors.index.json"), index);
  // 0x3c: finite in every float type.
  static const std::string data(kDataBytes, '\x3c');
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string_view shard = parts[i + 1];
    if (!shard.empty()) write_file(folder.path(names[i]), raw ? std::string(shard) : safetensors_bytes(shard, data));
  }
}

// The ranges are as the header of TensorSource promises; each byte can be read.
void check_tensors(const TensorSource& source) {
  for (const Tensor& tensor : source.tensors()) {
    CHECK(tensor.bytes.size() == tensor_bytes(tensor.dtype, tensor.shape).value(), "{}", tensor.name);
    uint32_t sum = 0;
    for (const std::byte byte : tensor.bytes) sum += static_cast<uint32_t>(byte);
    CHECK(sum <= 255 * tensor.bytes.size(), "{}", tensor.name);
    CHECK(source.find(tensor.name) == &tensor, "{}", tensor.name);
  }
}

void read_folder(std::string_view input) {
  static Target target;
  if (input.empty()) return;
  const auto choices = static_cast<uint8_t>(input.front());
  const auto parts = parts_between<4>(input.substr(1), kMark);
  put_files(parts[0], parts, (choices & 1) != 0);
  const ModelConfig& config = target.configs[(choices >> 1) % target.configs.size()];
  const auto source = open_safetensors_folder(fuzz_folder().path());
  if (!source.ok()) return check_refusal(source.error());
  check_tensors(*source);
  const auto weights = load_weights(config, *source, TensorNames::kHuggingFace, target.pool, {});
  if (!weights.ok()) return check_refusal(weights.error());
  CHECK(weights->layers.size() == config.num_layers, "{} layers", weights->layers.size());
}

}  // namespace
}  // namespace slipstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slipstream::read_folder({reinterpret_cast<const char*>(data), size});
  return 0;
}
