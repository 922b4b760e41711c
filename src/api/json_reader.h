// A request's JSON, hostile: parsed with limits on depth, names and values, duplicate names refused; and its fields
// read by name with their type and range. Only included by the readers in api/.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slipstream {

using Json = nlohmann::ordered_json;

// Error: not JSON (says at which byte), or over a limit. what: the text, for the error.
Result<Json> parse_json(std::string_view text, std::string_view what = "The request body");
// The same, and it is an object.
Result<Json> parse_json_object(std::string_view text);

// The fields of one object. A field that is absent or null is its default. Every name asked for is known; the others
// are refused at the end by refuse_other_names().
class JsonFields {
 public:
  // path: of the object, for `param`: "" for the request itself, "messages[3]", "stream_options".
  JsonFields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {}

  // Null: absent or null.
  const Json* find(std::string_view name);

  Result<bool> boolean(std::string_view name, bool otherwise);
  Result<double> number(std::string_view name, double least, double most, double otherwise);
  Result<std::optional<int64_t>> integer(std::string_view name, int64_t least, int64_t most);
  Result<std::optional<std::string>> string(std::string_view name);

  // later: names of the API that are not done yet; refused as such where they are not null.
  Status refuse_other_names(std::span<const std::string_view> later);

  // The names that were asked for; some twice.
  std::span<const std::string_view> known() const { return known_; }

  std::string param(std::string_view name) const;
  // "'messages[3].role' is a boolean; a string is expected."
  Error wrong_kind(std::string_view name, const Json& value, std::string_view expected) const;

 private:
  const Json& object_;
  std::string path_;
  std::vector<std::string_view> known_;
};

// "a string", "an array": for messages.
std::string_view json_kind(const Json& value);

}  // namespace slipstream
