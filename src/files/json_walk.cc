#include "files/json_walk.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

namespace slipstream {
namespace {

using Kind = JsonEvent::Kind;
using Visitor = std::function<Status(const JsonEvent&)>;

// nlohmann's SAX interface: a method says false to stop.
class Walker {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  Walker(uint32_t max_depth, const Visitor& visitor) : max_depth_(max_depth), visitor_(visitor) {}

  bool null() { return visit({Kind::kOther, depth_, {}, 0}); }
  bool boolean(bool) { return visit({Kind::kOther, depth_, {}, 0}); }
  bool number_integer(number_integer_t) {
    return visit({Kind::kOther, depth_, {}, 0});
  }  // only negative ones come here
  bool number_unsigned(number_unsigned_t number) { return visit({Kind::kUnsigned, depth_, {}, number}); }
  bool number_float(number_float_t, const string_t&) { return visit({Kind::kOther, depth_, {}, 0}); }
  bool string(string_t& text) { return visit({Kind::kString, depth_, text, 0}); }
  bool binary(binary_t&) { return visit({Kind::kOther, depth_, {}, 0}); }
  bool key(string_t& text) { return visit({Kind::kKey, depth_, text, 0}); }
  bool start_object(size_t) { return begin(Kind::kObjectBegin); }
  bool start_array(size_t) { return begin(Kind::kArrayBegin); }
  bool end_object() { return visit({Kind::kObjectEnd, --depth_, {}, 0}); }
  bool end_array() { return visit({Kind::kArrayEnd, --depth_, {}, 0}); }

  bool parse_error(size_t position, const string_t&, const nlohmann::json::exception&) {
    error_ = invalid("is not JSON: syntax error at byte {}", position);
    return false;
  }

  std::optional<Error> error_;

 private:
  bool begin(Kind kind) {
    if (depth_ >= max_depth_) {
      error_ = invalid("is nested deeper than {} levels", max_depth_);
      return false;
    }
    const bool go_on = visit({kind, depth_, {}, 0});
    ++depth_;
    return go_on;
  }
  bool visit(const JsonEvent& event) {
    Status status = visitor_(event);
    if (!status.ok()) error_ = std::move(status).error();
    return !error_.has_value();
  }

  const uint32_t max_depth_;
  const Visitor& visitor_;
  uint32_t depth_ = 0;
};

}  // namespace

Status walk_json(std::string_view json, uint32_t max_depth, const Visitor& visit) {
  Walker walker(max_depth, visit);
  const bool whole = nlohmann::json::sax_parse(json, &walker);
  if (walker.error_.has_value()) return *std::move(walker.error_);
  if (!whole) return invalid("is not JSON");
  return ok_status();
}

Status check_json(std::string_view json, uint32_t max_depth) {
  return walk_json(json, max_depth, [](const JsonEvent&) { return ok_status(); });
}

}  // namespace slipstream
