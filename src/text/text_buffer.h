// Between the classes of this room and the Rust crate's C functions: buffers given back, views made, faults told.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/text_abi.h"

namespace slipstream {

// Owns what the crate has written.
class TextBuffer {
 public:
  TextBuffer() = default;
  explicit TextBuffer(slipstream_text_buffer buffer) : buffer_(buffer) {}
  ~TextBuffer() { slipstream_text_free_buffer(buffer_); }
  TextBuffer(const TextBuffer&) = delete;
  TextBuffer& operator=(const TextBuffer&) = delete;

  slipstream_text_buffer* out() { return &buffer_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(buffer_.data), buffer_.size}; }
  std::vector<uint8_t> bytes() const { return {buffer_.data, buffer_.data + buffer_.size}; }
  std::vector<uint32_t> numbers() const {
    std::vector<uint32_t> numbers(buffer_.size / sizeof(uint32_t));
    if (!numbers.empty()) std::memcpy(numbers.data(), buffer_.data, numbers.size() * sizeof(uint32_t));
    return numbers;
  }
  // Strings with their lengths (uint32) in front.
  std::vector<std::string> strings() const {
    std::vector<std::string> strings;
    for (size_t at = 0; at + sizeof(uint32_t) <= buffer_.size;) {
      uint32_t size = 0;
      std::memcpy(&size, buffer_.data + at, sizeof(size));
      at += sizeof(size);
      strings.emplace_back(text().substr(at, size));
      at += size;
    }
    return strings;
  }

 private:
  slipstream_text_buffer buffer_ = {nullptr, 0, 0};
};

// Strings as the crate takes them: all bytes in one piece, with where each begins.
struct FlatStrings {
  explicit FlatStrings(const std::vector<std::string>& strings) {
    begins.reserve(strings.size() + 1);
    begins.push_back(0);
    for (const std::string& text : strings) {
      bytes += text;
      begins.push_back(bytes.size());
    }
  }
  slipstream_text_strings view() const {
    return {reinterpret_cast<const uint8_t*>(bytes.data()), begins.data(), begins.size() - 1};
  }

  std::string bytes;
  std::vector<size_t> begins;
};

inline slipstream_text_view text_view(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

inline Error text_fault(const TextBuffer& fault) {
  return Error{ErrorKind::kInvalid, std::string(fault.text()), {}, {}};
}

}  // namespace slipstream
