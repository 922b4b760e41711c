#include "files/safetensors_header.h"

#include <algorithm>

#include "files/file_limits.h"
#include "files/json_walk.h"
#include "files/quoted.h"

namespace slipstream {
namespace {

using Kind = JsonEvent::Kind;

// What the walk is inside of.
class HeaderReader {
 public:
  Status see(const JsonEvent& event) {
    if (skipping_) return skip(event);
    switch (event.depth) {
      case 0:
        return event.kind == Kind::kObjectBegin || event.kind == Kind::kObjectEnd
                   ? ok_status()
                   : Status(invalid("is not a JSON object"));
      case 1: return see_entry(event);
      case 2: return see_field(event);
      default: return see_number(event);
    }
  }
  std::vector<HeaderEntry> entries;

 private:
  Status see_entry(const JsonEvent& event) {
    if (event.kind == Kind::kKey) {
      if (event.text == "__metadata__") {
        skipping_ = true;
        return ok_status();
      }
      if (event.text.empty() || event.text.size() > file_limits::kMaxNameBytes) {
        return invalid("tensor name of {} bytes, expected 1 to {}", event.text.size(), file_limits::kMaxNameBytes);
      }
      if (entries.size() == file_limits::kMaxTensors) return invalid("more than {} tensors", file_limits::kMaxTensors);
      entries.emplace_back().name = event.text;
      return ok_status();
    }
    if (event.kind == Kind::kObjectBegin) return ok_status();
    if (event.kind == Kind::kObjectEnd) return finish();
    return invalid("tensor {} is not described by an object", in_quotes(entries.back().name));
  }

  Status see_field(const JsonEvent& event) {
    HeaderEntry& entry = entries.back();
    if (event.kind == Kind::kKey) {
      numbers_ = nullptr;
      in_dtype_ = event.text == "dtype";
      if (event.text == "shape") numbers_ = &entry.shape;
      if (event.text == "data_offsets") numbers_ = &entry.data_offsets;
      if (!in_dtype_ && numbers_ == nullptr) {
        return invalid("tensor {} has a field {}, expected dtype, shape and data_offsets", in_quotes(entry.name),
                       in_quotes(event.text));
      }
      if ((in_dtype_ && !entry.dtype.empty()) || (numbers_ == &entry.data_offsets && !entry.data_offsets.empty()) ||
          (numbers_ == &entry.shape && has_shape_)) {
        return invalid("tensor {} has {} twice", in_quotes(entry.name), in_quotes(event.text));
      }
      return ok_status();
    }
    if (in_dtype_ && event.kind == Kind::kString) {
      entry.dtype = event.text;
      return ok_status();
    }
    if (numbers_ != nullptr && event.kind == Kind::kArrayBegin) {
      has_shape_ = has_shape_ || numbers_ == &entry.shape;
      return ok_status();
    }
    if (event.kind == Kind::kArrayEnd) return ok_status();
    return invalid("tensor {}: {}", in_quotes(entry.name),
                   in_dtype_ ? "dtype is not a string" : "shape and data_offsets must be lists of numbers");
  }

  Status see_number(const JsonEvent& event) {
    HeaderEntry& entry = entries.back();
    const bool is_shape = numbers_ == &entry.shape;
    if (event.kind != Kind::kUnsigned) {
      return invalid("tensor {}: {} holds something that is not a whole number from 0 to 2^64 - 1",
                     in_quotes(entry.name), is_shape ? "shape" : "data_offsets");
    }
    const size_t most = is_shape ? file_limits::kMaxDimensions : 2;
    if (numbers_->size() == most) {
      return invalid("tensor {}: {} has more than {} numbers", in_quotes(entry.name),
                     is_shape ? "shape" : "data_offsets", most);
    }
    numbers_->push_back(event.number);
    return ok_status();
  }

  Status finish() {
    const HeaderEntry& entry = entries.back();
    const char* missing = entry.dtype.empty()              ? "dtype"
                          : !has_shape_                    ? "shape"
                          : entry.data_offsets.size() != 2 ? "data_offsets"
                                                           : nullptr;
    if (missing != nullptr) return invalid("tensor {} has no proper {}", in_quotes(entry.name), missing);
    has_shape_ = false;
    return ok_status();
  }

  // The value of __metadata__: free text for people; nothing in it changes how tensors are read.
  Status skip(const JsonEvent& event) {
    skipping_ = event.depth > 1 || event.kind == Kind::kObjectBegin || event.kind == Kind::kArrayBegin;
    return ok_status();
  }

  bool skipping_ = false;
  bool in_dtype_ = false;
  bool has_shape_ = false;                    // of the current entry; an empty shape is a shape
  std::vector<uint64_t>* numbers_ = nullptr;  // the current entry's list that is being read
};

Status check_shard_name(std::string_view file) {
  if (file.empty() || file.size() > 255 || file.find('/') != std::string_view::npos ||
      file.find('\0') != std::string_view::npos || file.find("..") != std::string_view::npos ||
      !file.ends_with(".safetensors")) {
    return invalid("weight_map names the file {}, expected a name.safetensors in the same folder", in_quotes(file));
  }
  return ok_status();
}

}  // namespace

Result<std::vector<HeaderEntry>> parse_safetensors_header(std::string_view json) {
  HeaderReader reader;
  RETURN_IF_ERROR(
      walk_json(json, file_limits::kMaxJsonDepth, [&](const JsonEvent& event) { return reader.see(event); }));
  return std::move(reader.entries);
}

Result<std::vector<std::pair<std::string, std::string>>> parse_safetensors_index(std::string_view json) {
  std::vector<std::pair<std::string, std::string>> map;
  bool in_map = false;
  bool seen_map = false;
  const auto see = [&](const JsonEvent& event) -> Status {
    if (event.depth == 0) {
      return event.kind == Kind::kObjectBegin || event.kind == Kind::kObjectEnd
                 ? ok_status()
                 : Status(invalid("is not a JSON object"));
    }
    if (event.depth == 1 && event.kind == Kind::kKey) {
      in_map = event.text == "weight_map";
      if (in_map && seen_map) return invalid("has weight_map twice");
      seen_map = seen_map || in_map;
      return ok_status();
    }
    if (!in_map) return ok_status();
    if (event.depth == 1 && (event.kind == Kind::kObjectBegin || event.kind == Kind::kObjectEnd)) return ok_status();
    if (event.depth == 2 && event.kind == Kind::kKey) {
      if (map.size() == file_limits::kMaxTensors)
        return invalid("weight_map has more than {} tensors", file_limits::kMaxTensors);
      map.emplace_back(event.text, "");
      return ok_status();
    }
    if (event.depth != 2 || event.kind != Kind::kString)
      return invalid("weight_map is not an object of tensor: file name");
    RETURN_IF_ERROR(check_shard_name(event.text));
    map.back().second = event.text;
    return ok_status();
  };
  RETURN_IF_ERROR(walk_json(json, file_limits::kMaxJsonDepth, see));
  if (map.empty()) return invalid("has no weight_map, or an empty one");
  std::sort(map.begin(), map.end());
  for (size_t i = 1; i < map.size(); ++i) {
    if (map[i - 1].first == map[i].first) return invalid("weight_map has the tensor {} twice", in_quotes(map[i].first));
  }
  return map;
}

}  // namespace slipstream
