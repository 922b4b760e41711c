#include "files/tensor_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/memory.h"
#include "files/made_bytes.h"
#include "files/mapped_file.h"
#include "files/quoted.h"

namespace slipstream {
namespace {

struct DTypeFacts {
  std::string_view name;
  uint32_t block_values;
  uint32_t block_bytes;
};

// In the order of DType. Q8_0: fp16 d, 32 int8. Q4_0: fp16 d, 32 nibbles. Q4_1: fp16 d, fp16 m, 32 nibbles.
constexpr DTypeFacts kDTypes[] = {
    {"F32", 1, 4}, {"F16", 1, 2}, {"BF16", 1, 2}, {"U32", 1, 4},    {"I32", 1, 4},    {"U8", 1, 1},     {"I8", 1, 1},
    {"I64", 1, 8}, {"F64", 1, 8}, {"BOOL", 1, 1}, {"Q8_0", 32, 34}, {"Q4_0", 32, 18}, {"Q4_1", 32, 20},
};
static_assert(std::size(kDTypes) == static_cast<size_t>(DType::kQ4_1) + 1);

const DTypeFacts& facts(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

// Two tensors that share bytes, if there are.
Status check_overlaps(std::span<const Tensor> tensors) {
  std::vector<const Tensor*> by_place;
  by_place.reserve(tensors.size());
  for (const Tensor& tensor : tensors) {
    if (!tensor.bytes.empty()) by_place.push_back(&tensor);
  }
  std::sort(by_place.begin(), by_place.end(),
            [](const Tensor* a, const Tensor* b) { return a->bytes.data() < b->bytes.data(); });
  for (size_t i = 1; i < by_place.size(); ++i) {
    const Tensor& left = *by_place[i - 1];
    const Tensor& right = *by_place[i];
    if (left.bytes.data() + left.bytes.size() > right.bytes.data()) {
      return invalid("{}: tensors {} and {} share bytes; each needs its own", left.file, in_quotes(left.name),
                     in_quotes(right.name));
    }
  }
  return ok_status();
}

}  // namespace

std::string_view dtype_name(DType dtype) { return facts(dtype).name; }
uint32_t dtype_block_values(DType dtype) { return facts(dtype).block_values; }
uint32_t dtype_block_bytes(DType dtype) { return facts(dtype).block_bytes; }

std::string shape_text(std::span<const uint64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Result<uint64_t> tensor_bytes(DType dtype, std::span<const uint64_t> shape) {
  const DTypeFacts& type = facts(dtype);
  const uint64_t row = shape.empty() ? 1 : shape.back();
  if (row % type.block_values != 0) {
    return invalid("shape {} does not fit {}: rows are whole blocks of {} values", shape_text(shape), type.name,
                   type.block_values);
  }
  uint64_t bytes = type.block_bytes;
  const auto times = [&bytes](uint64_t factor) {
    return !__builtin_mul_overflow(bytes, factor, &bytes) &&
           bytes <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  };
  // A dimension of 0 makes the product 0 whatever the others are, but the others must still be sane.
  bool fits = times(row / type.block_values);
  for (size_t i = 0; fits && i + 1 < shape.size(); ++i) fits = times(shape[i]);
  if (!fits) return invalid("shape {} has more than 2^63 bytes", shape_text(shape));
  return bytes;
}

Status TensorSource::sort_and_check(std::vector<Tensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
  for (size_t i = 1; i < tensors.size(); ++i) {
    if (tensors[i - 1].name != tensors[i].name) continue;
    return tensors[i - 1].file == tensors[i].file
               ? invalid("{}: tensor {} is there twice", tensors[i].file, in_quotes(tensors[i].name))
               : invalid("tensor {} is in {} and again in {}", in_quotes(tensors[i].name), tensors[i - 1].file,
                         tensors[i].file);
  }
  return check_overlaps(tensors);
}

Result<TensorSource> TensorSource::make(std::vector<Tensor> tensors, std::vector<std::shared_ptr<MappedFile>> files) {
  RETURN_IF_ERROR(sort_and_check(tensors));
  return TensorSource(std::move(tensors), std::move(files), nullptr);
}

Result<TensorSource> TensorSource::make(std::vector<Tensor> tensors, std::shared_ptr<MadeBytes> made) {
  RETURN_IF_ERROR(sort_and_check(tensors));
  return TensorSource(std::move(tensors), {}, std::move(made));
}

TensorSource::TensorSource(std::vector<Tensor> tensors, std::vector<std::shared_ptr<MappedFile>> files,
                           std::shared_ptr<MadeBytes> made)
    : tensors_(std::move(tensors)), files_(std::move(files)), made_(std::move(made)) {
  for (const Tensor& tensor : tensors_) {
    CHECK(tensor.bytes.size() == tensor_bytes(tensor.dtype, tensor.shape).value(), "tensor {}", tensor.name);
  }
  // The cached file and the packed weights together would be about twice the checkpoint.
  drop_cache_ = total_bytes() > available_memory_bytes() / 4;
}

const Tensor* TensorSource::find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const Tensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

const MappedFile& TensorSource::file_of(std::span<const std::byte> bytes) const {
  const auto found = std::find_if(files_.begin(), files_.end(),
                                  [&bytes](const auto& file) { return file->contains(bytes.data()); });
  CHECK(found != files_.end(), "bytes that belong to no file of this source");
  return **found;
}

void TensorSource::will_need(std::span<const std::byte> bytes) const {
  if (!bytes.empty() && made_ == nullptr) file_of(bytes).will_need(bytes);
}

void TensorSource::need(std::span<const std::byte> bytes) const {
  if (!bytes.empty() && made_ != nullptr) made_->need(bytes);
}

void TensorSource::release(std::span<const std::byte> bytes) const {
  if (bytes.empty()) return;
  if (made_ != nullptr) return made_->release(bytes);
  file_of(bytes).release(bytes, drop_cache_);
}

uint64_t TensorSource::total_bytes() const {
  uint64_t total = 0;
  for (const Tensor& tensor : tensors_) total += tensor.bytes.size();
  return total;
}

}  // namespace slipstream
