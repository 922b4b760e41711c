#include "api/ignored_fields.h"

#include "api/api_limits.h"

namespace slipstream {
namespace {

bool is_true(const Json& value) { return value.is_boolean() && value.get<bool>(); }
bool is_false(const Json& value) { return value.is_boolean() && !value.get<bool>(); }
bool is_boolean(const Json& value) { return value.is_boolean(); }
bool is_object(const Json& value) { return value.is_object(); }
bool is_empty_array(const Json& value) { return value.is_array() && value.empty(); }
bool is_empty_string(const Json& value) { return value == ""; }
bool is_zero(const Json& value) { return value.is_number_integer() && value == 0; }
bool is_one(const Json& value) { return value.is_number() && value == 1; }
bool is_medium(const Json& value) { return value == "medium"; }
// Without tools there is nothing to choose: the model answers in words, as with "none".
bool is_no_tool_choice(const Json& value) { return value == "none" || value == "auto"; }
bool is_text_format(const Json& value) {
  return value.is_object() && value.size() == 1 && value.begin().key() == "type" && value.begin().value() == "text";
}
bool is_text_modality(const Json& value) { return value.is_array() && value.size() == 1 && value.front() == "text"; }
bool is_common_tier(const Json& value) { return value == "auto" || value == "default"; }
bool is_in_memory(const Json& value) { return value == "in_memory" || value == "in-memory"; }
bool is_label(const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().size() <= kMaxUserBytes;
}

static_assert(kMaxUserBytes == 1024, "the words below say so");

constexpr IgnoredField kBoth[] = {
    // OpenAI's clients: for the caller's own books at OpenAI, ...
    {"user", "a string of at most 1024 bytes", is_label, false},
    {"safety_identifier", "a string of at most 1024 bytes", is_label, false},
    {"prompt_cache_key", "a string of at most 1024 bytes", is_label, false},
    {"metadata", "an object", is_object, false},
    {"store", "a boolean", is_boolean, false},
    // ... and what is not done yet, at the value that asks for nothing.
    {"prompt_cache_retention", "'in_memory'", is_in_memory},
    {"service_tier", "'auto' or 'default'", is_common_tier},
    {"tools", "an empty array", is_empty_array},
    {"tool_choice", "'none' or 'auto'", is_no_tool_choice},
    {"parallel_tool_calls", "a boolean", is_boolean, false},
    {"functions", "an empty array", is_empty_array},
    {"function_call", "'none' or 'auto'", is_no_tool_choice},
    {"response_format", "{\"type\": \"text\"}", is_text_format},
    {"modalities", "[\"text\"]", is_text_modality},
    {"reasoning_effort", "'medium'", is_medium},
    {"verbosity", "'medium'", is_medium},
    // What routers (SGLang's, vLLM's) and clients made for those servers fill in by themselves.
    {"no_stop_trim", "false", is_false},
    {"return_hidden_states", "false", is_false},
    {"skip_special_tokens", "true", is_true},
    {"spaces_between_special_tokens", "true", is_true},
    {"separate_reasoning", "true", is_true},
    {"stream_reasoning", "true", is_true},
    {"include_reasoning", "true", is_true},
    {"use_beam_search", "false", is_false},
    {"length_penalty", "1", is_one},
    {"bad_words", "an empty array", is_empty_array},
    {"priority", "0", is_zero},
    {"return_tokens_as_token_ids", "false", is_false},
};

constexpr IgnoredField kChat[] = {
    {"echo", "false", is_false},
    {"add_special_tokens", "false", is_false},  // the template writes them
    {"documents", "an empty array", is_empty_array},
};

constexpr IgnoredField kCompletion[] = {
    {"suffix", "an empty string", is_empty_string},
    {"add_special_tokens", "true", is_true},
    {"continue_final_message", "false", is_false},
};

constexpr IgnoredField kStream[] = {
    {"include_obfuscation", "false", is_false},
};

// As OpenAI's answers have them and clients send them back.
constexpr IgnoredField kMessage[] = {
    {"tool_calls", "an empty array", is_empty_array},
    {"annotations", "an empty array", is_empty_array},
};

}  // namespace

const std::span<const IgnoredField> kIgnoredFields = kBoth;
const std::span<const IgnoredField> kIgnoredChatFields = kChat;
const std::span<const IgnoredField> kIgnoredCompletionFields = kCompletion;
const std::span<const IgnoredField> kIgnoredStreamOptions = kStream;
const std::span<const IgnoredField> kIgnoredMessageFields = kMessage;

Status read_ignored_fields(JsonFields& fields, std::span<const IgnoredField> ignored) {
  for (const IgnoredField& field : ignored) {
    const Json* const value = fields.find(field.name);
    if (value == nullptr || field.accepts(*value)) continue;
    const std::string param = fields.param(field.name);
    if (field.later) {
      return invalid_param(param, "'{}' is not supported yet; only {} is taken, which changes nothing.", param,
                           field.accepted);
    }
    return invalid_param(param, "'{}' is taken only as {}, which changes nothing here.", param, field.accepted);
  }
  return ok_status();
}

}  // namespace slipstream
