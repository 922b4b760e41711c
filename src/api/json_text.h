// Writing JSON: strings, escaped. What is written by hand here is small and flat; nothing is built to be printed.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace slipstream {

// Appends text with its quotes. What is not UTF-8 in it becomes U+FFFD, byte by byte.
void append_json_string(std::string& out, std::string_view text);
std::string json_string(std::string_view text);

// Whole characters, by RFC 3629.
bool is_utf8(std::string_view text);

// A client's words inside a sentence of ours: at most 60 bytes of them, cut between characters, on one line: a
// control character becomes '?'.
std::string shortened(std::string_view text);

}  // namespace slipstream
