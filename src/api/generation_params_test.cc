// What requests say about how to generate: logprobs, lengths, stops, streams, and the defaults of a model.
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
void check_completion_refused(const std::string& body, const std::string& param) {
  EXPECT_EQ(completion_refusal(body), param) << body;
}

GenerationParams chat_params(const std::string& fields, const GenerationDefaults& defaults = {}) {
  const auto parsed = parse_chat_request(chat(fields), defaults);
  EXPECT_TRUE(parsed.ok()) << fields << (parsed.ok() ? "" : parsed.error().message);
  return parsed.ok() ? parsed->generation : GenerationParams{};
}
GenerationParams completion_params(const std::string& fields, const GenerationDefaults& defaults = {}) {
  const auto parsed = parse_completion_request(completion(fields), defaults);
  EXPECT_TRUE(parsed.ok()) << fields << (parsed.ok() ? "" : parsed.error().message);
  return parsed.ok() ? parsed->generation : GenerationParams{};
}

TEST(GenerationParams, logprobs_of_chats_are_a_switch_and_a_number) {
  EXPECT_FALSE(chat_params("").top_logprobs.has_value());
  EXPECT_FALSE(chat_params(R"("logprobs":null,"top_logprobs":null)").top_logprobs.has_value());
  EXPECT_FALSE(chat_params(R"("logprobs":false)").top_logprobs.has_value());
  EXPECT_FALSE(chat_params(R"("logprobs":false,"top_logprobs":0)").top_logprobs.has_value());
  EXPECT_EQ(chat_params(R"("logprobs":true)").top_logprobs, 0u);
  EXPECT_EQ(chat_params(R"("logprobs":true,"top_logprobs":0)").top_logprobs, 0u);
  EXPECT_EQ(chat_params(R"("top_logprobs":20,"logprobs":true)").top_logprobs, 20u);
  for (const char* wrong : {"1", "0", "\"true\"", "[]", "{}"}) {
    check_chat_refused(chat(std::string(R"("logprobs":)") + wrong), "logprobs");
  }
  for (const char* wrong : {"21", "-1", "1.0", "true", "1e30", "\"5\"", "18446744073709551616", "[1]"}) {
    check_chat_refused(chat(std::string(R"("logprobs":true,"top_logprobs":)") + wrong), "top_logprobs");
  }
  check_chat_refused(chat(R"("top_logprobs":1)"), "top_logprobs");
  check_chat_refused(chat(R"("logprobs":false,"top_logprobs":1)"), "top_logprobs");
}

TEST(GenerationParams, logprobs_of_completions_are_a_number) {
  EXPECT_FALSE(completion_params("").top_logprobs.has_value());
  EXPECT_FALSE(completion_params(R"("logprobs":null)").top_logprobs.has_value());
  EXPECT_FALSE(completion_params(R"("logprobs":false)").top_logprobs.has_value());
  EXPECT_EQ(completion_params(R"("logprobs":0)").top_logprobs, 0u);
  EXPECT_EQ(completion_params(R"("logprobs":20)").top_logprobs, 20u);
  for (const char* wrong : {"21", "-1", "1.0", "true", "1e30", "\"5\"", "18446744073709551616", "[1]"}) {
    check_completion_refused(completion(std::string(R"("logprobs":)") + wrong), "logprobs");
  }
  check_completion_refused(completion(R"("top_logprobs":1)"), "top_logprobs");
}

TEST(GenerationParams, echo_is_of_completions_and_allows_no_new_token) {
  EXPECT_FALSE(completion_params("").echo);
  EXPECT_FALSE(completion_params(R"("echo":false)").echo);
  EXPECT_TRUE(completion_params(R"("echo":true)").echo);
  EXPECT_EQ(completion_params(R"("echo":true,"max_tokens":0)").max_tokens, 0u);
  EXPECT_EQ(completion_params(R"("echo":true)").max_tokens, 16u);
  check_completion_refused(completion(R"("max_tokens":0)"), "max_tokens");
  check_completion_refused(completion(R"("echo":false,"max_tokens":0)"), "max_tokens");
  for (const char* wrong : {"1", "0", "\"true\"", "[]"}) {
    check_completion_refused(completion(std::string(R"("echo":)") + wrong), "echo");
  }
  EXPECT_FALSE(chat_params(R"("echo":false)").echo);
  check_chat_refused(chat(R"("echo":true)"), "echo");
  check_chat_refused(chat(R"("max_tokens":0)"), "max_tokens");
}

TEST(GenerationParams, min_tokens_is_at_most_max_tokens) {
  EXPECT_EQ(params_of("").min_tokens, 0u);
  EXPECT_EQ(params_of(R"("min_tokens":0)").min_tokens, 0u);
  EXPECT_EQ(params_of(R"("min_tokens":9,"max_tokens":9)").min_tokens, 9u);
  EXPECT_EQ(chat_params(R"("min_tokens":1000)").min_tokens, 1000u);  // no max_tokens: to the context's end
  check_refused(R"("min_tokens":10,"max_tokens":9)", "min_tokens");
  check_chat_refused(chat(R"("min_tokens":10,"max_completion_tokens":9)"), "min_tokens");
  check_completion_refused(completion(R"("min_tokens":17)"), "min_tokens");  // 16 are the default
  const std::string message = parse_completion_request(completion(R"("min_tokens":17)")).error().message;
  EXPECT_NE(message.find("17"), std::string::npos) << message;
  EXPECT_NE(message.find("16"), std::string::npos) << message;
  for (const char* wrong : {"-1", "1.0", "true", "1e30", "\"5\"", "2147483648", "[1]"}) {
    check_refused(std::string(R"("max_tokens":100,"min_tokens":)") + wrong, "min_tokens");
  }
}

TEST(GenerationParams, stop_token_ids_are_whole_numbers_of_32_bits) {
  EXPECT_TRUE(params_of(R"("stop_token_ids":[])").stop_token_ids.empty());
  EXPECT_EQ(params_of(R"("stop_token_ids":[0,4294967295,7])").stop_token_ids,
            (std::vector<TokenId>{0, 4294967295u, 7}));
  for (const char* wrong : {"7", "\"7\"", "{}", "true", "[7.0]", "[true]", "[\"7\"]", "[null]", "[-1]", "[1e3]",
                            "[4294967296]", "[18446744073709551616]", "[[7]]"}) {
    check_refused(std::string(R"("stop_token_ids":)") + wrong, "stop_token_ids");
  }
  std::string many = "0";
  for (size_t i = 1; i < kMaxStopTokens; ++i) many += ",0";
  EXPECT_EQ(params_of(R"("stop_token_ids":[)" + many + "]").stop_token_ids.size(), kMaxStopTokens);
  check_refused(R"("stop_token_ids":[0,)" + many + "]", "stop_token_ids");
}

TEST(GenerationParams, flags_are_booleans) {
  EXPECT_FALSE(params_of("").include_stop_str_in_output);
  EXPECT_FALSE(params_of("").return_token_ids);
  EXPECT_TRUE(params_of(R"("include_stop_str_in_output":true)").include_stop_str_in_output);
  EXPECT_TRUE(params_of(R"("return_token_ids":true)").return_token_ids);
  for (const std::string name : {"include_stop_str_in_output", "return_token_ids", "ignore_eos", "stream"}) {
    EXPECT_TRUE(parse_chat_request(chat("\"" + name + "\":null")).ok());
    for (const char* wrong : {"1", "0", "1.0", "\"true\"", "[]", "{}"}) {
      check_refused("\"" + name + "\":" + wrong, name);
    }
  }
}

TEST(GenerationParams, best_of_is_only_n) {
  EXPECT_EQ(params_of(R"("best_of":1)").num_choices, 1u);
  EXPECT_EQ(params_of(R"("best_of":3,"n":3)").num_choices, 3u);
  check_refused(R"("best_of":2)", "best_of");
  check_refused(R"("best_of":1,"n":2)", "best_of");
  for (const char* wrong : {"0", "-1", "129", "1.0", "true", "1e30", "\"1\""}) {
    check_refused(std::string(R"("best_of":)") + wrong, "best_of");
  }
}

TEST(GenerationParams, stream_options) {
  const GenerationParams params = params_of(
      R"("stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true,)"
      R"("include_obfuscation":false})");
  EXPECT_TRUE(params.include_usage);
  EXPECT_TRUE(params.continuous_usage);
  const GenerationParams none = params_of(
      R"("stream":true,"stream_options":{"include_usage":null,"continuous_usage_stats":null,)"
      R"("include_obfuscation":null})");
  EXPECT_FALSE(none.include_usage);
  EXPECT_FALSE(none.continuous_usage);
  EXPECT_FALSE(params_of(R"("stream":true,"stream_options":{})").continuous_usage);
  const auto refused_option = [](const std::string& name, const std::string& value) {
    check_refused(R"("stream":true,"stream_options":{")" + name + "\":" + value + "}", "stream_options." + name);
  };
  refused_option("continuous_usage_stats", "1");
  refused_option("include_usage", "\"true\"");
  refused_option("include_obfuscation", "true");
  check_refused(R"("stream_options":{"continuous_usage_stats":true})", "stream_options");  // without stream
}

TEST(GenerationParams, minus_zero_is_zero) {
  EXPECT_EQ(params_of(R"("temperature":-0.0)").sampling.temperature, 0.0);
  EXPECT_EQ(params_of(R"("top_k":-0)").sampling.top_k, 0u);
  EXPECT_EQ(params_of(R"("seed":-0)").sampling.seed, 0u);
  check_refused(R"("max_tokens":-0)", "max_tokens");
  check_refused(R"("top_p":-0.0)", "top_p");
}

// Every number that there is, given as what is no number of its kind.
TEST(GenerationParams, no_boolean_fraction_or_giant_passes_as_a_number) {
  for (const std::string name : {"max_tokens", "min_tokens", "n", "best_of", "seed", "top_k"}) {
    for (const char* wrong : {"true", "false", "1.0", "1.5", "1e2", "1e30", "-1e30", "\"1\"", "[1]", "{\"a\":1}",
                              "9223372036854775808", "-9223372036854775809", "100000000000000000000000000"}) {
      check_refused("\"" + name + "\":" + wrong, name);
    }
  }
  for (const std::string name : {"temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty",
                                 "repetition_penalty"}) {
    for (const char* wrong : {"true", "false", "1e30", "-1e30", "\"1\"", "[1]", "{\"a\":1}",
                              "100000000000000000000000000", "18446744073709551616"}) {
      check_refused("\"" + name + "\":" + wrong, name);
    }
    for (const char* no_json : {"NaN", "Infinity", "-Infinity", "nan", "1e999", "-1e999", "1.", "0x1"}) {
      check_refused("\"" + name + "\":" + no_json, "");
    }
  }
}

TEST(GenerationParams, a_models_suggestions_hold_where_the_request_says_nothing) {
  GenerationDefaults defaults;
  defaults.sampling.temperature = 0.6;
  defaults.sampling.top_p = 0.95;
  defaults.sampling.top_k = 20;
  defaults.sampling.min_p = 0.1;
  defaults.sampling.repetition_penalty = 1.05;
  defaults.max_tokens = 2048;
  for (const char* nothing : {"", R"("temperature":null,"top_p":null,"top_k":null,"min_p":null)"}) {
    const GenerationParams params = chat_params(nothing, defaults);
    EXPECT_EQ(params.sampling.temperature, 0.6);
    EXPECT_EQ(params.sampling.top_p, 0.95);
    EXPECT_EQ(params.sampling.top_k, 20u);
    EXPECT_EQ(params.sampling.min_p, 0.1);
    EXPECT_EQ(params.sampling.repetition_penalty, 1.05);
    EXPECT_EQ(params.max_tokens, 2048u);
  }
  const std::string all =
      R"("temperature":1,"top_p":1,"top_k":-1,"min_p":0,"repetition_penalty":1,"max_tokens":5)";
  const GenerationParams params = chat_params(all, defaults);
  EXPECT_EQ(params.sampling.temperature, 1.0);
  EXPECT_EQ(params.sampling.top_p, 1.0);
  EXPECT_EQ(params.sampling.top_k, 0u);
  EXPECT_EQ(params.sampling.min_p, 0.0);
  EXPECT_EQ(params.sampling.repetition_penalty, 1.0);
  EXPECT_EQ(params.max_tokens, 5u);
  EXPECT_EQ(chat_params(R"("top_k":0)", defaults).sampling.top_k, 0u);
  EXPECT_EQ(chat_params(R"("max_completion_tokens":9000)", defaults).max_tokens, 9000u);
  EXPECT_EQ(completion_params("", defaults).sampling.temperature, 0.6);
  EXPECT_EQ(completion_params("", defaults).max_tokens, 16u);  // OpenAI's; a suggestion is of answers in chats
  const auto too_many = parse_chat_request(chat(R"("min_tokens":2049)"), defaults);
  ASSERT_FALSE(too_many.ok());
  EXPECT_EQ(too_many.error().param, "min_tokens");
}

}  // namespace
}  // namespace slipstream
