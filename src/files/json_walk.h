// Reads JSON as a row of events, in one pass and without building a tree: hostile text costs no memory beyond its own
// size.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.h"

namespace slipstream {

struct JsonEvent {
  enum class Kind : uint8_t { kObjectBegin, kObjectEnd, kArrayBegin, kArrayEnd, kKey, kString, kUnsigned, kOther };
  Kind kind = Kind::kOther;    // kUnsigned: a whole number from 0 to 2^64 - 1; kOther: any other scalar
  uint32_t depth = 0;          // 0: the document's value; 1: inside it (its keys too) ...
  std::string_view text;       // of a key or a string; valid during the call
  uint64_t number = 0;
};

// Ends at the first error, the visitor's or one of syntax ("is not JSON: ..."), or deeper than max_depth.
Status walk_json(std::string_view json, uint32_t max_depth, const std::function<Status(const JsonEvent&)>& visit);

// Well-formed and not deeper than max_depth, so that building a tree of it is safe.
Status check_json(std::string_view json, uint32_t max_depth);

}  // namespace slipstream
