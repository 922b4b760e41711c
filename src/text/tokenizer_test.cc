#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace slipstream {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Tokenizer, small_tokenizer_json_encodes_and_decodes) {
  const std::string json = read_file(SLIPSTREAM_TEST_DATA "/oracle/llama-untied-bf16/tokenizer.json");
  auto tokenizer = Tokenizer::from_json(json);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const std::string text = "Hello <|im_end|> w\xC3\xB6rld";
  auto ids = tokenizer->encode(text, true);
  ASSERT_TRUE(ids.ok()) << ids.error().message;
  EXPECT_EQ(tokenizer->decode(*ids, true).value(), text);
  for (const TokenId id : *ids) EXPECT_FALSE(tokenizer->table().is_special(id)) << id;
}

}  // namespace
}  // namespace slipstream
