// The table of what is ignored on purpose: at its values each name changes nothing, at others it is refused by name.
#include "api/ignored_fields.h"

#include <gtest/gtest.h>

#include <set>
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

struct Row {
  std::string name;
  std::vector<std::string> ignored;
  std::vector<std::string> refused;
};

const std::vector<std::string> kNotTrue = {"false", "1", "\"true\"", "[]"};
const std::vector<std::string> kNotFalse = {"true", "0", "\"false\"", "[]"};
const std::vector<std::string> kNoBoolean = {"0", "1", "\"true\"", "[]", "{}"};
const std::vector<std::string> kNoLabel = {"1", "true", "[]", "{}", "\"" + std::string(kMaxUserBytes + 1, 'u') + "\""};

const std::vector<Row> kBothRows = {
    {"user", {R"("someone")", R"("")"}, kNoLabel},
    {"safety_identifier", {R"("someone")"}, kNoLabel},
    {"prompt_cache_key", {R"("key")"}, kNoLabel},
    {"metadata", {"{}", R"({"a":"b","c":{"d":1}})"}, {"[]", "1", R"("a")", "true"}},
    {"store", {"true", "false"}, kNoBoolean},
    {"prompt_cache_retention", {R"("in_memory")", R"("in-memory")"}, {R"("24h")", "24", "true"}},
    {"service_tier", {R"("auto")", R"("default")"}, {R"("flex")", R"("priority")", R"("")", "1", "true"}},
    {"tools", {"[]"}, {R"([{"type":"function","function":{"name":"f"}}])", "{}", R"("")", "[null]", "false"}},
    {"tool_choice",
     {R"("none")", R"("auto")"},
     {R"("required")", R"({"type":"function","function":{"name":"f"}})", "1", "false"}},
    {"parallel_tool_calls", {"true", "false"}, kNoBoolean},
    {"functions", {"[]"}, {R"([{"name":"f"}])", "{}"}},
    {"function_call", {R"("none")", R"("auto")"}, {R"({"name":"f"})", R"("f")"}},
    {"response_format",
     {R"({"type":"text"})"},
     {R"({"type":"json_object"})", R"({"type":"json_schema","json_schema":{"name":"x","schema":{}}})", R"("text")",
      "{}", R"({"type":"text","x":1})", R"([{"type":"text"}])", R"(["type","text"])", R"({"type":["text"]})"}},
    {"modalities", {R"(["text"])"}, {R"(["audio"])", R"(["text","audio"])", "[]", R"("text")", R"({"a":"text"})"}},
    {"reasoning_effort", {R"("medium")"}, {R"("low")", R"("high")", R"("none")", "1"}},
    {"verbosity", {R"("medium")"}, {R"("low")", R"("high")", "1"}},
    {"no_stop_trim", {"false"}, kNotFalse},
    {"return_hidden_states", {"false"}, kNotFalse},
    {"skip_special_tokens", {"true"}, kNotTrue},
    {"spaces_between_special_tokens", {"true"}, kNotTrue},
    {"separate_reasoning", {"true"}, kNotTrue},
    {"stream_reasoning", {"true"}, kNotTrue},
    {"include_reasoning", {"true"}, kNotTrue},
    {"use_beam_search", {"false"}, kNotFalse},
    {"length_penalty", {"1", "1.0"}, {"0", "1.1", "true", R"("1")", "1e30"}},
    {"bad_words", {"[]"}, {R"(["x"])", R"("x")", "{}"}},
    {"priority", {"0"}, {"1", "-1", "0.0", "false", R"("0")"}},
    {"return_tokens_as_token_ids", {"false"}, kNotFalse},
};
const std::vector<Row> kChatRows = {
    {"echo", {"false"}, kNotFalse},
    {"add_special_tokens", {"false"}, kNotFalse},
    {"documents", {"[]"}, {R"([{"text":"x"}])", "{}"}},
};
const std::vector<Row> kCompletionRows = {
    {"suffix", {R"("")"}, {R"("x")", "1", "[]", "{}"}},
    {"add_special_tokens", {"true"}, kNotTrue},
    {"continue_final_message", {"false"}, kNotFalse},
};

void check_names(std::span<const IgnoredField> fields, const std::vector<Row>& rows) {
  std::vector<std::string> of_fields, of_rows;
  for (const IgnoredField& field : fields) of_fields.emplace_back(field.name);
  for (const Row& row : rows) of_rows.push_back(row.name);
  EXPECT_EQ(of_fields, of_rows);
  EXPECT_EQ(std::set<std::string>(of_rows.begin(), of_rows.end()).size(), of_rows.size());
}

TEST(IgnoredFields, the_tables_here_have_every_name) {
  check_names(kIgnoredFields, kBothRows);
  check_names(kIgnoredChatFields, kChatRows);
  check_names(kIgnoredCompletionFields, kCompletionRows);
}

TEST(IgnoredFields, at_these_values_they_change_nothing_and_at_others_they_are_refused_by_name) {
  const auto field = [](const Row& row, const std::string& value) { return "\"" + row.name + "\":" + value; };
  for (const Row& row : kBothRows) {
    for (const std::string& value : row.ignored) params_of(field(row, value));
    params_of(field(row, "null"));
    for (const std::string& value : row.refused) check_refused(field(row, value), row.name);
  }
  for (const Row& row : kChatRows) {
    for (const std::string& value : row.ignored) EXPECT_TRUE(parse_chat_request(chat(field(row, value))).ok());
    for (const std::string& value : row.refused) check_chat_refused(chat(field(row, value)), row.name);
  }
  for (const Row& row : kCompletionRows) {
    for (const std::string& value : row.ignored) {
      EXPECT_TRUE(parse_completion_request(completion(field(row, value))).ok());
    }
    for (const std::string& value : row.refused) check_completion_refused(completion(field(row, value)), row.name);
  }
}

TEST(IgnoredFields, a_refusal_says_whether_it_comes_later_and_what_is_taken) {
  const auto message_of = [](const std::string& field) { return parse_chat_request(chat(field)).error().message; };
  EXPECT_EQ(message_of(R"("tools":[{}])"),
            "'tools' is not supported yet; only an empty array is taken, which changes nothing.");
  EXPECT_EQ(message_of(R"("store":1)"), "'store' is taken only as a boolean, which changes nothing here.");
}

// All that a router fills in at once, beside a client's own words.
TEST(IgnoredFields, a_routers_whole_request_is_taken) {
  const auto parsed = parse_chat_request(chat(
      R"("logprobs":false,"stream":false,"continue_final_message":false,"skip_special_tokens":true,"ignore_eos":false,)"
      R"("no_stop_trim":false,"separate_reasoning":true,"stream_reasoning":true,"return_hidden_states":false,)"
      R"("include_reasoning":true,"temperature":0.5,"stop_token_ids":[],"min_tokens":0,"n":1,"best_of":1,)"
      R"("include_stop_str_in_output":false,"add_generation_prompt":true,"add_special_tokens":false,"bad_words":[],)"
      R"("use_beam_search":false,"length_penalty":1.0,"spaces_between_special_tokens":true,"top_logprobs":0)"));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->generation.sampling.temperature, 0.5);
}

}  // namespace
}  // namespace slipstream
