// open_gguf(): https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
//
//   | "GGUF" | u32 version 3 | u64 tensors | u64 keys | keys and values | tensor infos | padding | data |
//
// A tensor info: name, u32 dimensions, u64 of each (innermost first), u32 type, u64 offset in data (a multiple of the
// alignment).
#include "files/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <optional>
#include <utility>

#include "base/memory.h"
#include "files/byte_reader.h"
#include "files/file_limits.h"
#include "files/gguf_metadata.h"
#include "files/gguf_split.h"
#include "files/mapped_file.h"
#include "files/quoted.h"

namespace slipstream {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint64_t kLeastKeyBytes = 8 + 4 + 1;             // an empty key and a bool
constexpr uint64_t kLeastTensorBytes = 8 + 4 + 8 + 4 + 8;  // an empty name and one dimension

// ggml's types by number. Those without a DType are not read yet, or are no more in use.
struct GgmlType {
  std::string_view name;
  std::optional<DType> dtype;
};
constexpr std::array<GgmlType, 42> kGgmlTypes = {{
    {"F32", DType::kF32},
    {"F16", DType::kF16},
    {"Q4_0", DType::kQ4_0},
    {"Q4_1", DType::kQ4_1},
    {"Q4_2", {}},
    {"Q4_3", {}},
    {"Q5_0", {}},
    {"Q5_1", {}},
    {"Q8_0", DType::kQ8_0},
    {"Q8_1", {}},
    {"Q2_K", {}},
    {"Q3_K", {}},
    {"Q4_K", {}},
    {"Q5_K", {}},
    {"Q6_K", {}},
    {"Q8_K", {}},
    {"IQ2_XXS", {}},
    {"IQ2_XS", {}},
    {"IQ3_XXS", {}},
    {"IQ1_S", {}},
    {"IQ4_NL", {}},
    {"IQ3_S", {}},
    {"IQ2_S", {}},
    {"IQ4_XS", {}},
    {"I8", {}},
    {"I16", {}},
    {"I32", {}},
    {"I64", {}},
    {"F64", {}},
    {"IQ1_M", {}},
    {"BF16", DType::kBf16},
    {"Q4_0_4_4", {}},
    {"Q4_0_4_8", {}},
    {"Q4_0_8_8", {}},
    {"TQ1_0", {}},
    {"TQ2_0", {}},
    {"IQ4_NL_4_4", {}},
    {"IQ4_NL_4_8", {}},
    {"IQ4_NL_8_8", {}},
    {"MXFP4", {}},
    {"NVFP4", {}},
    {"Q1_0", {}},
}};

std::string names_of_read_types() {
  std::string names;
  for (const GgmlType& type : kGgmlTypes) {
    if (type.dtype.has_value()) names += (names.empty() ? "" : ", ") + std::string(type.name);
  }
  return names;
}

struct Header {
  uint64_t num_tensors = 0;
  uint64_t num_keys = 0;
};

Result<Header> read_header(ByteReader& reader) {
  const std::string_view magic = reader.read_text(4);
  const auto version = reader.read<uint32_t>();
  const Header header{reader.read<uint64_t>(), reader.read<uint64_t>()};
  if (magic != "GGUF") return invalid("does not begin with 'GGUF'");
  if (!reader.ok()) return invalid("is cut off in its first 24 bytes");
  if (version == __builtin_bswap32(kVersion)) return invalid("is big-endian, which is not read");
  if (version != kVersion) return invalid("is GGUF version {}, expected {}", version, kVersion);
  if (header.num_keys > file_limits::kMaxMetadataKeys || header.num_keys > reader.left() / kLeastKeyBytes) {
    return invalid("says it has {} metadata keys; {} bytes follow and at most {} keys are read", header.num_keys,
                   reader.left(), file_limits::kMaxMetadataKeys);
  }
  if (header.num_tensors > file_limits::kMaxTensors || header.num_tensors > reader.left() / kLeastTensorBytes) {
    return invalid("says it has {} tensors; {} bytes follow and at most {} tensors are read", header.num_tensors,
                   reader.left(), file_limits::kMaxTensors);
  }
  return header;
}

Result<uint64_t> read_alignment(const GgufMetadata& metadata) {
  constexpr std::string_view kKey = "general.alignment";
  if (metadata.find(kKey) == nullptr) return 32;
  ASSIGN_OR_RETURN(const uint64_t alignment, metadata.get_uint(kKey));
  if (!std::has_single_bit(alignment) || alignment < 8 || alignment > file_limits::kMaxAlignment) {
    return invalid("{} is {}, expected a power of two from 8 to {}", kKey, alignment, file_limits::kMaxAlignment);
  }
  return alignment;
}

struct TensorInfo {
  Tensor tensor;        // its bytes are not known yet
  uint64_t offset = 0;  // in the data
};

Result<TensorInfo> read_tensor_info(ByteReader& reader, uint64_t index) {
  ASSIGN_OR_RETURN(const std::string_view name,
                   read_gguf_string(reader, file_limits::kMaxNameBytes, fmt::format("the name of tensor {}", index)));
  if (name.empty()) return invalid("tensor {} has no name", index);
  TensorInfo info;
  info.tensor.name = name;
  const auto num_dimensions = reader.read<uint32_t>();
  if (num_dimensions == 0 || num_dimensions > file_limits::kMaxGgufDimensions) {
    return invalid("tensor {} has {} dimensions, expected 1 to {}", in_quotes(name), num_dimensions,
                   file_limits::kMaxGgufDimensions);
  }
  for (uint32_t i = 0; i < num_dimensions; ++i) info.tensor.shape.push_back(reader.read<uint64_t>());
  std::reverse(info.tensor.shape.begin(), info.tensor.shape.end());
  const auto type = reader.read<uint32_t>();
  info.offset = reader.read<uint64_t>();
  if (!reader.ok()) return invalid("tensor {}'s description is cut off by the end of the file", in_quotes(name));
  if (type >= kGgmlTypes.size() || !kGgmlTypes[type].dtype.has_value()) {
    return invalid("tensor {} has type {}, which is not read yet; read are: {}", in_quotes(name),
                   type < kGgmlTypes.size() ? std::string(kGgmlTypes[type].name) : fmt::format("number {}", type),
                   names_of_read_types());
  }
  info.tensor.dtype = *kGgmlTypes[type].dtype;
  return info;
}

Status place_tensor(TensorInfo& info, std::span<const std::byte> data, uint64_t alignment) {
  const Tensor& tensor = info.tensor;
  auto bytes = tensor_bytes(tensor.dtype, tensor.shape);
  if (!bytes.ok()) return std::move(bytes).error();
  if (*bytes == 0) return invalid("shape {} has a dimension of 0", tensor.shape_text());
  if (info.offset % alignment != 0)
    return invalid("offset {} is no multiple of the alignment {}", info.offset, alignment);
  if (info.offset > data.size() || *bytes > data.size() - info.offset) {
    return invalid("{} bytes at offset {} end beyond the file's {} data bytes; is it cut off?", *bytes, info.offset,
                   data.size());
  }
  info.tensor.bytes = data.subspan(info.offset, *bytes);
  return ok_status();
}

// One file: the model, or a part of it.
struct GgufPart {
  std::shared_ptr<MappedFile> file;
  GgufMetadata metadata;
  std::vector<Tensor> tensors;
};

Result<GgufPart> read_part(const std::shared_ptr<MappedFile>& file) {
  ByteReader reader(file->bytes());
  ASSIGN_OR_RETURN(const Header header, read_header(reader));
  ASSIGN_OR_RETURN(GgufMetadata metadata, read_gguf_metadata(reader, header.num_keys));
  ASSIGN_OR_RETURN(const uint64_t alignment, read_alignment(metadata));
  std::vector<TensorInfo> infos;
  for (uint64_t i = 0; i < header.num_tensors; ++i) {
    ASSIGN_OR_RETURN(TensorInfo info, read_tensor_info(reader, i));
    infos.push_back(std::move(info));
  }
  const uint64_t front = std::min<uint64_t>(round_up(reader.position(), alignment), file->bytes().size());
  const auto data = file->bytes().subspan(front);
  std::vector<Tensor> tensors;
  tensors.reserve(infos.size());
  for (TensorInfo& info : infos) {
    if (Status status = place_tensor(info, data, alignment); !status.ok()) {
      return std::move(status).error().within(fmt::format("tensor {}", in_quotes(info.tensor.name)));
    }
    info.tensor.file = file->base_name();
    tensors.push_back(std::move(info.tensor));
  }
  file->release(file->bytes().first(front), false);
  return GgufPart{file, std::move(metadata), std::move(tensors)};
}

Result<GgufPart> open_part(const std::string& path) {
  ASSIGN_OR_RETURN(const std::shared_ptr<MappedFile> file, MappedFile::open(path));
  auto part = read_part(file);
  if (!part.ok()) return std::move(part).error().within(file->base_name());
  return part;
}

// The parts after the first; their tensors and files join those of `first`.
Status add_parts(const std::string& path, const GgufSplit& split, GgufPart& first,
                 std::vector<std::shared_ptr<MappedFile>>& files) {
  for (uint32_t index = 1; index < split.num_parts; ++index) {
    const auto part_path = gguf_part_path(path, split, index);
    if (!part_path.has_value()) {
      return invalid("is part 1 of {}, but its name does not end in -00001-of-{:05}.gguf, so where the others are is "
                     "not known", split.num_parts, split.num_parts);
    }
    auto part = open_part(*part_path);
    if (!part.ok()) return std::move(part).error().within(fmt::format("is part 1 of {}", split.num_parts));
    if (Status status = check_gguf_part(part->metadata, index, first.metadata, split); !status.ok())
      return std::move(status).error().within("its part " + part->file->base_name());
    std::move(part->tensors.begin(), part->tensors.end(), std::back_inserter(first.tensors));
    files.push_back(part->file);
    if (first.tensors.size() > file_limits::kMaxTensors)
      return invalid("and its parts have more than {} tensors", file_limits::kMaxTensors);
  }
  if (split.num_tensors.value_or(first.tensors.size()) != first.tensors.size()) {
    return invalid("and its parts have {} tensors together, expected {} (split.tensors.count)", first.tensors.size(),
                   *split.num_tensors);
  }
  return ok_status();
}

}  // namespace

Result<GgufFile> open_gguf(const std::string& path) {
  ASSIGN_OR_RETURN(GgufPart first, open_part(path));
  const std::string& name = first.file->base_name();
  auto split = read_gguf_split(first.metadata);
  if (!split.ok()) return std::move(split).error().within(name);
  if (split->part != 0) {
    const std::string first_name = gguf_part_path(name, *split, 0).value_or("its first part");
    return invalid("{}: is part {} of {}; open {} instead, the others are found from there", name, split->part + 1,
                   split->num_parts, first_name);
  }
  std::vector<std::shared_ptr<MappedFile>> files = {first.file};
  if (Status status = add_parts(path, *split, first, files); !status.ok())
    return std::move(status).error().within(name);
  ASSIGN_OR_RETURN(TensorSource source, TensorSource::make(std::move(first.tensors), std::move(files)));
  return GgufFile{std::move(first.metadata), std::move(source)};
}

}  // namespace slipstream
