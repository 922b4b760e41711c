// Walks through bytes from a file, never past their end: after a read that did not fit, ok() is false and every read
// gives zeros or nothing.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace slipstream {

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  uint64_t position() const { return position_; }
  uint64_t left() const { return bytes_.size() - position_; }

  // A little-endian number of any width.
  template <class T>
  T read() {
    T value{};
    if (const std::byte* from = take(sizeof(T))) std::memcpy(&value, from, sizeof(T));
    return value;
  }

  std::string_view read_text(uint64_t num_bytes) {
    const std::byte* from = take(num_bytes);
    return from == nullptr ? std::string_view() : std::string_view(reinterpret_cast<const char*>(from), num_bytes);
  }

 private:
  const std::byte* take(uint64_t num_bytes) {
    if (!ok_ || num_bytes > left()) {
      ok_ = false;
      return nullptr;
    }
    const std::byte* from = bytes_.data() + position_;
    position_ += num_bytes;
    return from;
  }

  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
  bool ok_ = true;
};

}  // namespace slipstream
