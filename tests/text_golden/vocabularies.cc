#include "text_golden/vocabularies.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "app/gguf_vocabulary.h"
#include "base/check.h"
#include "files/gguf.h"
#include "files/test_files.h"
#include "text_golden/golden_files.h"

namespace slipstream {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// $SLIPSTREAM_SMOLLM2, or where ./run puts the real model.
std::string smollm2_path() {
  if (const std::string named = environment("SLIPSTREAM_SMOLLM2"); !named.empty()) return named;
  std::string cache = environment("XDG_CACHE_HOME");
  if (cache.empty()) cache = environment("HOME") + "/.cache";
  return cache + "/slipstream/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";
}

std::string folder_of(const std::string& name) {
  if (name == "tiny") return std::string(SLIPSTREAM_TEST_DATA) + "/oracle/qwen3-mlx-4bit-g64";
  return environment("SLIPSTREAM_DATA") + "/tokenizers/" + name;
}

template <class T>
T taken(Result<T> result, const std::string& what) {
  CHECK(result.ok(), "{}: {}", what, result.error().message);
  return std::move(result.value());
}

Vocabulary read_folder(const std::string& folder) {
  TokenizerConfig config = taken(read_tokenizer_config(read_whole_file(folder + "/tokenizer_config.json")), folder);
  return {taken(Tokenizer::from_json(read_whole_file(folder + "/tokenizer.json")), folder),
          std::move(config.chat_template), std::move(config.bos_token), std::move(config.eos_token)};
}

Vocabulary read_gguf(const std::string& path, std::string bos_token, std::string eos_token) {
  const GgufFile file = taken(open_gguf(path), path);
  const BpeVocabulary vocabulary = taken(gguf_vocabulary(file.metadata), path);
  return {taken(Tokenizer::from_bpe(vocabulary), path),
          taken(file.metadata.get_string("tokenizer.chat_template"), path), std::move(bos_token), std::move(eos_token)};
}

// What llama.cpp's converter makes of a folder: added tokens that are special, or look it, are control tokens.
std::string gguf_of_folder(const std::string& folder, const TokenizerConfig& config) {
  using Json = nlohmann::json;
  const Json json = Json::parse(read_whole_file(folder + "/tokenizer.json"));
  constexpr uint32_t kNormal = 1, kControl = 3, kUserDefined = 4;
  std::map<uint32_t, std::pair<std::string, uint32_t>> tokens;
  for (const auto& [token, id] : json["model"]["vocab"].items()) tokens[id.get<uint32_t>()] = {token, kNormal};
  for (const Json& added : json["added_tokens"]) {
    const auto text = added["content"].get<std::string>();
    const bool control = added["special"].get<bool>() || (text.starts_with("<|") && text.ends_with("|>"));
    tokens[added["id"].get<uint32_t>()] = {text, control ? kControl : kUserDefined};
  }
  std::vector<std::string> texts, merges;
  std::string types = bytes_of<uint32_t>(5) + bytes_of<uint64_t>(tokens.size());
  GgufBuilder gguf;
  for (const auto& [id, token] : tokens) {
    CHECK(id == texts.size(), "{}: no token {}", folder, texts.size());
    if (token.first == config.bos_token) gguf.u32("tokenizer.ggml.bos_token_id", id);
    texts.push_back(token.first);
    types += bytes_of(token.second);
  }
  for (const Json& merge : json["model"]["merges"])
    merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  const auto pattern = json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"].get<std::string>();
  gguf.string("tokenizer.ggml.model", "gpt2");
  gguf.string("tokenizer.ggml.pre", pattern.find("{1,3}") == std::string::npos ? "qwen2" : "llama-bpe");
  gguf.strings("tokenizer.ggml.tokens", texts);
  gguf.key("tokenizer.ggml.token_type", 9, types);
  gguf.strings("tokenizer.ggml.merges", merges);
  gguf.string("tokenizer.chat_template", config.chat_template);
  return gguf.bytes();
}

// Of the folder `name`, by way of a GGUF file: FOLDER.gguf where there is one (tools/make_gguf.py --vocab-only writes
// it with the gguf package), else one made here.
Vocabulary read_folder_as_gguf(const std::string& folder) {
  const TokenizerConfig config =
      taken(read_tokenizer_config(read_whole_file(folder + "/tokenizer_config.json")), folder);
  if (std::filesystem::exists(folder + ".gguf"))
    return read_gguf(folder + ".gguf", config.bos_token, config.eos_token);
  const TempFolder temporary;
  write_file(temporary.path("x.gguf"), gguf_of_folder(folder, config));
  return read_gguf(temporary.path("x.gguf"), config.bos_token, config.eos_token);
}

std::unique_ptr<Vocabulary> read_vocabulary(const std::string& name) {
  if (name == "smollm2") {
    if (!std::filesystem::exists(smollm2_path())) return nullptr;
    return std::make_unique<Vocabulary>(read_gguf(smollm2_path(), "<|im_start|>", "<|im_end|>"));
  }
  const std::string folder = folder_of(folder_name(name));
  if (!std::filesystem::exists(folder)) return nullptr;
  return std::make_unique<Vocabulary>(is_by_gguf(name) ? read_folder_as_gguf(folder) : read_folder(folder));
}

}  // namespace

bool is_by_gguf(const std::string& name) { return name.ends_with(kByGguf); }

std::string folder_name(const std::string& name) {
  return is_by_gguf(name) ? name.substr(0, name.size() - kByGguf.size()) : name;
}

const Vocabulary* find_vocabulary(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Vocabulary>> read;
  auto found = read.find(name);
  if (found == read.end()) found = read.emplace(name, read_vocabulary(name)).first;
  return found->second.get();
}

std::string why_skipped(const std::string& name) {
  if (name == "smollm2") return "SKIPPED: no " + smollm2_path();
  return "SKIPPED: no tokenizers/" + folder_name(name) + " in $SLIPSTREAM_DATA";
}

}  // namespace slipstream
