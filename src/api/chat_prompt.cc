#include "api/chat_prompt.h"

#include "api/api_limits.h"
#include "api/ignored_fields.h"
#include "api/json_reader.h"
#include "api/json_text.h"

namespace slipstream {
namespace {

constexpr std::string_view kLaterMessageNames[] = {"tool_call_id", "function_call", "refusal", "audio",
                                                   "reasoning_content", "reasoning"};
constexpr std::string_view kLaterPartNames[] = {"cache_control"};
// What the server gives the template itself. A variable of another name is the template's own affair.
constexpr std::string_view kOurTemplateNames[] = {
    "messages", "tools", "documents", "bos_token", "eos_token", "add_generation_prompt", "continue_final_message",
    "chat_template", "tokenize", "raise_exception", "strftime_now"};

Result<std::string> read_role(JsonFields& fields) {
  ASSIGN_OR_RETURN(std::optional<std::string> role, fields.string("role"));
  const std::string param = fields.param("role");
  if (!role) return invalid_param(param, "'{}' is missing.", param);
  if (*role == "developer") return std::string("system");  // OpenAI's newer name of the same; templates know this one
  if (*role == "system" || *role == "user" || *role == "assistant") return std::move(*role);
  if (*role == "tool" || *role == "function") {
    return invalid_param(param, "'{}' is '{}', which is not supported yet.", param, *role);
  }
  return invalid_param(param, "'{}' is '{}'; 'system', 'developer', 'user' or 'assistant' is expected.", param,
                       shortened(*role));
}

Result<Json> read_part(const Json& part, const std::string& path) {
  if (!part.is_object()) return invalid_param(path, "'{}' is {}; an object is expected.", path, json_kind(part));
  JsonFields fields(part, path);
  ASSIGN_OR_RETURN(const std::optional<std::string> type, fields.string("type"));
  const std::string type_param = fields.param("type");
  if (!type) return invalid_param(type_param, "'{}' is missing.", type_param);
  if (*type != "text") {
    return invalid_param(type_param, "'{}' is '{}'; only 'text' is supported yet.", type_param, shortened(*type));
  }
  ASSIGN_OR_RETURN(std::optional<std::string> text, fields.string("text"));
  const std::string text_param = fields.param("text");
  if (!text) return invalid_param(text_param, "'{}' is missing.", text_param);
  RETURN_IF_ERROR(fields.refuse_other_names(kLaterPartNames));
  Json read = Json::object();
  read["type"] = "text";
  read["text"] = std::move(*text);
  return read;
}

Result<Json> read_content(JsonFields& fields) {
  const Json* const content = fields.find("content");
  const std::string param = fields.param("content");
  if (content == nullptr) return invalid_param(param, "'{}' is missing.", param);
  if (content->is_string()) return *content;
  if (!content->is_array()) {
    return invalid_param(param, "'{}' is {}; a string or an array of parts is expected.", param, json_kind(*content));
  }
  if (content->empty()) return invalid_param(param, "'{}' is an empty array.", param);
  Json parts = Json::array();
  for (size_t index = 0; index < content->size(); ++index) {
    ASSIGN_OR_RETURN(Json part, read_part((*content)[index], fmt::format("{}[{}]", param, index)));
    parts.push_back(std::move(part));
  }
  return parts;
}

// Who of several users or examples says it: templates that know names write it, the others do not look.
Status read_name(JsonFields& fields, Json& read) {
  ASSIGN_OR_RETURN(std::optional<std::string> name, fields.string("name"));
  if (!name) return ok_status();
  if (name->size() > kMaxMessageNameBytes) {
    const std::string param = fields.param("name");
    return invalid_param(param, "'{}' has {} bytes; at most {} are taken.", param, name->size(), kMaxMessageNameBytes);
  }
  read["name"] = std::move(*name);
  return ok_status();
}

Result<Json> read_message(const Json& message, const std::string& path) {
  if (!message.is_object()) return invalid_param(path, "'{}' is {}; an object is expected.", path, json_kind(message));
  JsonFields fields(message, path);
  Json read = Json::object();
  ASSIGN_OR_RETURN(read["role"], read_role(fields));
  ASSIGN_OR_RETURN(read["content"], read_content(fields));
  RETURN_IF_ERROR(read_name(fields, read));
  RETURN_IF_ERROR(read_ignored_fields(fields, kIgnoredMessageFields));
  RETURN_IF_ERROR(fields.refuse_other_names(kLaterMessageNames));
  return read;
}

Result<Json> read_messages(const Json* messages) {
  if (messages == nullptr) return invalid_param("messages", "'messages' is missing.");
  if (!messages->is_array()) {
    return invalid_param("messages", "'messages' is {}; an array is expected.", json_kind(*messages));
  }
  if (messages->empty()) return invalid_param("messages", "'messages' is empty; at least one message is expected.");
  if (messages->size() > kMaxMessages) {
    return invalid_param("messages", "'messages' has {} of them; at most {} are taken.", messages->size(),
                         kMaxMessages);
  }
  Json read = Json::array();
  for (size_t index = 0; index < messages->size(); ++index) {
    ASSIGN_OR_RETURN(Json message, read_message((*messages)[index], fmt::format("messages[{}]", index)));
    read.push_back(std::move(message));
  }
  return read;
}

Result<std::string> read_template_kwargs(JsonFields& fields) {
  const Json* const kwargs = fields.find("chat_template_kwargs");
  if (kwargs == nullptr) return std::string();
  if (!kwargs->is_object()) return fields.wrong_kind("chat_template_kwargs", *kwargs, "an object");
  for (const std::string_view name : kOurTemplateNames) {
    if (!kwargs->contains(name)) continue;
    const std::string param = fmt::format("chat_template_kwargs.{}", name);
    return invalid_param(param, "'{}' cannot be given: the server sets it.", param);
  }
  std::string json = kwargs->dump();  // depth is limited by the parser
  if (json.size() > kMaxTemplateKwargsBytes) {
    return invalid_param("chat_template_kwargs", "'chat_template_kwargs' has {} bytes; at most {} are taken.",
                         json.size(), kMaxTemplateKwargsBytes);
  }
  return json;
}

// Where the prompt ends: before a new answer, or inside the last message.
Status read_end(JsonFields& fields, const Json& messages, ChatPrompt& prompt) {
  const bool told = fields.find("add_generation_prompt") != nullptr;
  ASSIGN_OR_RETURN(const bool add, fields.boolean("add_generation_prompt", true));
  ASSIGN_OR_RETURN(prompt.continue_final_message, fields.boolean("continue_final_message", false));
  prompt.add_generation_prompt = add && !prompt.continue_final_message;
  if (!prompt.continue_final_message) return ok_status();
  if (told && add) {
    return invalid_param("continue_final_message",
                         "'continue_final_message' and 'add_generation_prompt' cannot both be true.");
  }
  if (messages.back()["role"] != "assistant") {
    return invalid_param("continue_final_message",
                         "'continue_final_message' is only for a last message of role 'assistant'.");
  }
  return ok_status();
}

}  // namespace

Result<ChatPrompt> read_chat_prompt(JsonFields& fields) {
  ChatPrompt prompt;
  ASSIGN_OR_RETURN(const Json messages, read_messages(fields.find("messages")));
  RETURN_IF_ERROR(read_end(fields, messages, prompt));
  ASSIGN_OR_RETURN(prompt.template_kwargs_json, read_template_kwargs(fields));
  prompt.messages_json = messages.dump();  // strings came through the parser, so they are UTF-8, and depth is 4
  return prompt;
}

Result<std::vector<ChatPrompt>> parse_chat_beginnings(std::string_view json) {
  ASSIGN_OR_RETURN(const Json entries, parse_json(json, "The text"));
  if (!entries.is_array())
    return invalid("The text is {}; an array of arrays of messages is expected.", json_kind(entries));
  if (entries.empty()) return invalid("The text has no entry; an array of arrays of messages is expected.");
  std::vector<ChatPrompt> prompts;
  for (const Json& entry : entries) {
    Result<Json> messages = read_messages(&entry);
    if (!messages.ok()) return std::move(messages).error().within(fmt::format("entry {}", prompts.size() + 1));
    ChatPrompt& prompt = prompts.emplace_back();
    prompt.messages_json = messages->dump();
    prompt.add_generation_prompt = false;
  }
  return prompts;
}

}  // namespace slipstream
