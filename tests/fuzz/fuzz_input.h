// What the fuzz targets share: inputs of several parts, files of them, and what a refusal must look like.
//
// A finding is a crash, a report of a sanitizer, an input that takes seconds or a gigabyte, or a CHECK that fails.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/result.h"
#include "files/test_files.h"

namespace slipstream {

// The parts of `text` between marks, at most N; the last one takes what is left. Those that are not there are empty.
template <size_t N>
std::array<std::string_view, N> parts_between(std::string_view text, std::string_view mark) {
  std::array<std::string_view, N> parts;
  for (size_t i = 0; i < N; ++i) {
    const size_t end = i + 1 < N ? text.find(mark) : std::string_view::npos;
    parts[i] = text.substr(0, end);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + mark.size());
  }
  return parts;
}

// A folder for the whole run; where temporary files are in memory (TMPDIR=/dev/shm) this is fast.
inline const TempFolder& fuzz_folder() {
  static const TempFolder folder;
  return folder;
}

// One line of words, whatever the input was.
inline void check_refusal(const Error& error) {
  CHECK(!error.message.empty(), "a refusal without words");
  CHECK(error.message.size() < 4000, "a refusal of {} bytes: {}", error.message.size(), error.message);
  CHECK(error.message.find('\n') == std::string::npos, "a refusal of several lines: {}", error.message);
}

}  // namespace slipstream
