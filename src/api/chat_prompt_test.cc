// What a chat says to the template: variables, and where the prompt ends.
#include <gtest/gtest.h>

#include <string>

#include "api/api_limits.h"
#include "api/test_requests.h"

namespace slipstream {
namespace {

void check_chat_refused(const std::string& body, const std::string& param) {
  EXPECT_EQ(chat_refusal(body), param) << body.substr(0, 300);
}
void check_completion_refused(const std::string& body, const std::string& param) {
  EXPECT_EQ(completion_refusal(body), param) << body;
}

constexpr char kTurns[] =
    R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],)";

ChatPrompt prompt_of(const std::string& body) {
  const auto parsed = parse_chat_request(body);
  EXPECT_TRUE(parsed.ok()) << body << (parsed.ok() ? "" : parsed.error().message);
  return parsed.ok() ? parsed->prompt : ChatPrompt{};
}

TEST(ChatPrompt, template_variables_go_on_as_they_are) {
  EXPECT_EQ(prompt_of(chat("")).template_kwargs_json, "");
  EXPECT_EQ(prompt_of(chat(R"("chat_template_kwargs":null)")).template_kwargs_json, "");
  EXPECT_EQ(prompt_of(chat(R"("chat_template_kwargs":{})")).template_kwargs_json, "{}");
  const std::string variables = R"({"enable_thinking":false,"b":[1,{"a":null}]})";
  EXPECT_EQ(prompt_of(chat(R"("chat_template_kwargs":)" + variables)).template_kwargs_json, variables);
  for (const char* wrong : {"[]", "1", "\"{}\"", "true"}) {
    check_chat_refused(chat(std::string(R"("chat_template_kwargs":)") + wrong), "chat_template_kwargs");
  }
  check_completion_refused(completion(R"("chat_template_kwargs":{})"), "chat_template_kwargs");
}

TEST(ChatPrompt, beginnings_of_chats_are_read_as_messages_are_and_end_behind_the_last) {
  const auto prompts = parse_chat_beginnings(
      R"([[{"role":"developer","content":"a"}],[{"content":"b","role":"user"},{"role":"assistant","content":"c"}]])");
  ASSERT_TRUE(prompts.ok());
  ASSERT_EQ(prompts->size(), 2u);
  const ChatPrompt same = prompt_of(R"({"messages":[{"role":"system","content":"a"}],"add_generation_prompt":false})");
  EXPECT_EQ((*prompts)[0].messages_json, same.messages_json);
  for (const ChatPrompt& prompt : *prompts) EXPECT_FALSE(prompt.add_generation_prompt);
  EXPECT_FALSE(same.add_generation_prompt);
}

TEST(ChatPrompt, a_beginning_that_is_wrong_is_named_with_its_place) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", "The text is not valid JSON"},
      {"7", "The text is an integer; an array of arrays of messages is expected."},
      {"[]", "The text has no entry; an array of arrays of messages is expected."},
      {R"([[{"role":"user","content":"a"}],[{"role":"user"}]])", "entry 2: 'messages[0].content' is missing."},
      {R"([{"role":"user","content":"a"}])", "entry 1: 'messages' is an object; an array is expected."},
      {"[null]", "entry 1: 'messages' is null; an array is expected."}};
  for (const auto& [text, message] : wrong) {
    const auto prompts = parse_chat_beginnings(text);
    ASSERT_FALSE(prompts.ok()) << text;
    EXPECT_EQ(prompts.error().message.substr(0, message.size()), message);
  }
}

TEST(ChatPrompt, variables_that_are_the_servers_are_refused_by_name) {
  for (const std::string name : {"messages", "tools", "documents", "bos_token", "eos_token", "add_generation_prompt",
                                 "continue_final_message", "chat_template", "tokenize", "raise_exception",
                                 "strftime_now"}) {
    const std::string variables = R"({"x":1,")" + name + R"(":null})";
    check_chat_refused(chat(R"("chat_template_kwargs":)" + variables), "chat_template_kwargs." + name);
  }
}

TEST(ChatPrompt, variables_are_limited_in_bytes) {
  const auto with = [](size_t bytes) {
    return chat(R"("chat_template_kwargs":{"x":")" + std::string(bytes, 'x') + "\"}");
  };
  EXPECT_EQ(prompt_of(with(kMaxTemplateKwargsBytes - 8)).template_kwargs_json.size(), kMaxTemplateKwargsBytes);
  check_chat_refused(with(kMaxTemplateKwargsBytes - 7), "chat_template_kwargs");
}

TEST(ChatPrompt, ends_before_an_answer_or_in_the_last_message_or_behind_it) {
  EXPECT_TRUE(prompt_of(chat("")).add_generation_prompt);
  EXPECT_FALSE(prompt_of(chat("")).continue_final_message);
  EXPECT_FALSE(prompt_of(chat(R"("add_generation_prompt":false)")).add_generation_prompt);
  const auto continued = [](const std::string& fields) { return prompt_of(kTurns + fields + "}"); };
  for (const char* fields : {R"("continue_final_message":true)",
                             R"("continue_final_message":true,"add_generation_prompt":null)",
                             R"("add_generation_prompt":false,"continue_final_message":true)"}) {
    EXPECT_TRUE(continued(fields).continue_final_message) << fields;
    EXPECT_FALSE(continued(fields).add_generation_prompt) << fields;
  }
  EXPECT_TRUE(continued(R"("continue_final_message":false,"add_generation_prompt":true)").add_generation_prompt);
  check_chat_refused(kTurns + std::string(R"("continue_final_message":true,"add_generation_prompt":true})"),
                     "continue_final_message");
  check_chat_refused(chat(R"("continue_final_message":true)"), "continue_final_message");  // the last is a user's
  check_chat_refused(chat(R"("continue_final_message":1)"), "continue_final_message");
  check_chat_refused(chat(R"("add_generation_prompt":"yes")"), "add_generation_prompt");
  check_completion_refused(completion(R"("add_generation_prompt":true)"), "add_generation_prompt");
}

}  // namespace
}  // namespace slipstream
