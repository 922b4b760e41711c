// open_safetensors_folder() of tensor_source.h. The format: https://github.com/huggingface/safetensors
//
//   | 8 bytes N, little-endian | N bytes of JSON | data: tensors at their data_offsets, counted from here |
#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "files/file_limits.h"
#include "files/mapped_file.h"
#include "files/quoted.h"
#include "files/safetensors_header.h"
#include "files/tensor_source.h"
#include "files/text_file.h"

namespace slipstream {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::string_view kSingleName = "model.safetensors";

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBf16, DType::kU32, DType::kI32, DType::kU8, DType::kI8,
                            DType::kI64, DType::kF64, DType::kBool}) {
    if (dtype_name(dtype) == name) return dtype;
  }
  return std::nullopt;
}

Result<Tensor> tensor_of(HeaderEntry&& entry, std::span<const std::byte> data, const std::string& file) {
  const auto dtype = dtype_from_name(entry.dtype);
  if (!dtype.has_value()) return invalid("dtype {} is not read", in_quotes(entry.dtype));
  ASSIGN_OR_RETURN(const uint64_t expected, tensor_bytes(*dtype, entry.shape));
  const uint64_t begin = entry.data_offsets[0];
  const uint64_t end = entry.data_offsets[1];
  if (begin > end) return invalid("data_offsets [{}, {}] end before they begin", begin, end);
  if (end > data.size()) {
    return invalid("data_offsets [{}, {}] end beyond the file's {} data bytes; is it cut off?", begin, end,
                   data.size());
  }
  if (end - begin != expected) {
    return invalid("data_offsets hold {} bytes, expected {} for {} {}", end - begin, expected, entry.dtype,
                   shape_text(entry.shape));
  }
  return Tensor{std::move(entry.name), *dtype, std::move(entry.shape), data.subspan(begin, end - begin), file};
}

Status add_tensors(const MappedFile& file, std::vector<Tensor>& tensors) {
  const std::span<const std::byte> bytes = file.bytes();
  uint64_t header_bytes = 0;
  if (bytes.size() < sizeof header_bytes) return invalid("has {} bytes, expected at least 8", bytes.size());
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  if (header_bytes > file_limits::kMaxHeaderBytes) {
    return invalid("says its header has {} bytes, expected at most {}", header_bytes, file_limits::kMaxHeaderBytes);
  }
  if (header_bytes > bytes.size() - sizeof header_bytes) {
    return invalid("says its header has {} bytes, but only {} follow; is it cut off?", header_bytes,
                   bytes.size() - sizeof header_bytes);
  }
  const auto header = bytes.subspan(sizeof header_bytes, header_bytes);
  auto entries = parse_safetensors_header({reinterpret_cast<const char*>(header.data()), header.size()});
  if (!entries.ok()) return std::move(entries).error().within("header");
  const auto data = bytes.subspan(sizeof header_bytes + header_bytes);
  for (HeaderEntry& entry : *entries) {
    const std::string name = in_quotes(entry.name);
    auto tensor = tensor_of(std::move(entry), data, file.base_name());
    if (!tensor.ok()) return std::move(tensor).error().within("tensor " + name);
    tensors.push_back(std::move(tensor).value());
  }
  file.release(bytes.first(sizeof header_bytes + header_bytes), false);
  return ok_status();
}

using WeightMap = std::vector<std::pair<std::string, std::string>>;

Result<WeightMap> read_index(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::string text,
                   read_text_file(folder + "/" + std::string(kIndexName), file_limits::kMaxIndexBytes));
  auto map = parse_safetensors_index(text);
  if (!map.ok()) return std::move(map).error().within(kIndexName);
  return map;
}

// The files of the folder, each once.
std::vector<std::string> shard_names(const WeightMap& map) {
  std::vector<std::string> names;
  for (const auto& [tensor, file] : map) names.push_back(file);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// Every tensor of the index must be where it says. Tensors that the index leaves out are taken as they are, as
// transformers does.
Status check_index(const WeightMap& map, const TensorSource& source) {
  for (const auto& [name, file] : map) {
    const Tensor* tensor = source.find(name);
    if (tensor == nullptr)
      return invalid("{}: tensor {} is missing, expected by {}", file, in_quotes(name), kIndexName);
    if (tensor->file != file)
      return invalid("{}: tensor {} is here, but {} says {}", tensor->file, in_quotes(name), kIndexName, file);
  }
  return ok_status();
}

}  // namespace

Result<TensorSource> open_safetensors_folder(const std::string& folder) {
  WeightMap map;
  std::vector<std::string> names{std::string(kSingleName)};
  if (file_exists(folder + "/" + std::string(kIndexName))) {
    ASSIGN_OR_RETURN(map, read_index(folder));
    names = shard_names(map);
    if (names.size() > file_limits::kMaxShards)
      return invalid("{}: names {} files, expected at most {}", kIndexName, names.size(), file_limits::kMaxShards);
  }
  std::vector<Tensor> tensors;
  std::vector<std::shared_ptr<MappedFile>> files;
  for (const std::string& name : names) {
    auto file = MappedFile::open(folder + "/" + name);
    if (!file.ok()) {
      return map.empty() ? std::move(file).error()
                         : std::move(file).error().within(fmt::format("a shard that {} names", kIndexName));
    }
    if (Status status = add_tensors(**file, tensors); !status.ok()) return std::move(status).error().within(name);
    if (tensors.size() > file_limits::kMaxTensors)
      return invalid("{}: more than {} tensors", name, file_limits::kMaxTensors);
    files.push_back(std::move(file).value());
  }
  ASSIGN_OR_RETURN(TensorSource source, TensorSource::make(std::move(tensors), std::move(files)));
  RETURN_IF_ERROR(check_index(map, source));
  return source;
}

}  // namespace slipstream
