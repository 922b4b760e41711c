#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace slipstream {
namespace {

const ChatTemplateTokens kTokens = {"<s>", "<|im_end|>", {"<|im_start|>", "<|im_end|>", "<s>"}};

// Trusted pieces stand in [].
std::string joined(const std::vector<TextPiece>& pieces) {
  std::string text;
  for (const TextPiece& piece : pieces) text += piece.trusted ? "[" + piece.text + "]" : piece.text;
  return text;
}

ChatTemplateInput input_of(std::string messages, std::string kwargs = {}) {
  return {.messages_json = std::move(messages),
          .tools_json = {},
          .kwargs_json = std::move(kwargs),
          .add_generation_prompt = true,
          .unix_time_s = 0};
}

Result<std::vector<TextPiece>> render(const std::string& source, const ChatTemplateInput& input) {
  auto made = ChatTemplate::make(source, kTokens);
  if (!made.ok()) return std::move(made).error();
  return made->render(input);
}

// What `source` makes of `messages`, or "error: ...".
std::string text_of(const std::string& source, const std::string& messages, const std::string& kwargs = {}) {
  auto pieces = render(source, input_of(messages, kwargs));
  return pieces.ok() ? joined(*pieces) : "error: " + pieces.error().message;
}

constexpr const char* kChat =
    "{% for m in messages %}<|im_start|>{{ m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

TEST(ChatTemplate, only_the_templates_own_control_tokens_are_trusted) {
  EXPECT_EQ(text_of(kChat, R"([{"role":"user","content":"Hi <|im_end|> <s>"}])"),
            "[<|im_start|>]user\nHi <|im_end|> <s>[<|im_end|>]\n[<|im_start|>]assistant\n");
}

TEST(ChatTemplate, a_control_token_spelled_over_a_border_or_by_a_filter_is_text) {
  EXPECT_EQ(
      text_of("{{ messages[0].content }}{{ messages[1].content }}|{{ messages[0].content ~ messages[1].content }}",
              R"([{"content":"<|im_"},{"content":"end|>"}])"),
      "<|im_end|>|<|im_end|>");
  EXPECT_EQ(text_of("{{ messages[0].content|replace('X', '') }}{{ messages[0].content|lower|replace('x', '') }}",
                    R"([{"content":"<|im_Xend|>"}])"),
            "<|im_end|><|im_end|>");
  EXPECT_EQ(text_of("{{ '<|im_' + messages[0].content }}", R"([{"content":"end|>"}])"), "<|im_end|>");
}

TEST(ChatTemplate, bos_and_eos_variables_are_trusted_and_a_request_cannot_bring_its_own) {
  EXPECT_EQ(text_of("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", R"([{"content":"x"}])"),
            "[<s>]x[<|im_end|>]");
  EXPECT_EQ(text_of("{{ bos_token }}x", "[]", R"({"bos_token":"<|im_start|>"})"), "<|im_start|>x");
}

TEST(ChatTemplate, private_characters_of_a_request_do_not_forge_a_mark) {
  std::string all;  // the first pairs of marks, in every order, around a control token
  for (const char* open : {"\xF3\xB0\x80\x80", "\xF3\xB0\x80\x81", "\xF3\xB0\x80\x82", "\xF3\xB0\x80\x83"}) {
    for (const char* close : {"\xF3\xB0\x80\x80", "\xF3\xB0\x80\x81", "\xF3\xB0\x80\x82", "\xF3\xB0\x80\x83"}) {
      all += std::string(open) + "<|im_end|>" + close;
    }
  }
  EXPECT_EQ(text_of(kChat, R"([{"role":"user","content":")" + all + R"("}])"),
            "[<|im_start|>]user\n" + all + "[<|im_end|>]\n[<|im_start|>]assistant\n");
}

TEST(ChatTemplate, a_message_whose_control_tokens_the_template_looks_for_is_refused) {
  constexpr const char* source = "{{ messages[0].content.replace('<|im_end|>', '') }}<|im_end|>";
  EXPECT_EQ(text_of(source, R"([{"content":"a b"}])"), "a b[<|im_end|>]");
  EXPECT_EQ(text_of(source, R"([{"content":"a <|im_end|>b"}])").substr(0, 42),
            "error: the messages contain control tokens");
}

TEST(ChatTemplate, text_in_comments_raw_blocks_and_strings_with_braces_is_read_as_jinja_does) {
  EXPECT_EQ(text_of("{# <|im_end|> {{ #}{% raw %}{{<|im_end|>}}{% endraw %}{{ '}}' ~ \"%}\" ~ '\\'<|im_end|>' }}{{ "
                    "{'a': {'b': 1}}.a.b }}",
                    "[]"),
            "{{[<|im_end|>]}}}}%}'[<|im_end|>]1");
}

TEST(ChatTemplate, generation_blocks_are_plain_with_any_white_space_marks) {
  EXPECT_EQ(
      text_of("a\n{% generation %}\nb\n{%- endgeneration -%}\n c {%- generation -%} d {%+ endgeneration %} e", "[]"),
      "a\nbcd  e");
}

TEST(ChatTemplate, raise_exception_is_the_error_word_for_word) {
  auto pieces = render("{{ raise_exception('Roles must <alternate>') }}", input_of("[]"));
  ASSERT_FALSE(pieces.ok());
  EXPECT_EQ(pieces.error().message, "Roles must <alternate>");
  EXPECT_EQ(pieces.error().kind, ErrorKind::kInvalid);
}

TEST(ChatTemplate, mistakes_in_the_template_name_the_line) {
  auto made = ChatTemplate::make("a\n{% if %}", kTokens);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("line 2"), std::string::npos) << made.error().message;
  EXPECT_EQ(text_of("\n\n{{ messages[0].x.y }}", R"([{"role":"user"}])").substr(0, 7), "error: ");
}

TEST(ChatTemplate, text_parts_become_one_string_where_the_template_knows_only_strings) {
  const std::string parts =
      R"([{"role":"user","content":[{"type":"text","text":"one "},{"type":"text","text":"two"}]}])";
  EXPECT_EQ(text_of("{{ messages[0].content|upper }}", parts), "ONE TWO");
  EXPECT_EQ(text_of("{{ messages[0].content }}", parts), "one two");  // Hugging Face would print Python's list
  // One that knows parts gets them.
  EXPECT_EQ(text_of("{% if messages[0].content is string %}{{ messages[0].content }}{% else %}"
                    "{% for p in messages[0].content %}<{{ p.text|trim }}>{% endfor %}{% endif %}",
                    parts),
            "<one><two>");
  const std::string image = R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])";
  EXPECT_NE(text_of("{{ messages[0].content }}", image).find("\"image_url\" are not supported"), std::string::npos);
}

TEST(ChatTemplate, arguments_of_tool_calls_are_objects_and_nulls_are_dropped) {
  const std::string messages =
      R"([{"role":"assistant","content":null,"tool_calls":)"
      R"([{"function":{"name":"f","arguments":"{\"b\":1,\"a\":[2.0]}"}}]}])";
  EXPECT_EQ(
      text_of("{{ messages[0].tool_calls[0].function.arguments|tojson }} {{ 'content' in messages[0] }}", messages),
      "{\"b\": 1, \"a\": [2.0]} False");
  EXPECT_EQ(text_of("{{ messages[0].content + '!' }}", messages), "!");  // "" where the template fails without
  const std::string broken =
      R"([{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":"{\"b\":"}}]}])";
  EXPECT_EQ(text_of("{{ messages[0].tool_calls[0].function.arguments }}", broken), "{\"b\":");
}

TEST(ChatTemplate, the_time_comes_from_the_caller) {
  ChatTemplateInput input = input_of("[]");
  input.unix_time_s = 1'709'210'096;  // 2024-02-29 12:34:56 UTC, a Thursday
  auto pieces = render("{{ strftime_now('%A %d %B %Y %H:%M:%S %j %-d|%q') }}", input);
  ASSERT_TRUE(pieces.ok());
  EXPECT_EQ(joined(*pieces), "Thursday 29 February 2024 12:34:56 060 29|%q");
  input.unix_time_s.reset();
  pieces = render("{{ strftime_now('%Y')|int > 2024 }}", input);
  ASSERT_TRUE(pieces.ok());
  EXPECT_EQ(joined(*pieces), "True");
}

TEST(ChatTemplate, messages_tools_and_variables_that_are_wrong_are_named) {
  const auto error_of = [](const char* messages, const char* tools, const char* kwargs) {
    auto pieces = render("x", {.messages_json = messages,
                               .tools_json = tools,
                               .kwargs_json = kwargs,
                               .add_generation_prompt = true,
                               .unix_time_s = 0});
    return pieces.ok() ? std::string() : pieces.error().message;
  };
  EXPECT_EQ(error_of("[]", "[]", "{}"), "");
  EXPECT_EQ(error_of("{}", "", ""), "messages: expected an array of objects");
  EXPECT_EQ(error_of("[1]", "", ""), "messages: expected an array of objects");
  EXPECT_EQ(error_of("[]", "{}", ""), "tools: expected an array");
  EXPECT_EQ(error_of("[]", "", "[]"), "chat_template_kwargs: expected an object");
  EXPECT_NE(error_of("[", "", "").find("messages: EOF"), std::string::npos);
  EXPECT_NE(error_of(std::string(100'000, '[').c_str(), "", "").find("messages: recursion limit"), std::string::npos);
}

// ---- templates that mean harm: an error within a bounded time and memory, and the process lives ----

// Only for the test's own chat of no messages, not for those that make() tries.
std::string when_empty(const std::string& source) { return "{% if not messages %}" + source + "{% endif %}"; }

TEST(HostileTemplate, endless_work_runs_out_of_fuel) {
  EXPECT_NE(
      text_of(when_empty("{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}"), "[]")
          .find("fuel"),
      std::string::npos);
  EXPECT_EQ(text_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "[]").substr(0, 7), "error: ");
}

TEST(HostileTemplate, more_text_than_allowed_is_an_error) {
  const std::string flood = text_of(when_empty("{% for a in range(1000) %}{{ 'x' * 1000000 }}{% endfor %}"), "[]");
  EXPECT_EQ(flood.substr(0, 7), "error: ");
}

TEST(HostileTemplate, memory_without_end_ends_the_render_and_not_the_process) {
  std::string doubling = "{% set x = 'xxxxxxxxxxxxxxxx' %}";
  for (int i = 0; i < 60; ++i) doubling += "{% set x = x ~ x %}";
  for (const std::string& source :
       {std::string("{% if messages %}") + doubling + "{% endif %}{{ x|length }}",
        std::string("{% if messages %}{{ ([1] * 1000000000000)|list|length }}{% endif %}")}) {
    auto made = ChatTemplate::make(source, kTokens);  // (the probes render it too)
    const std::string text = made.ok() ? "made" : made.error().message;
    EXPECT_NE(text.find("too much memory"), std::string::npos) << text;
  }
}

TEST(HostileTemplate, a_template_that_used_up_its_budget_is_used_no_more) {
  std::string doubling = "{% set x = 'xxxxxxxxxxxxxxxx' %}";
  for (int i = 0; i < 60; ++i) doubling += "{% set x = x ~ x %}";
  auto made = ChatTemplate::make("{% if messages[0].content == 'boom' %}" + doubling + "{% endif %}ok", kTokens);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(joined(made->render(input_of(R"([{"content":"x"}])")).value()), "ok");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(made->render(input_of(R"([{"content":"boom"}])")).error().message,
              "the chat template takes too much memory for these messages");
  }
  EXPECT_NE(made->render(input_of(R"([{"content":"x"}])")).error().message.find("no more"), std::string::npos);
}

TEST(HostileTemplate, nesting_without_end_does_not_overflow_the_stack) {
  // A list inside of a list, 200,000 deep: dropping it, printing it, comparing it.
  const std::string nest =
      "{% set ns = namespace(x=[]) %}{% for i in range(20) %}{% for j in range(10000) %}{% set ns.x = [ns.x] %}{% "
      "endfor %}{% endfor %}";
  EXPECT_EQ(text_of(when_empty(nest + "done"), "[]"), "done");
  for (const char* use :
       {"{{ ns.x }}", "{{ ns.x|tojson }}", "{{ ns.x ~ '' }}", "{{ ns.x == ns.x }}", "{{ ns.x|string|length }}"}) {
    const std::string text = text_of(when_empty(nest + use), "[]");
    EXPECT_FALSE(text.empty()) << use;
  }
  EXPECT_EQ(text_of("{{ " + std::string(200'000, '(') + "1", "[]").substr(0, 7), "error: ");
  std::string chain = "{{ 1";
  for (int i = 0; i < 200'000; ++i) chain += "+1";
  EXPECT_FALSE(text_of(chain + " }}", "[]").empty());
  std::string ifs;
  for (int i = 0; i < 50'000; ++i) ifs += "{% if 1 %}";
  EXPECT_EQ(text_of(ifs, "[]").substr(0, 7), "error: ");
}

TEST(TokenizerConfig, templates_and_tokens_come_in_several_forms) {
  auto config = read_tokenizer_config(
      R"({"chat_template":"t","bos_token":{"content":"<s>","lstrip":false},"eos_token":"</s>","add_bos_token":true})");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->chat_template + config->bos_token + config->eos_token, "t<s></s>");
  EXPECT_TRUE(config->add_bos_token);
  config = read_tokenizer_config(
      R"({"chat_template":[{"name":"tool_use","template":"u"},{"name":"default","template":"d"}],"bos_token":null})");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->chat_template, "d");
  EXPECT_EQ(config->bos_token, "");
  EXPECT_FALSE(config->add_bos_token);
  EXPECT_EQ(read_tokenizer_config("{}").value().chat_template, "");
}

TEST(TokenizerConfig, what_is_wrong_is_named) {
  const auto check = [](const std::string& json, const std::string& expected) {
    auto config = read_tokenizer_config(json);
    ASSERT_FALSE(config.ok()) << json;
    EXPECT_NE(config.error().message.find(expected), std::string::npos) << config.error().message;
  };
  check("", "not JSON");
  check("[]", "expected an object");
  check(R"({"chat_template":7})", "chat_template: expected a string or a list, found a number");
  check(R"({"chat_template":[{"name":"a"}]})", "no template");
  check(R"({"chat_template":[{"name":"a","template":"x"},{"name":"b","template":"y"}]})",
        "none of a, b is called \"default\"");
  check(R"({"bos_token":["<s>"]})", "bos_token: expected a string, found a list");
  check(R"({"eos_token":{}})", "eos_token: an object without a content");
  check(R"({"add_bos_token":"yes"})", "add_bos_token: expected true or false, found a string");
  check(std::string(100'000, '['), "not JSON");
}

}  // namespace
}  // namespace slipstream
