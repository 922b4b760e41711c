// The one table of what is accepted and ignored on purpose: names that clients and routers send, and the exact values
// at which they change nothing here. At every other value they are refused by name. Inside of api/.
#pragma once

#include <span>
#include <string_view>

#include "api/json_reader.h"

namespace slipstream {

struct IgnoredField {
  std::string_view name;
  std::string_view accepted;             // its values in words, for the refusal of others
  bool (*accepts)(const Json& value);    // null never comes here: it is the default of every field
  bool later = true;                     // its other values mean something that is not done yet
};

extern const std::span<const IgnoredField> kIgnoredFields;             // of chats and completions
extern const std::span<const IgnoredField> kIgnoredChatFields;         // of chats alone
extern const std::span<const IgnoredField> kIgnoredCompletionFields;
extern const std::span<const IgnoredField> kIgnoredStreamOptions;
extern const std::span<const IgnoredField> kIgnoredMessageFields;

// Error: one of them has another value.
Status read_ignored_fields(JsonFields& fields, std::span<const IgnoredField> ignored);

}  // namespace slipstream
