// Writes a safetensors file of tensors whose shapes are known before their numbers: the header first, then bytes in any
// order, so that what is larger than memory can be written as it is computed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "files/tensor_source.h"

namespace slipstream {

class SafetensorsWriter {
 public:
  struct Entry {
    std::string name;  // printable, without " and backslash
    DType dtype = DType::kF32;
    std::vector<uint64_t> shape;
  };

  // Replaces what is at `path`. The file has its full size at once; bytes not written are zeros. metadata: JSON for
  // "__metadata__", as {"format":"mlx"}; "" for none.
  static Result<SafetensorsWriter> create(const std::string& path, const std::vector<Entry>& entries,
                                          const std::string& metadata = "");
  ~SafetensorsWriter();
  SafetensorsWriter(SafetensorsWriter&& other) noexcept;
  SafetensorsWriter& operator=(SafetensorsWriter&&) = delete;

  // Any thread; what two threads write at once does not overlap.
  Status write(size_t entry, uint64_t offset, std::span<const std::byte> bytes);
  // The entry is fp32 [rows, cols], values: [cols].
  Status write_row(size_t entry, uint64_t row, std::span<const float> values);
  // The file is complete; says whether the system has taken all of it.
  Status close();

 private:
  struct Place {
    uint64_t offset = 0;  // of its first byte in the file
    uint64_t bytes = 0;
  };
  SafetensorsWriter(int fd, std::string path, std::vector<Place> places);

  int fd_;
  std::string path_;
  std::vector<Place> places_;
};

}  // namespace slipstream
