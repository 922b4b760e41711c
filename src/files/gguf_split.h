// A model in several GGUF files, NAME-00001-of-00003.gguf ..., as llama.cpp's gguf-split writes them: each says
// split.no (from 0), split.count and split.tensors.count (of all parts together); the first has the metadata.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "files/gguf.h"

namespace slipstream {

struct GgufSplit {
  uint32_t part = 0;                    // from 0
  uint32_t num_parts = 1;               // 1: the file is the whole model
  std::optional<uint64_t> num_tensors;  // of all parts together, where the file says it

  bool operator==(const GgufSplit&) const = default;
};

Result<GgufSplit> read_gguf_split(const GgufMetadata& metadata);

// The place of part `part` (from 0), by the path of another one; nothing when that path does not end as `of` says.
std::optional<std::string> gguf_part_path(const std::string& path, const GgufSplit& of, uint32_t part);

// Is what `metadata` says what part `part` of a model has to say whose first part is `first`? Errors are said of the
// part's file.
Status check_gguf_part(const GgufMetadata& metadata, uint32_t part, const GgufMetadata& first, const GgufSplit& of);

}  // namespace slipstream
