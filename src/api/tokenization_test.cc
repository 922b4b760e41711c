#include "api/tokenization.h"

#include <gtest/gtest.h>

#include <string>

namespace slipstream {
namespace {

void check_refused_tokenize(const std::string& body, const std::string& param) {
  const auto parsed = parse_tokenize_request(body);
  ASSERT_FALSE(parsed.ok()) << body;
  EXPECT_EQ(parsed.error().param, param) << body << parsed.error().message;
}
void check_refused_detokenize(const std::string& body, const std::string& param) {
  const auto parsed = parse_detokenize_request(body);
  ASSERT_FALSE(parsed.ok()) << body;
  EXPECT_EQ(parsed.error().param, param) << body << parsed.error().message;
}

TEST(Tokenization, a_prompt_or_a_chat_is_read) {
  const auto text = parse_tokenize_request(R"({"prompt":"hi"})");
  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_EQ(std::get<std::string>(text->text), "hi");
  EXPECT_TRUE(text->add_special_tokens);
  EXPECT_FALSE(text->return_token_strs);
  EXPECT_FALSE(text->model.has_value());
  const auto chat = parse_tokenize_request(
      R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],)"
      R"("continue_final_message":true,"chat_template_kwargs":{"x":1},"return_token_strs":true})");
  ASSERT_TRUE(chat.ok()) << chat.error().message;
  const auto& prompt = std::get<ChatPrompt>(chat->text);
  EXPECT_TRUE(prompt.continue_final_message);
  EXPECT_EQ(prompt.template_kwargs_json, R"({"x":1})");
  EXPECT_FALSE(chat->add_special_tokens);
  EXPECT_TRUE(chat->return_token_strs);
  EXPECT_EQ(chat->model, "m");
}

TEST(Tokenization, other_bodies_are_refused_by_name) {
  check_refused_tokenize("{}", "prompt");
  check_refused_tokenize(R"({"prompt":null})", "prompt");
  check_refused_tokenize(R"({"prompt":["a"]})", "prompt");
  check_refused_tokenize(R"({"prompt":"a","messages":[{"role":"user","content":"a"}]})", "messages");
  check_refused_tokenize(R"({"messages":[]})", "messages");
  check_refused_tokenize(R"({"prompt":"a","add_generation_prompt":true})", "add_generation_prompt");
  check_refused_tokenize(R"({"prompt":"a","add_special_tokens":1})", "add_special_tokens");
  check_refused_tokenize(R"({"prompt":"a","return_token_strs":"no"})", "return_token_strs");
  check_refused_tokenize(R"({"prompt":"a","tools":[]})", "tools");
  check_refused_tokenize(R"({"prompt":"a","temperature":1})", "temperature");
  check_refused_tokenize(R"({"prompt":"a","prompt":"b"})", "prompt");
  check_refused_tokenize("[]", "");
  check_refused_detokenize("{}", "tokens");
  for (const char* wrong :
       {"1", "\"1\"", "{}", "[true]", "[1.0]", "[-1]", "[4294967296]", "[\"1\"]", "[[1]]", "[1e3]"}) {
    check_refused_detokenize(std::string(R"({"tokens":)") + wrong + "}", "tokens");
  }
  check_refused_detokenize(R"({"tokens":[1],"skip_special_tokens":true})", "skip_special_tokens");
}

TEST(Tokenization, answers_have_vllms_form) {
  const auto tokens = parse_detokenize_request(R"({"tokens":[5,4294967295]})");
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  EXPECT_EQ(tokens->tokens, (std::vector<TokenId>{5, 4294967295u}));
  const TokenId ids[] = {1, 20};
  const std::string_view texts[] = {"a\"", "\xc3"};
  EXPECT_EQ(write_tokens(ids, {}, 99), R"({"count":2,"max_model_len":99,"tokens":[1,20],"token_strs":null})");
  EXPECT_EQ(write_tokens(ids, texts, 99),
            "{\"count\":2,\"max_model_len\":99,\"tokens\":[1,20],\"token_strs\":[\"a\\\"\",\"\xEF\xBF\xBD\"]}");
  EXPECT_EQ(write_tokens({}, {}, 99), R"({"count":0,"max_model_len":99,"tokens":[],"token_strs":null})");
  EXPECT_EQ(write_detokenized("x\n"), R"({"prompt":"x\n"})");
}

}  // namespace
}  // namespace slipstream
