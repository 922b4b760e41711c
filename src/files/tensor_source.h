// A checkpoint's tensors as named, checked byte ranges of mapped files. Knows nothing about models.
//
// Everything in a file is hostile: when a TensorSource exists, every range lies inside its file, agrees with its
// dtype and shape (no overflow), overlaps no other, and every name is unique.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slipstream {

// As stored. Names as in the files ("BF16", "U32", "Q4_1").
enum class DType : uint8_t { kF32, kF16, kBf16, kU32, kI32, kU8, kI8, kI64, kF64, kBool, kQ8_0, kQ4_0, kQ4_1 };

std::string_view dtype_name(DType dtype);
// Values in one block and bytes of one block: 1 value but for the GGUF block types (32 values).
uint32_t dtype_block_values(DType dtype);
uint32_t dtype_block_bytes(DType dtype);
// Bytes of a tensor of this type and shape. Error: more than 2^63, or the innermost dimension is no multiple of a
// block.
Result<uint64_t> tensor_bytes(DType dtype, std::span<const uint64_t> shape);
std::string shape_text(std::span<const uint64_t> shape);  // "[4096, 2048]"

struct Tensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<uint64_t> shape;        // outermost first, as PyTorch writes it (GGUF's is turned round)
  std::span<const std::byte> bytes;   // in a mapped file; alive while the source is
  std::string file;                   // base name of the file, for messages

  std::string shape_text() const { return slipstream::shape_text(shape); }
};

class MadeBytes;
class MappedFile;

class TensorSource {
 public:
  // Each tensor's bytes lie in one of the files and are tensor_bytes() long (CHECKed). Errors: a name twice, or two
  // tensors that share bytes.
  static Result<TensorSource> make(std::vector<Tensor> tensors, std::vector<std::shared_ptr<MappedFile>> files);
  // The same where the tensors' bytes are made when they are needed, not read (model/dummy_tensors.h).
  static Result<TensorSource> make(std::vector<Tensor> tensors, std::shared_ptr<MadeBytes> made);

  const Tensor* find(std::string_view name) const;  // null when there is none
  std::span<const Tensor> tensors() const { return tensors_; }  // sorted by name
  uint64_t total_bytes() const;                     // of all tensors
  // To be called before bytes are looked at: those that are made are made now, on this thread; those of a file are
  // there. Any thread; two threads' bytes do not overlap.
  void need(std::span<const std::byte> bytes) const;
  // Advice, some time before need(): bytes of a file begin to be read from the disk. Any thread.
  void will_need(std::span<const std::byte> bytes) const;
  // Gives pages of these bytes back to the system: they were packed and will not be read again. Also the system's own
  // copy of the file goes when the checkpoint is so large that memory needs it; a small one stays cached for the next
  // start. Any thread.
  void release(std::span<const std::byte> bytes) const;

 private:
  TensorSource(std::vector<Tensor> tensors, std::vector<std::shared_ptr<MappedFile>> files,
               std::shared_ptr<MadeBytes> made);
  static Status sort_and_check(std::vector<Tensor>& tensors);
  const MappedFile& file_of(std::span<const std::byte> bytes) const;

  std::vector<Tensor> tensors_;  // sorted by name
  std::vector<std::shared_ptr<MappedFile>> files_;
  std::shared_ptr<MadeBytes> made_;  // null where there are files
  bool drop_cache_ = false;
};

// folder/model.safetensors, or the shards that folder/model.safetensors.index.json names where there is an index.
// Errors name file and tensor.
Result<TensorSource> open_safetensors_folder(const std::string& folder);

}  // namespace slipstream
