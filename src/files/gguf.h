// A GGUF model (version 3), one file or several: its metadata and its tensors, checked.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "files/tensor_source.h"

namespace slipstream {

// Integers of every width are widened; floats too. An array holds one of the four.
using GgufValue = std::variant<int64_t, uint64_t, double, bool, std::string, std::vector<int64_t>, std::vector<double>,
                               std::vector<std::string>>;

class GgufMetadata {
 public:
  // Null when the key is absent.
  const GgufValue* find(std::string_view key) const;
  // Errors name the key and what was expected. The value is in range of the type.
  Result<uint64_t> get_uint(std::string_view key) const;
  Result<double> get_float(std::string_view key) const;
  Result<std::string> get_string(std::string_view key) const;

  std::map<std::string, GgufValue, std::less<>> values;
};

struct GgufFile {
  GgufMetadata metadata;
  TensorSource tensors;
};

// A model in several files (NAME-00001-of-00003.gguf ...) is opened by the first: the others must lie beside it, and
// the metadata is the first one's.
Result<GgufFile> open_gguf(const std::string& path);

}  // namespace slipstream
