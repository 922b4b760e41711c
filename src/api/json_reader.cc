#include "api/json_reader.h"

#include <algorithm>
#include <cmath>

#include "api/api_limits.h"
#include "api/json_text.h"

namespace slipstream {
namespace {

// Builds the value while it checks the limits, so that nothing deep or endless is ever built. (The library's own
// builder takes any depth, keeps the last of two equal names, and looks for each name among all before.)
class CheckedBuilder final : public nlohmann::json_sax<Json> {
 public:
  explicit CheckedBuilder(std::string_view what) : what_(what) {}

  Json root;
  std::optional<Error> refusal;

  bool null() override { return put(Json(nullptr)); }
  bool boolean(bool value) override { return put(Json(value)); }
  bool number_integer(number_integer_t value) override { return put(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return put(Json(value)); }
  bool number_float(number_float_t value, const string_t&) override { return put(Json(value)); }
  bool string(string_t& value) override { return put(Json(std::move(value))); }
  bool binary(binary_t&) override { return refuse(invalid("{} is not JSON.", what_)); }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override {
    const std::optional<std::string> twice = name_given_twice(open_.back()->get_ref<Json::object_t&>());
    if (twice) return refuse(invalid_param(*twice, "The name '{}' is given twice.", *twice));
    return close();
  }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (open_.back()->get_ref<Json::object_t&>().size() >= kMaxJsonNames) {
      return refuse(invalid("{} has an object with more than {} names.", what_, kMaxJsonNames));
    }
    name_ = std::move(name);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return refuse(invalid("{} is not valid JSON (at byte {}).", what_, position));
  }

 private:
  bool refuse(Error error) {
    if (!refusal) refusal = std::move(error);
    return false;
  }

  // Where the next value goes; null when there are too many.
  Json* put_value(Json value) {
    if (++num_values_ > kMaxJsonValues) {
      refuse(invalid("{} has more than {} values.", what_, kMaxJsonValues));
      return nullptr;
    }
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      auto& items = parent.get_ref<Json::array_t&>();
      return &items.emplace_back(std::move(value));
    }
    auto& names = parent.get_ref<Json::object_t&>();
    names.emplace_back(std::move(name_), std::move(value));  // the vector's own: no look-up
    return &names.back().second;
  }

  bool put(Json value) { return put_value(std::move(value)) != nullptr; }

  bool open(Json container) {
    if (open_.size() >= kMaxJsonDepth) {
      return refuse(invalid("{} is nested more than {} levels deep.", what_, kMaxJsonDepth));
    }
    Json* const placed = put_value(std::move(container));
    if (placed == nullptr) return false;
    open_.push_back(placed);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  // By sorting: looking for each name among all before would cost a second for 8 MB of objects full of short names.
  std::optional<std::string> name_given_twice(const Json::object_t& object) {
    sorted_names_.clear();
    for (const auto& [name, value] : object) sorted_names_.push_back(name);
    std::sort(sorted_names_.begin(), sorted_names_.end());
    const auto twice = std::adjacent_find(sorted_names_.begin(), sorted_names_.end());
    if (twice == sorted_names_.end()) return std::nullopt;
    return shortened(*twice);
  }

  const std::string_view what_;
  std::vector<Json*> open_;  // the containers being filled, outermost first; only the last one grows, so pointers stay
  std::string name_;         // of the value to come
  std::vector<std::string_view> sorted_names_;  // of the object that ends
  size_t num_values_ = 0;
};

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view what) {
  // The library takes a zero byte for the end and looks at nothing behind it; JSON has none anywhere.
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos) {
    return invalid("{} is not valid JSON (at byte {}).", what, zero + 1);
  }
  CheckedBuilder builder(what);
  const bool good = Json::sax_parse(text.begin(), text.end(), &builder);
  if (builder.refusal) return std::move(*builder.refusal);
  if (!good) return invalid("{} is not valid JSON.", what);
  return std::move(builder.root);
}

Result<Json> parse_json_object(std::string_view text) {
  if (text.empty()) return invalid("The request has no body; a JSON object is expected.");
  ASSIGN_OR_RETURN(Json value, parse_json(text));
  if (!value.is_object()) return invalid("The request body is {}; a JSON object is expected.", json_kind(value));
  return value;
}

std::string_view json_kind(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "a boolean";
  if (value.is_number_integer()) return "an integer";
  if (value.is_number()) return "a number with a fraction";
  if (value.is_string()) return "a string";
  return value.is_array() ? "an array" : "an object";
}

std::string JsonFields::param(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

const Json* JsonFields::find(std::string_view name) {
  known_.push_back(name);
  for (const auto& [key, value] : object_.get_ref<const Json::object_t&>()) {
    if (key == name) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

Error JsonFields::wrong_kind(std::string_view name, const Json& value, std::string_view expected) const {
  return invalid_param(param(name), "'{}' is {}; {} is expected.", param(name), json_kind(value), expected);
}

Result<bool> JsonFields::boolean(std::string_view name, bool otherwise) {
  const Json* const value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) return wrong_kind(name, *value, "a boolean");
  return value->get<bool>();
}

Result<double> JsonFields::number(std::string_view name, double least, double most, double otherwise) {
  const Json* const value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_number()) return wrong_kind(name, *value, "a number");
  const double number = value->get<double>();
  if (!(number >= least && number <= most)) {
    return invalid_param(param(name), "'{}' is {}; it must be between {} and {}.", param(name), number, least, most);
  }
  return number;
}

Result<std::optional<int64_t>> JsonFields::integer(std::string_view name, int64_t least, int64_t most) {
  const Json* const value = find(name);
  if (value == nullptr) return std::optional<int64_t>();
  if (!value->is_number_integer()) return wrong_kind(name, *value, "an integer");
  const bool too_large = value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{INT64_MAX};
  if (too_large || value->get<int64_t>() < least || value->get<int64_t>() > most) {
    return invalid_param(param(name), "'{}' is {}; it must be between {} and {}.", param(name), value->dump(), least,
                         most);
  }
  return std::optional<int64_t>(value->get<int64_t>());
}

Result<std::optional<std::string>> JsonFields::string(std::string_view name) {
  const Json* const value = find(name);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return wrong_kind(name, *value, "a string");
  return std::optional<std::string>(value->get_ref<const std::string&>());
}

Status JsonFields::refuse_other_names(std::span<const std::string_view> later) {
  for (const auto& [name, value] : object_.get_ref<const Json::object_t&>()) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const bool comes_later = std::find(later.begin(), later.end(), std::string_view(name)) != later.end();
    if (comes_later && value.is_null()) continue;  // null is the default, which is what we do
    if (comes_later) return invalid_param(param(name), "'{}' is not supported yet.", param(name));
    return invalid_param(param(shortened(name)), "'{}' is not a parameter this server knows.", param(shortened(name)));
  }
  return ok_status();
}

}  // namespace slipstream
