// For tests only: files made on the spot.
#pragma once

#include <stdlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/check.h"

namespace slipstream {

// A folder of one test's own, removed at its end.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "slipstream-test-XXXXXX").string();
    CHECK(mkdtemp(name.data()) != nullptr, "{}", name);
    path_ = name;
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string path() const { return path_; }
  std::string path(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  CHECK(file.good(), "{}", path);
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  CHECK(file.good(), "{}", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// AddressSanitizer's, where it is linked; null without.
extern "C" void __asan_init() __attribute__((weak));

// What AddressSanitizer may add to a process's memory where it is linked: up to 256 MB of what was freed, and its own
// tables.
inline uint64_t sanitizer_bytes() { return __asan_init == nullptr ? 0 : uint64_t{512} << 20; }

template <class T>
std::string bytes_of(T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// A safetensors file of this header, whatever it says.
inline std::string safetensors_bytes(std::string_view header, std::string_view data) {
  return bytes_of<uint64_t>(header.size()) + std::string(header) + std::string(data);
}

// Writes a GGUF file piece by piece; `raw` pieces may be wrong on purpose.
class GgufBuilder {
 public:
  static constexpr uint32_t kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ8_0 = 8, kBf16 = 30;

  static std::string text(std::string_view text) { return bytes_of<uint64_t>(text.size()) + std::string(text); }

  void key(std::string_view key, uint32_t type, std::string_view raw) {
    keys_ += text(key) + bytes_of(type) + std::string(raw);
    ++num_keys_;
  }
  void u32(std::string_view name, uint32_t value) { key(name, 4, bytes_of(value)); }
  // Part `part` (from 0) of a split model, as llama.cpp's gguf-split says it.
  void split(uint16_t part, uint16_t num_parts, int32_t num_tensors) {
    key("split.no", 2, bytes_of(part));
    key("split.count", 2, bytes_of(num_parts));
    key("split.tensors.count", 5, bytes_of(num_tensors));
  }
  void f32(std::string_view name, float value) { key(name, 6, bytes_of(value)); }
  void string(std::string_view name, std::string_view value) { key(name, 8, text(value)); }
  void strings(std::string_view name, const std::vector<std::string>& values) {
    std::string raw = bytes_of<uint32_t>(8) + bytes_of<uint64_t>(values.size());
    for (const std::string& value : values) raw += text(value);
    key(name, 9, raw);
  }

  // shape: innermost first, as the file has it.
  void tensor(std::string_view name, uint32_t type, const std::vector<uint64_t>& shape, std::string_view data) {
    tensor_at(name, type, shape, data_.size());
    data_ += data;
    data_.resize((data_.size() + 31) / 32 * 32);
  }
  void tensor_at(std::string_view name, uint32_t type, const std::vector<uint64_t>& shape, uint64_t offset) {
    infos_ += text(name) + bytes_of<uint32_t>(static_cast<uint32_t>(shape.size()));
    for (const uint64_t dimension : shape) infos_ += bytes_of(dimension);
    infos_ += bytes_of(type) + bytes_of(offset);
    ++num_tensors_;
  }

  std::string front() const {
    return "GGUF" + bytes_of<uint32_t>(version) + bytes_of(num_tensors_ + more_tensors) +
           bytes_of(num_keys_ + more_keys) + keys_ + infos_;
  }
  std::string bytes() const {
    std::string file = front();
    file.resize((file.size() + 31) / 32 * 32);
    return file + data_;
  }

  uint32_t version = 3;
  uint64_t more_tensors = 0;  // claimed, not there
  uint64_t more_keys = 0;

 private:
  std::string keys_, infos_, data_;
  uint64_t num_keys_ = 0, num_tensors_ = 0;
};

}  // namespace slipstream
