#include "app/gguf_vocabulary.h"

#include "files/quoted.h"

namespace slipstream {
namespace {

// Empty where the key is absent or of another type.
template <class T>
std::vector<T> array_of(const GgufMetadata& metadata, std::string_view key) {
  const GgufValue* value = metadata.find(key);
  const auto* array = value == nullptr ? nullptr : std::get_if<std::vector<T>>(value);
  return array == nullptr ? std::vector<T>{} : *array;
}

Result<bool> flag(const GgufMetadata& metadata, std::string_view key, bool absent) {
  const GgufValue* value = metadata.find(key);
  if (value == nullptr) return absent;
  if (const bool* is = std::get_if<bool>(value)) return *is;
  return invalid("{} is not true or false", key);
}

}  // namespace

Result<BpeVocabulary> gguf_vocabulary(const GgufMetadata& metadata) {
  ASSIGN_OR_RETURN(const std::string model, metadata.get_string("tokenizer.ggml.model"));
  if (model != "gpt2")
    return invalid("tokenizer.ggml.model is {}, expected gpt2: other tokenizers are not read yet", in_quotes(model));
  BpeVocabulary vocabulary;
  ASSIGN_OR_RETURN(vocabulary.pre, metadata.get_string("tokenizer.ggml.pre"));
  vocabulary.tokens = array_of<std::string>(metadata, "tokenizer.ggml.tokens");
  vocabulary.token_types = array_of<int64_t>(metadata, "tokenizer.ggml.token_type");
  vocabulary.merges = array_of<std::string>(metadata, "tokenizer.ggml.merges");
  ASSIGN_OR_RETURN(const bool add_eos, flag(metadata, "tokenizer.ggml.add_eos_token", false));
  if (add_eos) return invalid("tokenizer.ggml.add_eos_token is true, which is not read yet");
  ASSIGN_OR_RETURN(const bool add_bos, flag(metadata, "tokenizer.ggml.add_bos_token", vocabulary.pre == "llama-bpe"));
  if (add_bos) {
    ASSIGN_OR_RETURN(const uint64_t bos, metadata.get_uint("tokenizer.ggml.bos_token_id"));
    if (bos >= vocabulary.tokens.size()) {
      return invalid("tokenizer.ggml.bos_token_id is {}, expected below {}", bos, vocabulary.tokens.size());
    }
    vocabulary.bos_token = static_cast<TokenId>(bos);
  }
  return vocabulary;
}

}  // namespace slipstream
