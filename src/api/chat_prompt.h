// What a chat says to the model's template: checked, still words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slipstream {

struct ChatPrompt {
  std::string messages_json;         // array of {"role", "content", "name"?}; content: a string, or an array of
                                     // {"type":"text","text"}
  std::string template_kwargs_json;  // object of further variables of the template (enable_thinking ...), or ""
  bool add_generation_prompt = true;
  bool continue_final_message = false;  // the prompt ends in the last message, the assistant's, for the answer to go on
};

class JsonFields;
// Reads messages, chat_template_kwargs, add_generation_prompt and continue_final_message.
Result<ChatPrompt> read_chat_prompt(JsonFields& fields);

// A JSON array, each entry what a chat has as its messages: beginnings of chats to come. Each ends behind its last
// message, without the head of an answer, so that a chat that begins with these messages begins with these tokens.
// Errors name the entry, counted from 1.
Result<std::vector<ChatPrompt>> parse_chat_beginnings(std::string_view json);

}  // namespace slipstream
