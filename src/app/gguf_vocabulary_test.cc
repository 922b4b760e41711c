#include "app/gguf_vocabulary.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

using Strings = std::vector<std::string>;

GgufMetadata metadata_of(const std::string& pre) {
  GgufMetadata metadata;
  metadata.values["tokenizer.ggml.model"] = std::string("gpt2");
  metadata.values["tokenizer.ggml.pre"] = pre;
  metadata.values["tokenizer.ggml.tokens"] = Strings{"a", "b", "ab"};
  metadata.values["tokenizer.ggml.token_type"] = std::vector<int64_t>{1, 1, 1};
  metadata.values["tokenizer.ggml.merges"] = Strings{"a b"};
  metadata.values["tokenizer.ggml.bos_token_id"] = uint64_t{2};
  return metadata;
}

TEST(GgufVocabulary, comes_out_of_its_keys) {
  const auto vocabulary = gguf_vocabulary(metadata_of("qwen2"));
  ASSERT_TRUE(vocabulary.ok()) << vocabulary.error().message;
  EXPECT_EQ(vocabulary->pre, "qwen2");
  EXPECT_EQ(vocabulary->tokens, (Strings{"a", "b", "ab"}));
  EXPECT_EQ(vocabulary->token_types, (std::vector<int64_t>{1, 1, 1}));
  EXPECT_EQ(vocabulary->merges, Strings{"a b"});
}

// The key decides; where it is missing, a Llama's text begins with BOS and others' do not.
TEST(GgufVocabulary, bos_is_added_where_the_file_or_llama_cpp_says_so) {
  for (const char* pre : {"smollm", "llama-bpe", "qwen2"}) {
    GgufMetadata metadata = metadata_of(pre);
    EXPECT_EQ(gguf_vocabulary(metadata)->bos_token.has_value(), std::string(pre) == "llama-bpe") << pre;
    metadata.values["tokenizer.ggml.add_bos_token"] = true;
    EXPECT_EQ(gguf_vocabulary(metadata)->bos_token, std::optional<TokenId>(2)) << pre;
    metadata.values["tokenizer.ggml.add_bos_token"] = false;
    EXPECT_FALSE(gguf_vocabulary(metadata)->bos_token.has_value()) << pre;
  }
}

TEST(GgufVocabulary, what_is_wrong_or_unknown_is_named) {
  const auto check = [](const char* key, const GgufValue& value, const std::string& expected) {
    GgufMetadata metadata = metadata_of("llama-bpe");
    metadata.values[key] = value;
    const auto vocabulary = gguf_vocabulary(metadata);
    ASSERT_FALSE(vocabulary.ok()) << expected;
    EXPECT_NE(vocabulary.error().message.find(expected), std::string::npos) << vocabulary.error().message;
  };
  check("tokenizer.ggml.model", std::string("llama"), "tokenizer.ggml.model is 'llama', expected gpt2");
  check("tokenizer.ggml.pre", uint64_t{1}, "'tokenizer.ggml.pre' is not a string");
  check("tokenizer.ggml.add_bos_token", uint64_t{1}, "tokenizer.ggml.add_bos_token is not true or false");
  check("tokenizer.ggml.add_eos_token", true, "tokenizer.ggml.add_eos_token is true, which is not read yet");
  check("tokenizer.ggml.bos_token_id", uint64_t{3}, "tokenizer.ggml.bos_token_id is 3, expected below 3");
  check("tokenizer.ggml.bos_token_id", ~uint64_t{0}, "bos_token_id is 18446744073709551615");
  check("tokenizer.ggml.bos_token_id", int64_t{-1}, "'tokenizer.ggml.bos_token_id' is not a whole number");
  GgufMetadata no_bos = metadata_of("llama-bpe");
  no_bos.values.erase("tokenizer.ggml.bos_token_id");
  EXPECT_FALSE(gguf_vocabulary(no_bos).ok());
}

}  // namespace
}  // namespace slipstream
