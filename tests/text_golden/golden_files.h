// The files of tests/data/text, as tools/make_text_golden.py writes them: lines, with \\ \n \r for backslash,
// newline, carriage return. And what both sides compute the same way: hashes, and random tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace slipstream {

std::string read_whole_file(const std::string& path);
// The lines of tests/data/text/NAME, as they stand there.
std::vector<std::string> golden_lines(const std::string& name);
std::string unescape(std::string_view line);

// FNV-1a of 32 bits, as 8 hexadecimal digits.
std::string text_hash(std::string_view bytes);
std::string ids_hash(const std::vector<TokenId>& ids);  // of their little-endian bytes

// Sequence `index` of random tokens; every second one only of ids below 512, where the byte tokens are.
std::vector<TokenId> random_ids(uint64_t index, uint32_t vocab_size);

}  // namespace slipstream
