// The JSON at the front of a safetensors file, and the index that names the shards of a folder. Only the text is read
// here; whether it fits the file is checked in safetensors.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace slipstream {

struct HeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  std::vector<uint64_t> data_offsets;  // [begin, end), always two
};

// {"name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}, ..., "__metadata__": {...}}
Result<std::vector<HeaderEntry>> parse_safetensors_header(std::string_view json);

// {"metadata": {...}, "weight_map": {"tensor": "file", ...}} -> (tensor, file); files are plain names in the same
// folder.
Result<std::vector<std::pair<std::string, std::string>>> parse_safetensors_index(std::string_view json);

}  // namespace slipstream
