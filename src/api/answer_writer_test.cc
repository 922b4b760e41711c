#include "api/answer_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "api/api_error.h"
#include "api/json_text.h"

namespace slipstream {
namespace {

using nlohmann::json;

TEST(AnswerWriter, a_whole_chat_is_openais_object) {
  const AnswerWriter writer(AnswerKind::kChat, "1f", 1700000000, "m\"x");
  const AnswerChoice choices[] = {{"he said \"é\"\n\x01\\", "stop"}, {"", "length"}};
  const json whole = json::parse(writer.whole(choices, {10, 7, 4}));
  EXPECT_EQ(
      whole,
      json::parse(R"({"id":"chatcmpl-1f","object":"chat.completion","created":1700000000,"model":"m\"x","choices":[
    {"index":0,"message":{"role":"assistant","content":"he said \"é\"\n\u0001\\","refusal":null},)"
      R"("logprobs":null,"finish_reason":"stop"},
    {"index":1,"message":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":"length"}],
    "usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,)"
      R"("prompt_tokens_details":{"cached_tokens":4}}})"));
}

TEST(AnswerWriter, a_whole_text_is_openais_object) {
  const AnswerWriter writer(AnswerKind::kText, "1f", 5, "m");
  const AnswerChoice choices[] = {{"text", "length"}};
  EXPECT_EQ(json::parse(writer.whole(choices, {1, 1, 0})),
            json::parse(R"({"id":"cmpl-1f","object":"text_completion","created":5,"model":"m","choices":[
    {"index":0,"text":"text","logprobs":null,"finish_reason":"length"}],
    "usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,)"
      R"("prompt_tokens_details":{"cached_tokens":0}}})"));
}

TEST(AnswerWriter, chunks_of_a_chat_stream) {
  AnswerWriter writer(AnswerKind::kChat, "a", 5, "m");
  const std::string head =
      R"({"id":"chatcmpl-a","object":"chat.completion.chunk","created":5,"model":"m","choices":)";
  EXPECT_EQ(
      json::parse(writer.role(2)),
      json::parse(
          head + R"([{"index":2,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]})"));
  EXPECT_EQ(json::parse(writer.text(0, "hi\n")),
            json::parse(head + R"([{"index":0,"delta":{"content":"hi\n"},"logprobs":null,"finish_reason":null}]})"));
  EXPECT_EQ(json::parse(writer.finish(1, "stop")),
            json::parse(head + R"([{"index":1,"delta":{},"logprobs":null,"finish_reason":"stop"}]})"));
  AnswerExtras with_cache;
  with_cache.cache = R"({"status":"HIT"})";
  EXPECT_EQ(json::parse(writer.finish(1, "stop", with_cache)),
            json::parse(head + R"([{"index":1,"delta":{},"logprobs":null,"finish_reason":"stop"}],)"
                               R"("cache":{"status":"HIT"}})"));
  writer.announce_usage();
  EXPECT_EQ(json::parse(writer.text(0, "x"))["usage"], json(nullptr));
  EXPECT_EQ(
      json::parse(writer.usage({3, 2, 1})),
      json::parse(
          head +
          R"([],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,)"
      R"("prompt_tokens_details":{"cached_tokens":1}}})"));
}

TEST(AnswerWriter, chunks_of_a_text_stream) {
  const AnswerWriter writer(AnswerKind::kText, "a", 5, "m");
  const std::string head = R"({"id":"cmpl-a","object":"text_completion","created":5,"model":"m","choices":)";
  EXPECT_EQ(json::parse(writer.text(0, "hi")),
            json::parse(head + R"([{"index":0,"text":"hi","logprobs":null,"finish_reason":null}]})"));
  EXPECT_EQ(json::parse(writer.finish(0, "length")),
            json::parse(head + R"([{"index":0,"text":"","logprobs":null,"finish_reason":"length"}]})"));
}

TEST(AnswerWriter, strings_of_every_byte_below_128_come_back) {
  std::string text;
  for (char byte = 0; byte >= 0; ++byte) {
    text += byte;
    if (byte == 127) break;
  }
  EXPECT_EQ(json::parse(json_string(text)).get<std::string>(), text);
}

TEST(AnswerWriter, what_is_not_utf8_is_replaced) {
  const std::string fffd = "\xEF\xBF\xBD";
  const auto back = [](const std::string& text) { return json::parse(json_string(text)).get<std::string>(); };
  EXPECT_EQ(back("a\xff\"z"), "a" + fffd + "\"z");
  EXPECT_EQ(back("\xc0\x80"), fffd + fffd);             // overlong
  EXPECT_EQ(back("\xed\xa0\x80"), fffd + fffd + fffd);  // a surrogate
  EXPECT_EQ(back("\xf4\x90\x80\x80"), fffd + fffd + fffd + fffd);
  EXPECT_EQ(back("\xe2\x82"), fffd + fffd);  // cut off
  for (const std::string good : {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                 "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(back(good), good);
  }
}

TEST(ApiError, each_kind_has_its_status) {
  const auto status = [](ErrorKind kind) { return api_error(Error{kind, "words", "p", ""}).status; };
  EXPECT_EQ(status(ErrorKind::kInvalid), 400);
  EXPECT_EQ(status(ErrorKind::kNotFound), 404);
  EXPECT_EQ(status(ErrorKind::kOverloaded), 429);
  EXPECT_EQ(status(ErrorKind::kUnavailable), 503);
  EXPECT_EQ(status(ErrorKind::kModel), 500);
  EXPECT_GT(api_error(Error{ErrorKind::kOverloaded, "", "", ""}).retry_after_s, 0u);
  EXPECT_GT(api_error(Error{ErrorKind::kUnavailable, "", "", ""}).retry_after_s, 0u);
  EXPECT_EQ(api_error(Error{ErrorKind::kModel, "at /secret/path", "", ""}).message.find("secret"), std::string::npos);
}

TEST(ApiError, is_openais_object) {
  EXPECT_EQ(
      json::parse(write_error(api_error(invalid_param("n", "'n' is \"x\"")))),
      json::parse(R"({"error":{"message":"'n' is \"x\"","type":"invalid_request_error","param":"n","code":null}})"));
  const json unknown = json::parse(write_error(api_error(unknown_model(std::string(500, 'x'), "m"))));
  EXPECT_EQ(unknown["error"]["code"], "model_not_found");
  EXPECT_LT(unknown.dump().size(), 300u);
}

TEST(ApiError, long_words_of_a_client_are_cut_between_characters) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "é";
  for (size_t shift = 0; shift < 4; ++shift) {
    EXPECT_NO_THROW(json(shortened(std::string(shift, 'a') + text)).dump());
  }
}

TEST(AnswerWriter, extras_stand_where_vllms_do) {
  const std::vector<TokenId> tokens{5, 6};
  const std::vector<TokenId> prompt{1};
  const Usage usage{1, 2, 0};
  AnswerExtras extras;
  extras.logprobs = R"({"content":[]})";
  extras.token_ids = &tokens;
  extras.prompt_token_ids = &prompt;
  const AnswerChoice choices[] = {{"x", "stop", extras}};
  for (const AnswerKind kind : {AnswerKind::kChat, AnswerKind::kText}) {
    const AnswerWriter writer(kind, "a", 5, "m");
    AnswerExtras with_usage = extras;
    with_usage.usage = &usage;
    for (const std::string& text : {writer.whole(choices, usage), writer.text(0, "x", with_usage)}) {
      const json answer = json::parse(text);
      EXPECT_EQ(answer["choices"][0]["logprobs"], json::parse(extras.logprobs));
      EXPECT_EQ(answer["choices"][0]["token_ids"], json(tokens));
      const json& holder = kind == AnswerKind::kChat ? answer : answer["choices"][0];
      EXPECT_EQ(holder["prompt_token_ids"], json(prompt));
      EXPECT_EQ(answer["usage"]["completion_tokens"], 2);
    }
    EXPECT_EQ(json::parse(writer.text(0, "x")).count("usage"), 0u);
    EXPECT_EQ(json::parse(writer.text(0, "x"))["choices"][0].count("token_ids"), 0u);
  }
}

}  // namespace
}  // namespace slipstream
