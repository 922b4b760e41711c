// For the lists of wrong checkpoints: how a good one is spoilt.
#pragma once

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/check.h"
#include "files/test_files.h"
#include "hostile/hostile_checkpoints.h"

namespace slipstream {

using Json = nlohmann::ordered_json;

using Kinds = std::vector<HostileKind>;

inline constexpr char kPlain[] = "qwen3-fp16";
inline constexpr char kMlx[] = "qwen3-mlx-4bit-g64";
inline constexpr char kSharded[] = "llama-untied-bf16";
inline const std::string kQ = "model.layers.0.self_attn.q_proj";

struct WeightsFile {
  Json header;
  std::string data;
};

inline std::string weights_path(const std::string& folder) { return folder + "/model.safetensors"; }

inline WeightsFile read_weights(const std::string& folder) {
  const std::string file = read_file(weights_path(folder));
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  return {Json::parse(file.substr(8, header_bytes)), file.substr(8 + header_bytes)};
}

inline void write_weights(const std::string& folder, const std::string& header, const std::string& data) {
  write_file(weights_path(folder), safetensors_bytes(header, data));
}

template <class Change>
inline void edit_weights(const std::string& folder, Change change) {
  WeightsFile weights = read_weights(folder);
  change(weights);
  write_weights(folder, weights.header.dump(), weights.data);
}

template <class Change>
inline void edit_json(const std::string& path, Change change) {
  Json json = Json::parse(read_file(path));
  change(json);
  write_file(path, json.dump());
}

inline void set_config(const std::string& folder, const std::string& key, const char* value) {
  edit_json(folder + "/config.json", [&](Json& json) { json[key] = Json::parse(value); });
}

inline void set_generation(const std::string& folder, const std::string& key, const char* value) {
  edit_json(folder + "/generation_config.json", [&](Json& json) { json[key] = Json::parse(value); });
}

inline void set_quantization(const std::string& folder, const char* value) {
  set_config(folder, "quantization", value);
  set_config(folder, "quantization_config", value);
}

// Of the first q_proj.
inline void set_field(const std::string& folder, const std::string& tensor, const char* field, const char* value) {
  edit_weights(folder, [&](WeightsFile& weights) { weights.header.at(tensor)[field] = Json::parse(value); });
}

inline void replace_front(const std::string& folder, const std::string& front) {
  const std::string file = read_file(weights_path(folder));
  write_file(weights_path(folder), front + file.substr(front.size()));
}

inline void cut(const std::string& path, uint64_t size) { std::filesystem::resize_file(path, size); }

// The lists; hostile_kinds() has them all.
Kinds wrong_disks();
Kinds wrong_numbers();
Kinds wrong_packing();
Kinds wrong_sizes();
Kinds wrong_families();
Kinds wrong_gguf();

}  // namespace slipstream
