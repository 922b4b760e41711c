#include "text_golden/vocabularies.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "base/check.h"
#include "files/gguf.h"
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

template <class T>
const T& value_of(const GgufMetadata& metadata, std::string_view key) {
  const GgufValue* value = metadata.find(key);
  CHECK(value != nullptr && std::holds_alternative<T>(*value), "{}", key);
  return std::get<T>(*value);
}

Vocabulary read_smollm2(const std::string& path) {
  const GgufFile file = taken(open_gguf(path), path);
  const GgufMetadata& metadata = file.metadata;
  BpeVocabulary vocabulary;
  vocabulary.pre = value_of<std::string>(metadata, "tokenizer.ggml.pre");
  vocabulary.tokens = value_of<std::vector<std::string>>(metadata, "tokenizer.ggml.tokens");
  vocabulary.token_types = value_of<std::vector<int64_t>>(metadata, "tokenizer.ggml.token_type");
  vocabulary.merges = value_of<std::vector<std::string>>(metadata, "tokenizer.ggml.merges");
  return {taken(Tokenizer::from_bpe(vocabulary), path), value_of<std::string>(metadata, "tokenizer.chat_template"),
          "<|im_start|>", "<|im_end|>"};
}

std::unique_ptr<Vocabulary> read_vocabulary(const std::string& name) {
  if (name == "smollm2") {
    if (!std::filesystem::exists(smollm2_path())) return nullptr;
    return std::make_unique<Vocabulary>(read_smollm2(smollm2_path()));
  }
  if (!std::filesystem::exists(folder_of(name))) return nullptr;
  return std::make_unique<Vocabulary>(read_folder(folder_of(name)));
}

}  // namespace

const Vocabulary* find_vocabulary(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Vocabulary>> read;
  auto found = read.find(name);
  if (found == read.end()) found = read.emplace(name, read_vocabulary(name)).first;
  return found->second.get();
}

std::string why_skipped(const std::string& name) {
  if (name == "smollm2") return "SKIPPED: no " + smollm2_path();
  return "SKIPPED: no tokenizers/" + name + " in $SLIPSTREAM_DATA";
}

}  // namespace slipstream
