// Writes a safetensors file of fp32 matrices whose shapes are known before their numbers: the header first, then rows
// in any order, so that logits larger than memory can be written as they are computed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace slipstream {

class SafetensorsWriter {
 public:
  struct Entry {
    std::string name;  // printable, without " and backslash
    uint64_t rows = 0;
    uint64_t cols = 0;
  };

  // Replaces what is at `path`. The file has its full size at once; rows not written are zeros.
  static Result<SafetensorsWriter> create(const std::string& path, const std::vector<Entry>& entries);
  ~SafetensorsWriter();
  SafetensorsWriter(SafetensorsWriter&& other) noexcept;
  SafetensorsWriter& operator=(SafetensorsWriter&&) = delete;

  // values: [cols] of the entry.
  Status write_row(size_t entry, uint64_t row, std::span<const float> values);
  // The file is complete; says whether the system has taken all of it.
  Status close();

 private:
  struct Place {
    uint64_t offset = 0;  // of row 0 in the file
    uint64_t rows = 0;
    uint64_t cols = 0;
  };
  SafetensorsWriter(int fd, std::string path, std::vector<Place> places);

  int fd_;
  std::string path_;
  std::vector<Place> places_;
};

}  // namespace slipstream
