#include "api/chat_request.h"

#include "api/api_limits.h"
#include "api/generation_fields.h"
#include "api/json_reader.h"
#include "api/json_text.h"

namespace slipstream {
namespace {

constexpr std::string_view kLaterMessageNames[] = {
    "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations",
    "reasoning_content", "reasoning"};
constexpr std::string_view kLaterPartNames[] = {"cache_control"};

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

Result<Json> read_message(const Json& message, const std::string& path) {
  if (!message.is_object()) return invalid_param(path, "'{}' is {}; an object is expected.", path, json_kind(message));
  JsonFields fields(message, path);
  Json read = Json::object();
  ASSIGN_OR_RETURN(read["role"], read_role(fields));
  ASSIGN_OR_RETURN(read["content"], read_content(fields));
  RETURN_IF_ERROR(fields.refuse_other_names(kLaterMessageNames));
  return read;
}

Result<std::string> read_messages(JsonFields& fields) {
  const Json* const messages = fields.find("messages");
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
  return read.dump();  // strings came through the parser, so they are UTF-8, and depth is 4
}

Status read_max_completion_tokens(JsonFields& fields, GenerationParams& params) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> most, fields.integer("max_completion_tokens", 1, kMaxTokensLimit));
  if (!most) return ok_status();
  if (params.max_tokens && *params.max_tokens != *most) {
    return invalid_param("max_completion_tokens", "'max_tokens' is {} and 'max_completion_tokens' is {}; give one.",
                         *params.max_tokens, *most);
  }
  params.max_tokens = static_cast<uint32_t>(*most);
  return ok_status();
}

}  // namespace

Result<ChatRequest> parse_chat_request(std::string_view body) {
  ASSIGN_OR_RETURN(const Json json, parse_json_object(body));
  JsonFields fields(json, "");
  ChatRequest request;
  ASSIGN_OR_RETURN(request.model, fields.string("model"));
  ASSIGN_OR_RETURN(request.messages_json, read_messages(fields));
  ASSIGN_OR_RETURN(request.generation, read_generation_params(fields));
  RETURN_IF_ERROR(read_max_completion_tokens(fields, request.generation));
  RETURN_IF_ERROR(fields.refuse_other_names(kLaterNames));
  return request;
}

}  // namespace slipstream
