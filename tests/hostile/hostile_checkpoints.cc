#include "hostile/hostile_checkpoints.h"

#include "hostile/hostile_edits.h"

namespace slipstream {
namespace {

// An index that names the one file for all tensors but the first.
void write_index(const std::string& folder, const char* first_file) {
  const WeightsFile weights = read_weights(folder);
  Json map = Json::object();
  for (const auto& [name, entry] : weights.header.items()) {
    if (name != "__metadata__") map[name] = map.empty() ? first_file : "model.safetensors";
  }
  write_file(folder + "/model.safetensors.index.json", Json{{"metadata", Json::object()}, {"weight_map", map}}.dump());
}

void share_bytes(const std::string& folder) {
  edit_weights(folder, [](WeightsFile& weights) {
    auto& a = weights.header.at("model.layers.0.mlp.up_proj.weight");
    a["data_offsets"] = weights.header.at("model.layers.0.mlp.gate_proj.weight")["data_offsets"];
  });
}

void store_integers(const std::string& folder) {
  edit_weights(folder, [](WeightsFile& weights) {
    auto& entry = weights.header.at(kQ + ".weight");
    entry["dtype"] = "I64";
    entry["shape"] = {64, 128};
    entry["data_offsets"][1] = entry["data_offsets"][0].get<size_t>() + 64 * 128 * 8;
  });
}

void name_twice(const std::string& folder) {
  const WeightsFile weights = read_weights(folder);
  std::string header = weights.header.dump();
  header.back() = ',';
  header += Json(kQ + ".weight").dump() + ":" + weights.header.at(kQ + ".weight").dump() + "}";
  write_weights(folder, header, weights.data);
}

void nest_config(const std::string& folder) {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  write_file(folder + "/config.json", deep + "1" + std::string(100000, '}'));
}

void spoil_scales(const std::string& folder) {
  edit_weights(folder, [](WeightsFile& weights) {
    const auto offsets = weights.header.at(kQ + ".scales").at("data_offsets");
    for (size_t i = offsets[0].get<size_t>(); i < offsets[1].get<size_t>(); ++i)
      weights.data[i] = i % 2 == 0 ? '\xff' : '\x7f';
  });
}

Kinds wrong_headers() {
  return {
      {"header-huge",
       kPlain,
       [](auto& f) { replace_front(f, bytes_of<uint64_t>(1ull << 63)); },
       {"model.safetensors: says its header has 9223372036854775808 bytes, expected at most 100000000"}},
      {"header-past-end",
       kPlain,
       [](auto& f) { replace_front(f, bytes_of<uint64_t>(read_file(weights_path(f)).size() - 7)); },
       {"model.safetensors: says its header has", "cut off"}},
      {"header-not-json",
       kPlain,
       [](auto& f) { replace_front(f, read_file(weights_path(f)).substr(0, 8) + std::string(64, '\0')); },
       {"model.safetensors: header: is not JSON"}},
      {"truncated",
       kPlain,
       [](auto& f) { cut(weights_path(f), std::filesystem::file_size(weights_path(f)) / 2); },
       {"model.safetensors: tensor", "end beyond the file's", "cut off"}},
      {"empty", kPlain, [](auto& f) { cut(weights_path(f), 0); }, {"model.safetensors' is empty"}},
      {"offset-past-end",
       kPlain,
       [](auto& f) { set_field(f, kQ + ".weight", "data_offsets", "[0,1099511627776]"); },
       {kQ, "[0, 1099511627776] end beyond the file"}},
      {"offset-backwards",
       kPlain,
       [](auto& f) { set_field(f, kQ + ".weight", "data_offsets", "[4096,64]"); },
       {kQ, "[4096, 64] end before they begin"}},
      {"offset-negative",
       kPlain,
       [](auto& f) { set_field(f, kQ + ".weight", "data_offsets", "[-64,64]"); },
       {kQ, "not a whole number"}},
  };
}

Kinds wrong_tensors() {
  const std::string down = "model.layers.1.mlp.down_proj.weight";
  return {
      {"overlap", kPlain, share_bytes, {"share bytes"}},
      {"dtype-unknown",
       kPlain,
       [](auto& f) { set_field(f, kQ + ".weight", "dtype", "\"F7\""); },
       {kQ, "dtype 'F7' is not read"}},
      {"dtype-integer", kPlain, store_integers, {kQ, "[64, 128], expected [256, 128]"}},
      {"dtype-signed",
       kMlx,
       [](auto& f) { set_field(f, kQ + ".weight", "dtype", "\"I32\""); },
       {kQ + ".weight' has type I32", "expected U32"}},
      {"shape-overflow",
       kPlain,
       [](auto& f) { set_field(f, kQ + ".weight", "shape", "[8589934592,8589934592]"); },
       {kQ, "more than 2^63 bytes"}},
      {"shape-config",
       kPlain,
       [](auto& f) { set_field(f, "model.layers.1.mlp.down_proj.weight", "shape", "[256,128]"); },
       {down, "has shape [256, 128], expected [128, 256] (hidden_size 128, intermediate_size 256)"}},
      {"duplicate-name", kPlain, name_twice, {kQ, "is there twice"}},
      {"missing-tensor",
       kPlain,
       [](auto& f) {
         edit_weights(f, [](WeightsFile& w) { w.header.erase("model.layers.0.input_layernorm.weight"); });
       },
       {"'model.layers.0.input_layernorm.weight' is missing"}},
      {"unknown-tensor",
       kPlain,
       [](auto& f) {
         edit_weights(f, [](WeightsFile& w) {
           w.header[kQ + ".bias"] = {{"dtype", "F16"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
         });
       },
       {kQ + ".bias' is no part of a qwen3 model"}},
  };
}

Kinds wrong_files() {
  return {
      {"weights-missing",
       kPlain,
       [](auto& f) { std::filesystem::remove(weights_path(f)); },
       {"model.safetensors' cannot be opened", "No such file"}},
      {"weights-folder",
       kPlain,
       [](auto& f) {
         std::filesystem::remove(weights_path(f));
         std::filesystem::create_directory(weights_path(f));
       },
       {"model.safetensors' is not a regular file"}},
      {"index-outside",
       kPlain,
       [](auto& f) { write_index(f, "../../etc/passwd"); },
       {"model.safetensors.index.json: weight_map names the file '../../etc/passwd'", "in the same folder"}},
      {"index-missing-shard",
       kPlain,
       [](auto& f) { write_index(f, "model-00002-of-00002.safetensors"); },
       {"model-00002-of-00002.safetensors' cannot be opened"}},
      {"index-not-json",
       kPlain,
       [](auto& f) { write_file(f + "/model.safetensors.index.json", "{"); },
       {"model.safetensors.index.json: is not JSON"}},
      {"config-missing",
       kPlain,
       [](auto& f) { std::filesystem::remove(f + "/config.json"); },
       {"config.json' cannot be opened"}},
      {"config-not-json", kPlain, [](auto& f) { cut(f + "/config.json", 40); }, {"config.json: is not JSON"}},
      {"config-deep", kPlain, nest_config, {"config.json: is nested deeper than 64 levels"}},
  };
}

Kinds wrong_configs() {
  return {
      {"zero-layers",
       kPlain,
       [](auto& f) { set_config(f, "num_hidden_layers", "0"); },
       {"config.json: num_hidden_layers is 0, expected a whole number from 1"}},
      {"layers-huge",
       kPlain,
       [](auto& f) { set_config(f, "num_hidden_layers", "4294967297"); },
       {"num_hidden_layers is 4294967297, expected a whole number from 1 to 1024"}},
      {"layers-many",
       kPlain,
       [](auto& f) { set_config(f, "num_hidden_layers", "1024"); },
       {"'model.layers.1023.input_layernorm.weight' is missing"}},
      {"heads-odd",
       kPlain,
       [](auto& f) { set_config(f, "num_key_value_heads", "3"); },
       {"8 query heads over 3 KV heads, expected a multiple"}},
      {"unknown-family",
       kPlain,
       [](auto& f) {
         set_config(f, "model_type", "\"mamba\"");
         set_config(f, "architectures", "[\"MambaForCausalLM\"]");
       },
       {"model_type 'mamba' is not read yet; read are: llama, qwen2, qwen3, "
        "qwen3_moe"}},
      {"rope-unknown",
       kPlain,
       [](auto& f) { set_config(f, "rope_parameters", R"({"rope_type":"banana","rope_theta":1e6})"); },
       {"rope type 'banana', which is not read yet; read are: default, llama3"}},
      {"sliding-window",
       kPlain,
       [](auto& f) {
         set_config(f, "use_sliding_window", "true");
         set_config(f, "sliding_window", "16");
         set_config(f, "layer_types", R"(["sliding_attention","sliding_attention"])");
       },
       {"sliding-window attention (use_sliding_window is true) is not read yet"}},
      {"vocab-huge",
       kPlain,
       [](auto& f) { set_config(f, "vocab_size", "2097152"); },
       {"'model.embed_tokens.weight' has shape [320, 128], expected [2097152, 128]"}},
  };
}

Kinds wrong_quantisation() {
  return {
      {"group-zero",
       kMlx,
       [](auto& f) { set_quantization(f, R"({"group_size":0,"bits":4})"); },
       {"quantization.group_size is 0, expected 32, 64 or 128"}},
      {"bits-seven",
       kMlx,
       [](auto& f) { set_quantization(f, R"({"group_size":64,"bits":7})"); },
       {"quantization.bits is 7, expected 2, 3, 4, 5, 6 or 8"}},
      {"bits-wrong",
       kMlx,
       [](auto& f) { set_quantization(f, R"({"group_size":64,"bits":8})"); },
       {"has shape [320, 16] and scales [320, 2], expected [320, 32]", "8 bits in groups of 64"}},
      {"mode-mxfp4",
       kMlx,
       [](auto& f) { set_quantization(f, R"({"group_size":32,"bits":4,"mode":"mxfp4"})"); },
       {"quantization.mode is 'mxfp4', which is not read yet"}},
      {"method-gptq",
       kMlx,
       [](auto& f) { set_quantization(f, R"({"group_size":64,"bits":4,"quant_method":"gptq"})"); },
       {"quant_method 'gptq', which is not read yet"}},
      {"scales-missing",
       kMlx,
       [](auto& f) { edit_weights(f, [](WeightsFile& w) { w.header.erase(kQ + ".biases"); }); },
       {kQ + ".scales' has no", kQ + ".biases' beside it"}},
      {"scales-nan", kMlx, spoil_scales, {kQ + ".weight' has a scale or bias that is not finite in row 0"}},
  };
}

Kinds wrong_texts() {
  return {
      {"tokenizer-missing",
       kPlain,
       [](auto& f) { std::filesystem::remove(f + "/tokenizer.json"); },
       {"tokenizer.json"},
       true},
      {"tokenizer-not-json", kPlain, [](auto& f) { cut(f + "/tokenizer.json", 1000); }, {"tokenizer.json"}, true},
      {"template-broken",
       kPlain,
       [](auto& f) {
         edit_json(f + "/tokenizer_config.json",
                   [](Json& json) { json["chat_template"] = "{% for m in messages %}{{ m."; });
       },
       {"chat template"},
       true},
  };
}

}  // namespace

const std::vector<HostileKind>& hostile_kinds() {
  static const Kinds all = [] {
    Kinds kinds;
    for (const auto& part :
         {wrong_headers(), wrong_tensors(), wrong_files(), wrong_configs(), wrong_quantisation(), wrong_texts(),
          wrong_disks(), wrong_numbers(), wrong_packing(), wrong_families(), wrong_gguf(), wrong_sizes()}) {
      kinds.insert(kinds.end(), part.begin(), part.end());
    }
    return kinds;
  }();
  return all;
}

std::string model_path(const HostileKind& kind, const std::string& folder) {
  return kind.file.empty() ? folder : folder + "/" + kind.file;
}

void make_hostile(const HostileKind& kind, const std::string& folder) {
  const std::filesystem::path good = std::filesystem::path(SLIPSTREAM_TEST_DATA) / "oracle" / kind.base;
  std::filesystem::create_directory(folder);
  for (const auto& entry : std::filesystem::directory_iterator(good)) {
    const std::string name = entry.path().filename().string();
    // One file's index is left out: in most of these the file itself is what is wrong.
    const bool wanted = !name.starts_with("golden") && (kind.base == kSharded || !name.ends_with(".index.json"));
    if (wanted) std::filesystem::copy_file(entry.path(), std::filesystem::path(folder) / name);
  }
  kind.spoil(folder);
}

}  // namespace slipstream
