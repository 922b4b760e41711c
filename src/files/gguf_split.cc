#include "files/gguf_split.h"

#include "files/file_limits.h"
#include "files/quoted.h"

namespace slipstream {
namespace {

constexpr std::string_view kPart = "split.no";
constexpr std::string_view kNumParts = "split.count";
constexpr std::string_view kNumTensors = "split.tensors.count";

// "-00002-of-00003.gguf"
std::string path_end(uint32_t part, uint32_t num_parts) {
  return fmt::format("-{:05}-of-{:05}.gguf", part + 1, num_parts);
}

}  // namespace

Result<GgufSplit> read_gguf_split(const GgufMetadata& metadata) {
  GgufSplit split;
  if (metadata.find(kNumParts) == nullptr) return split;
  ASSIGN_OR_RETURN(const uint64_t num_parts, metadata.get_uint(kNumParts));
  // 0 is what gguf-split leaves when it has put the parts together again.
  if (num_parts <= 1) return split;
  if (num_parts > file_limits::kMaxShards) {
    return invalid("{} is {}, expected at most {} files", kNumParts, num_parts, file_limits::kMaxShards);
  }
  ASSIGN_OR_RETURN(const uint64_t part, metadata.get_uint(kPart));
  if (part >= num_parts) return invalid("{} is {}, expected below {} {}", kPart, part, kNumParts, num_parts);
  split.part = static_cast<uint32_t>(part);
  split.num_parts = static_cast<uint32_t>(num_parts);
  if (metadata.find(kNumTensors) != nullptr) {
    ASSIGN_OR_RETURN(split.num_tensors, metadata.get_uint(kNumTensors));
  }
  return split;
}

std::optional<std::string> gguf_part_path(const std::string& path, const GgufSplit& of, uint32_t part) {
  const std::string end = path_end(of.part, of.num_parts);
  if (!path.ends_with(end)) return std::nullopt;
  return path.substr(0, path.size() - end.size()) + path_end(part, of.num_parts);
}

Status check_gguf_part(const GgufMetadata& metadata, uint32_t part, const GgufMetadata& first, const GgufSplit& of) {
  ASSIGN_OR_RETURN(const GgufSplit split, read_gguf_split(metadata));
  if (split.num_parts != of.num_parts || split.part != part) {
    return invalid("says it is part {} of {}, expected part {} of {}", split.part + 1, split.num_parts, part + 1,
                   of.num_parts);
  }
  if (split.num_tensors != of.num_tensors) {
    return invalid("{} is not what the first part says. Is it from another model?", kNumTensors);
  }
  // Parts say nothing more; one that does must not say something else.
  for (const auto& [key, value] : metadata.values) {
    const GgufValue* there = first.find(key);
    if (key == kPart || there == nullptr || *there == value) continue;
    return invalid("metadata key {} is not what the first part says. Is it from another model?", in_quotes(key));
  }
  return ok_status();
}

}  // namespace slipstream
