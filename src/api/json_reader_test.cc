// JSON that is made to hurt: its reader alone.
#include "api/json_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "api/api_limits.h"
#include "api/completion_request.h"

namespace slipstream {
namespace {

// {"n0":0,"n1":0, ...}
std::string object_of(size_t names) {
  std::string object = "{";
  for (size_t i = 0; i < names; ++i) object += (i == 0 ? "\"n" : ",\"n") + std::to_string(i) + "\":0";
  return object + "}";
}

std::string completion_with(const std::string& field) { return R"({"prompt":"hi",)" + field + "}"; }

TEST(JsonReader, takes_as_many_names_as_the_limit_and_no_more) {
  const auto most = parse_json_object(object_of(kMaxJsonNames));
  ASSERT_TRUE(most.ok()) << most.error().message;
  EXPECT_EQ(most->size(), kMaxJsonNames);
  EXPECT_FALSE(parse_json_object(object_of(kMaxJsonNames + 1)).ok());
}

TEST(JsonReader, finds_a_name_given_twice_among_thousands_and_in_any_spelling) {
  std::string object = object_of(4000);
  object.back() = ',';
  const auto doubled = parse_json_object(object + "\"n77\":1}");
  ASSERT_FALSE(doubled.ok());
  EXPECT_EQ(doubled.error().param, "n77");
  EXPECT_FALSE(parse_json_object(R"({"a":1,"\u0061":2})").ok());
  EXPECT_FALSE(parse_json_object(R"({"":1,"":2})").ok());
  EXPECT_FALSE(parse_json_object(R"({"x":[{"a":1},{"b":1,"b":1}]})").ok());
  EXPECT_TRUE(parse_json_object(R"({"a":{"a":1},"b":{"a":1,"b":[{"a":1},{"a":1}]}})").ok());
}

TEST(JsonReader, what_a_client_named_is_shortened_wherever_it_is_told) {
  const std::string name(1'000'000, 'n');
  const auto doubled = parse_json_object("{\"" + name + "\":1,\"" + name + "\":1}");
  ASSERT_FALSE(doubled.ok());
  EXPECT_LT(doubled.error().message.size() + doubled.error().param.size(), 200u);
  const auto unknown = parse_completion_request(completion_with("\"" + name + "\":1"));
  ASSERT_FALSE(unknown.ok());
  EXPECT_LT(unknown.error().message.size() + unknown.error().param.size(), 300u);
  const auto lines = parse_completion_request(completion_with(R"("a\n\u0000\u007f\u00e9":1)"));
  ASSERT_FALSE(lines.ok());
  EXPECT_EQ(lines.error().param, "a???é");
}

TEST(JsonReader, a_zero_byte_does_not_end_the_text) {
  for (const std::string text : {"{}", "{\"a\":1}", "[1,2]"}) {
    ASSERT_TRUE(parse_json(text).ok());
    for (const std::string rest : {"", "x", "{\"a\":2}"}) {
      EXPECT_FALSE(parse_json(text + '\0' + rest).ok()) << text << rest;
    }
  }
  EXPECT_EQ(parse_json("\"a\\u0000b\"")->get<std::string>(), std::string("a\0b", 3));  // escaped it is a character
}

TEST(JsonReader, long_strings_and_numbers_are_read_or_refused) {
  std::string escapes;
  std::string plain;
  for (int i = 0; i < 200'000; ++i) {
    escapes += "\\u00e9\\ud83d\\ude00\\\"";
    plain += "é😀\"";
  }
  const auto text = parse_json("\"" + escapes + "\"");
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->get<std::string>(), plain);
  const std::string digits(1'000'000, '7');
  EXPECT_FALSE(parse_json(digits).ok());  // beyond every double
  EXPECT_FALSE(parse_json("-" + digits).ok());
  EXPECT_FALSE(parse_json("1e" + digits).ok());
  const auto fraction = parse_json("0." + digits);
  ASSERT_TRUE(fraction.ok());
  EXPECT_DOUBLE_EQ(fraction->get<double>(), 7.0 / 9);
  const auto tiny = parse_json("1e-" + digits);
  EXPECT_TRUE(!tiny.ok() || tiny->get<double>() == 0.0);
}

TEST(JsonReader, what_is_nested_is_refused_before_it_is_built) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(kMaxJsonDepth)).ok());
  for (const size_t depth : {kMaxJsonDepth + 1, size_t{100'000}, size_t{4'000'000}}) {
    EXPECT_FALSE(parse_json(nested(depth)).ok()) << depth;
    EXPECT_FALSE(parse_json(std::string(depth, '[')).ok()) << depth;
  }
}

TEST(JsonReader, a_bias_for_a_thousand_tokens_is_taken_and_for_more_refused_in_words) {
  const auto biases = [](size_t count) {
    std::string object = "\"logit_bias\":{";
    for (size_t i = 0; i < count; ++i) object += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":1";
    return completion_with(object + "}");
  };
  const auto taken = parse_completion_request(biases(kMaxLogitBiases));
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  EXPECT_EQ(taken->generation.sampling.logit_bias.size(), 1024u);
  const auto refused = parse_completion_request(biases(kMaxLogitBiases + 1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().param, "logit_bias");
  EXPECT_NE(refused.error().message.find("1025 tokens; at most 1024"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace slipstream
