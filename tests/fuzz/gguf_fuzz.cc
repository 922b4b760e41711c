// A GGUF file: what it says, its config, its weights packed, its tokenizer. An input is the front of the file; data
// enough for a small model is added, so that the corpus is small.
#include <variant>

#include "fuzz/fuzz_input.h"
#include "model/checkpoint.h"
#include "text/tokenizer.h"

namespace slipstream {
namespace {

constexpr size_t kDataBytes = 32 << 10;

template <class T>
std::vector<T> metadata_array(const GgufMetadata& metadata, std::string_view key) {
  const GgufValue* value = metadata.find(key);
  const auto* array = value == nullptr ? nullptr : std::get_if<std::vector<T>>(value);
  return array == nullptr ? std::vector<T>{} : *array;
}

void read_tokenizer(const GgufMetadata& metadata) {
  BpeVocabulary vocabulary;
  vocabulary.pre = metadata.get_string("tokenizer.ggml.pre").ok() ? *metadata.get_string("tokenizer.ggml.pre") : "";
  vocabulary.tokens = metadata_array<std::string>(metadata, "tokenizer.ggml.tokens");
  vocabulary.token_types = metadata_array<int64_t>(metadata, "tokenizer.ggml.token_type");
  vocabulary.merges = metadata_array<std::string>(metadata, "tokenizer.ggml.merges");
  const auto tokenizer = Tokenizer::from_bpe(vocabulary);
  if (!tokenizer.ok()) return check_refusal(tokenizer.error());
  const auto tokens = tokenizer->encode("Hello world, 1234 \xe2\x82\xac\n", true);
  if (!tokens.ok()) return check_refusal(tokens.error());
  for (const TokenId token : *tokens) CHECK(token < tokenizer->vocab_size(), "token {}", token);
}

void open_and_load(std::string_view front) {
  static ThreadPool pool{1};
  const std::string path = fuzz_folder().path("x.gguf");
  static const std::string data(kDataBytes, '\x3c');
  write_file(path, std::string(front) + data);
  const auto checkpoint = open_checkpoint(path);
  if (!checkpoint.ok()) return check_refusal(checkpoint.error());
  for (const Tensor& tensor : checkpoint->tensors.tensors())
    CHECK(tensor.bytes.size() == tensor_bytes(tensor.dtype, tensor.shape).value(), "{}", tensor.name);
  read_tokenizer(checkpoint->metadata);
  const auto weights = load_checkpoint(*checkpoint, pool, {});
  if (!weights.ok()) return check_refusal(weights.error());
}

}  // namespace
}  // namespace slipstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slipstream::open_and_load({reinterpret_cast<const char*>(data), size});
  return 0;
}
