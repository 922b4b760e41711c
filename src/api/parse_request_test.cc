// A table of requests: what is taken, with what values, and what is refused, by which name.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "api/api_limits.h"
#include "api/test_requests.h"

namespace slipstream {
namespace {

void check_refused(const std::string& fields, const std::string& param) {
  EXPECT_EQ(refusal(fields), param) << fields;
}
void check_chat_refused(const std::string& body, const std::string& param) {
  EXPECT_EQ(chat_refusal(body), param) << body.substr(0, 300);
}

TEST(ParseRequest, nothing_given_is_the_defaults) {
  const GenerationParams params = params_of("");
  EXPECT_EQ(params.sampling.temperature, 1.0);
  EXPECT_EQ(params.sampling.top_p, 1.0);
  EXPECT_EQ(params.sampling.top_k, 0u);
  EXPECT_EQ(params.sampling.min_p, 0.0);
  EXPECT_FALSE(params.has_seed);
  EXPECT_FALSE(params.max_tokens.has_value());
  EXPECT_TRUE(params.stop.empty());
  EXPECT_FALSE(params.ignore_eos);
  EXPECT_EQ(params.num_choices, 1u);
  EXPECT_FALSE(params.stream);
  EXPECT_FALSE(params.include_usage);
  EXPECT_EQ(*parse_completion_request(completion(""))->generation.max_tokens, 16u);
}

TEST(ParseRequest, null_is_the_default_of_every_parameter) {
  const GenerationParams params = params_of(
      R"("temperature":null,"top_p":null,"top_k":null,"min_p":null,"seed":null,"max_tokens":null,)"
      R"("stop":null,"ignore_eos":null,)"
      R"("n":null,"stream":null,"stream_options":null,"user":null,"tools":null,"logprobs":null)");
  EXPECT_EQ(params.sampling.temperature, 1.0);
  EXPECT_FALSE(params.has_seed);
  EXPECT_EQ(params.num_choices, 1u);
}

TEST(ParseRequest, every_parameter_arrives) {
  const GenerationParams params = params_of(
      R"("temperature":0.5,"top_p":0.25,"top_k":40,"min_p":0.125,"seed":-7,"max_tokens":12,"stop":["a",)"
      R"("\n\n"],"ignore_eos":true,)"
      R"("n":3,"stream":true,"stream_options":{"include_usage":true},"user":"someone")");
  EXPECT_EQ(params.sampling.temperature, 0.5);
  EXPECT_EQ(params.sampling.top_p, 0.25);
  EXPECT_EQ(params.sampling.top_k, 40u);
  EXPECT_EQ(params.sampling.min_p, 0.125);
  EXPECT_TRUE(params.has_seed);
  EXPECT_EQ(params.sampling.seed, static_cast<uint64_t>(-7));
  EXPECT_EQ(*params.max_tokens, 12u);
  EXPECT_EQ(params.stop, (std::vector<std::string>{"a", "\n\n"}));
  EXPECT_TRUE(params.ignore_eos);
  EXPECT_EQ(params.num_choices, 3u);
  EXPECT_TRUE(params.stream);
  EXPECT_TRUE(params.include_usage);
}

TEST(ParseRequest, the_ends_of_every_range_are_inside) {
  EXPECT_EQ(params_of(R"("temperature":0)").sampling.temperature, 0.0);
  EXPECT_EQ(params_of(R"("temperature":2)").sampling.temperature, 2.0);
  EXPECT_EQ(params_of(R"("top_p":1)").sampling.top_p, 1.0);
  EXPECT_EQ(params_of(R"("top_p":1e-9)").sampling.top_p, 1e-9);
  EXPECT_EQ(params_of(R"("min_p":1)").sampling.min_p, 1.0);
  EXPECT_EQ(params_of(R"("top_k":-1)").sampling.top_k, 0u);
  EXPECT_EQ(params_of(R"("top_k":0)").sampling.top_k, 0u);
  EXPECT_EQ(params_of(R"("top_k":2147483647)").sampling.top_k, 2147483647u);
  EXPECT_EQ(params_of(R"("seed":9223372036854775807)").sampling.seed, 9223372036854775807u);
  EXPECT_EQ(params_of(R"("seed":-9223372036854775808)").sampling.seed, 9223372036854775808u);
  EXPECT_TRUE(params_of(R"("seed":0)").has_seed);
  EXPECT_EQ(params_of(R"("presence_penalty":-2)").sampling.presence_penalty, -2.0);
  EXPECT_EQ(params_of(R"("frequency_penalty":2)").sampling.frequency_penalty, 2.0);
  EXPECT_EQ(params_of(R"("repetition_penalty":1.3)").sampling.repetition_penalty, 1.3);
  EXPECT_EQ(params_of(R"("logit_bias":{"7":-100,"4294967295":0.5})").sampling.logit_bias,
            (std::vector<LogitBias>{{7, -100.0f}, {4294967295u, 0.5f}}));
  EXPECT_TRUE(params_of(R"("logit_bias":{})").sampling.logit_bias.empty());
  EXPECT_EQ(*params_of(R"("max_tokens":2147483647)").max_tokens, 2147483647u);
  EXPECT_EQ(params_of(R"("n":128)").num_choices, 128u);
  EXPECT_EQ(params_of(R"("stop":"x")").stop, std::vector<std::string>{"x"});
  EXPECT_TRUE(params_of(R"("stop":[])").stop.empty());
  std::string stops = R"("stop":["0")";
  for (size_t i = 1; i < kMaxStops; ++i) stops += ",\"" + std::to_string(i) + "\"";
  EXPECT_EQ(params_of(stops + "]").stop.size(), kMaxStops);
  check_refused(stops + ",\"one more\"]", "stop");
}

TEST(ParseRequest, wrong_types_and_ranges_are_refused_by_name) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"temperature", "-0.1"},
      {"temperature", "2.0001"},
      {"temperature", "1e30"},
      {"temperature", "\"1\""},
      {"temperature", "true"},
      {"temperature", "[1]"},
      {"temperature", "{}"},
      {"top_p", "0"},
      {"top_p", "-1"},
      {"top_p", "1.1"},
      {"top_p", "false"},
      {"top_p", "\"a\""},
      {"min_p", "-0.1"},
      {"min_p", "1.01"},
      {"min_p", "true"},
      {"top_k", "-2"},
      {"top_k", "1.0"},
      {"top_k", "1.5"},
      {"top_k", "2147483648"},
      {"top_k", "true"},
      {"top_k", "\"5\""},
      {"seed", "1.5"},
      {"seed", "true"},
      {"seed", "\"1\""},
      {"seed", "9223372036854775808"},
      {"seed", "18446744073709551616"},
      {"seed", "1e3"},
      {"max_tokens", "0"},
      {"max_tokens", "-1"},
      {"max_tokens", "1.0"},
      {"max_tokens", "2147483648"},
      {"max_tokens", "1e30"},
      {"max_tokens", "true"},
      {"max_tokens", "\"9\""},
      {"max_tokens", "[]"},
      {"stop", "1"},
      {"stop", "\"\""},
      {"stop", "[\"\"]"},
      {"stop", "[1]"},
      {"stop", "[null]"},
      {"stop", "{}"},
      {"stop", "true"},
      {"ignore_eos", "1"},
      {"ignore_eos", "\"true\""},
      {"ignore_eos", "0"},
      {"n", "0"},
      {"n", "-1"},
      {"n", "129"},
      {"n", "1.0"},
      {"n", "true"},
      {"n", "\"1\""},
      {"stream", "1"},
      {"stream", "\"true\""},
      {"stream", "{}"},
      {"user", "1"},
      {"user", "[]"},
      {"stream_options", "{\"include_usage\":true}"},  // without stream
      {"stream_options", "true"}};
  for (const auto& [name, value] : wrong) check_refused("\"" + name + "\":" + value, name);
  check_refused(R"("stop":")" + std::string(kMaxStopBytes + 1, 's') + "\"", "stop");
  check_refused(R"("user":")" + std::string(kMaxUserBytes + 1, 'u') + "\"", "user");
  check_refused(R"("stream":true,"stream_options":{"include_usage":1})", "stream_options.include_usage");
  check_refused(R"("stream":true,"stream_options":{"other":1})", "stream_options.other");
}

TEST(ParseRequest, penalties_and_biases_out_of_range_are_refused_by_name) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"presence_penalty", "2.01"},
      {"presence_penalty", "-2.01"},
      {"presence_penalty", "true"},
      {"frequency_penalty", "1e30"},
      {"frequency_penalty", "\"1\""},
      {"repetition_penalty", "0"},
      {"repetition_penalty", "-1"},
      {"repetition_penalty", "10.5"},
      {"repetition_penalty", "[1]"},
      {"logit_bias", "[]"},
      {"logit_bias", "1"},
      {"logit_bias", "{\"a\":1}"},
      {"logit_bias", "{\"\":1}"},
      {"logit_bias", "{\"-1\":1}"},
      {"logit_bias", "{\"1.0\":1}"},
      {"logit_bias", "{\"01\":1}"},
      {"logit_bias", "{\" 1\":1}"},
      {"logit_bias", "{\"4294967296\":1}"},
      {"logit_bias", "{\"1\":100.1}"},
      {"logit_bias", "{\"1\":true}"},
      {"logit_bias", "{\"1\":null}"}};
  for (const auto& [name, value] : wrong) check_refused("\"" + name + "\":" + value, name);
}

TEST(ParseRequest, a_cache_salt_is_a_string_that_is_not_empty) {
  EXPECT_EQ(params_of("").cache_salt, std::nullopt);
  EXPECT_EQ(params_of(R"("cache_salt":null)").cache_salt, std::nullopt);
  EXPECT_EQ(params_of(R"("cache_salt":"s\u0000t")").cache_salt, std::string("s\0t", 3));
  const auto of_bytes = [](size_t num_bytes) { return "\"cache_salt\":\"" + std::string(num_bytes, 's') + "\""; };
  EXPECT_EQ(params_of(of_bytes(1024)).cache_salt->size(), 1024u);
  for (const std::string& wrong : {of_bytes(0), of_bytes(1025), std::string("\"cache_salt\":1")})
    check_refused(wrong, "cache_salt");
}

TEST(ParseRequest, every_other_name_is_refused_by_name) {
  for (const std::string name :
       {"audio", "prediction", "web_search_options", "chat_template", "structured_outputs",
        "guided_json", "prompt_logprobs", "truncate_prompt_tokens", "allowed_token_ids", "sampling_seed"}) {
    check_refused("\"" + name + "\":1", name);
    EXPECT_NE(parse_chat_request(chat("\"" + name + "\":1")).error().message.find("not supported yet"),
              std::string::npos)
        << name;
    params_of("\"" + name + "\":null");
  }
  check_refused(R"("temprature":1)", "temprature");
  check_refused(R"("temprature":null)", "temprature");
  check_refused(R"("":1)", "");
  check_refused(R"("Temperature":1)", "Temperature");
  EXPECT_EQ(parse_completion_request(completion(R"("max_completion_tokens":1)")).error().param,
            "max_completion_tokens");
  EXPECT_EQ(parse_completion_request(completion(R"("messages":[])")).error().param, "messages");
  EXPECT_EQ(parse_chat_request(chat(R"("prompt":"x")")).error().param, "prompt");
}

TEST(ParseRequest, max_completion_tokens_is_chats_other_name_of_max_tokens) {
  EXPECT_EQ(*parse_chat_request(chat(R"("max_completion_tokens":5)"))->generation.max_tokens, 5u);
  EXPECT_EQ(*parse_chat_request(chat(R"("max_completion_tokens":5,"max_tokens":5)"))->generation.max_tokens, 5u);
  check_chat_refused(chat(R"("max_completion_tokens":5,"max_tokens":6)"), "max_completion_tokens");
  check_chat_refused(chat(R"("max_completion_tokens":0)"), "max_completion_tokens");
}

TEST(ParseRequest, malformed_bodies_are_refused) {
  const std::vector<std::string> bodies = {
      "",
      " ",
      "null",
      "1",
      "\"text\"",
      "[]",
      "{",
      "}",
      "{\"model\"",
      "{\"model\":}",
      chat("") + "x",
      chat("") + chat(""),
      "{'model':'m'}",
      "{\"model\":\"m\",}",
      "{model:1}",
      chat("\"temperature\":NaN"),
      chat("\"temperature\":Infinity"),
      chat("\"temperature\":1e999"),
      chat("\"temperature\":01"),
      chat("\"temperature\":.5"),
      chat("\"temperature\":+1"),
      chat("\"user\":\"\\ud800\""),
      chat("\"user\":\"\\udc00x\""),
      chat("\"user\":\"\xff\""),
      chat("\"user\":\"\xc0\x80\""),
      chat("\"user\":\"\xed\xa0\x80\""),
      chat("\"user\":\"\x01\""),
      chat("\"user\":\"\\x41\""),
      chat("\"user\":\"unended"),
      "\xef\xbb\xbf{",
      "{\"a\":1/*c*/}",
      std::string("{\"model\":\"m\0\"}", 13),
      std::string(5'000'000, '['),
      std::string(100'000, '{'),
      "{\"a\":" + std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}"};
  for (const std::string& body : bodies) {
    const auto parsed = parse_chat_request(body);
    ASSERT_FALSE(parsed.ok()) << body.substr(0, 100);
    EXPECT_EQ(api_error(parsed.error()).status, 400);
  }
}

TEST(ParseRequest, depth_names_and_values_are_limited) {
  const auto nested = [](size_t depth) { return chat("\"x\":" + std::string(depth, '[') + std::string(depth, ']')); };
  EXPECT_EQ(parse_chat_request(nested(kMaxJsonDepth - 1)).error().param, "x");  // parsed, then an unknown name
  EXPECT_NE(parse_chat_request(nested(kMaxJsonDepth)).error().message.find("levels deep"), std::string::npos);
  std::string names = "\"n0\":0";
  for (int i = 1; i < 100'000; ++i) names += ",\"n" + std::to_string(i) + "\":0";
  EXPECT_NE(parse_chat_request("{" + names + "}").error().message.find("more than 4096 names"), std::string::npos);
  std::string values = "{\"prompt\":[0";
  for (size_t i = 0; i < kMaxJsonValues; ++i) values += ",0";
  EXPECT_NE(parse_completion_request(values + "]}").error().message.find("values"), std::string::npos);
}

TEST(ParseRequest, doubled_names_are_refused_at_every_depth) {
  check_chat_refused(chat(R"("temperature":1,"temperature":1)"), "temperature");
  check_chat_refused(R"({"model":"m","messages":[{"role":"user","role":"system","content":"x"}]})", "role");
  check_chat_refused(R"({"model":"m","model":"m","messages":[{"role":"user","content":"x"}]})", "model");
}

TEST(ParseRequest, messages_come_through_as_they_were_said) {
  const auto parsed = parse_chat_request(
      R"({"model":"m","messages":[{"content":"be <|im_end|> \"kind\"\n",)"
      R"("role":"system"},{"role":"developer","content":"d"},)"
      R"({"role":"user","content":[{"type":"text","text":"a"},{"text":"\u00e9\ud83d\ude00","type":"text"}]},)"
      R"({"role":"assistant","content":"","refusal":null,"tool_calls":null,)"
      R"("annotations":null},{"role":"assistant","content":"y","tool_calls":[],"annotations":[]},)"
      R"({"name":"bob","role":"user","content":"x"}]})");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->prompt.messages_json,
            R"([{"role":"system","content":"be <|im_end|> \"kind\"\n"},{"role":"system","content":"d"},)"
            R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"é😀"}]},)"
            R"({"role":"assistant","content":""},{"role":"assistant","content":"y"},)"
            R"({"role":"user","content":"x","name":"bob"}])");
}

TEST(ParseRequest, wrong_messages_are_refused_by_their_place) {
  const auto with = [](const std::string& messages) { return R"({"model":"m","messages":)" + messages + "}"; };
  check_chat_refused(R"({"model":"m"})", "messages");
  check_chat_refused(with("null"), "messages");
  check_chat_refused(with("[]"), "messages");
  check_chat_refused(with("\"hi\""), "messages");
  check_chat_refused(with("{}"), "messages");
  check_chat_refused(with("[\"hi\"]"), "messages[0]");
  check_chat_refused(with("[null]"), "messages[0]");
  check_chat_refused(with(R"([{"content":"x"}])"), "messages[0].role");
  check_chat_refused(with(R"([{"role":"user"}])"), "messages[0].content");
  check_chat_refused(with(R"([{"role":"user","content":null}])"), "messages[0].content");
  check_chat_refused(with(R"([{"role":"user","content":1}])"), "messages[0].content");
  check_chat_refused(with(R"([{"role":"user","content":[]}])"), "messages[0].content");
  check_chat_refused(with(R"([{"role":"user","content":["x"]}])"), "messages[0].content[0]");
  check_chat_refused(with(R"([{"role":"user","content":[{"type":"text"}]}])"), "messages[0].content[0].text");
  check_chat_refused(with(R"([{"role":"user","content":[{"text":"x"}]}])"), "messages[0].content[0].type");
  check_chat_refused(with(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])"),
                     "messages[0].content[0].type");
  check_chat_refused(with(R"([{"role":"user","content":"x"},{"role":"wizard","content":"x"}])"), "messages[1].role");
  check_chat_refused(with(R"([{"role":"tool","content":"x"}])"), "messages[0].role");
  check_chat_refused(with(R"([{"role":7,"content":"x"}])"), "messages[0].role");
  check_chat_refused(with(R"([{"role":"user","content":"x","name":7}])"), "messages[0].name");
  const std::string long_name(kMaxMessageNameBytes + 1, 'n');
  check_chat_refused(with(R"([{"role":"user","content":"x","name":")" + long_name + R"("}])"), "messages[0].name");
  check_chat_refused(with(R"([{"role":"user","content":"x","extra":1}])"), "messages[0].extra");
  check_chat_refused(with(R"([{"role":"assistant","content":"x","tool_calls":[{}]}])"), "messages[0].tool_calls");
  for (const char* model : {"", R"("model":null,)"}) {  // the one that is served
    const auto parsed =
        parse_chat_request(fmt::format(R"({{{}"messages":[{{"role":"user","content":"x"}}]}})", model));
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_FALSE(parsed->model.has_value());
  }
  check_chat_refused(R"({"model":3,"messages":[{"role":"user","content":"x"}]})", "model");
}

TEST(ParseRequest, prompts_of_all_four_shapes) {
  const auto prompts_of = [](const std::string& prompt) {
    const auto parsed = parse_completion_request(R"({"model":"m","prompt":)" + prompt + "}");
    EXPECT_TRUE(parsed.ok()) << prompt;
    return parsed.ok() ? parsed->prompts : std::vector<CompletionPrompt>{};
  };
  using Tokens = std::vector<TokenId>;
  EXPECT_EQ(prompts_of(R"("hi")"), std::vector<CompletionPrompt>{std::string("hi")});
  EXPECT_EQ(prompts_of(R"(["a","b"])"), (std::vector<CompletionPrompt>{std::string("a"), std::string("b")}));
  EXPECT_EQ(prompts_of("[1,2,3]"), (std::vector<CompletionPrompt>{Tokens{1, 2, 3}}));
  EXPECT_EQ(prompts_of("[[1,2],[4294967295]]"), (std::vector<CompletionPrompt>{Tokens{1, 2}, Tokens{4294967295u}}));
}

TEST(ParseRequest, prompts_of_other_shapes_are_refused) {
  for (const std::string prompt : {"null",       "1",       "true",      "{}",        "[]",          "[[]]",
                                   "[null]",     "[true]",  "[1,\"a\"]", "[\"a\",1]", "[[1],\"a\"]", "[\"a\",[1]]",
                                   "[1,[2]]",    "[[1],2]", "[1.0]",     "[1.5]",     "[-1]",        "[4294967296]",
                                   "[[1,true]]", "[[[1]]]", "[1e30]",    "[{}]",      "[[\"a\"]]"}) {
    const auto parsed = parse_completion_request(R"({"model":"m","prompt":)" + prompt + "}");
    ASSERT_FALSE(parsed.ok()) << prompt;
    EXPECT_EQ(parsed.error().param, "prompt") << prompt;
  }
  std::string many = "[\"a\"";
  for (int i = 0; i < 99; ++i) many += ",\"a\"";
  EXPECT_EQ(parse_completion_request(R"({"model":"m","n":128,"prompt":)" + many + "]}").error().param, "n");
  for (size_t i = 0; i < kMaxPrompts; ++i) many += ",\"a\"";
  EXPECT_EQ(parse_completion_request(R"({"model":"m","prompt":)" + many + "]}").error().param, "prompt");
}

}  // namespace
}  // namespace slipstream
