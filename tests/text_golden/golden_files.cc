#include "text_golden/golden_files.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace slipstream {

std::string read_whole_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> golden_lines(const std::string& name) {
  std::ifstream file(std::string(SLIPSTREAM_TEST_DATA) + "/text/" + name, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::string unescape(std::string_view line) {
  std::string text;
  for (size_t at = 0; at < line.size(); ++at) {
    if (line[at] != '\\' || at + 1 == line.size()) {
      text += line[at];
      continue;
    }
    const char letter = line[++at];
    text += letter == 'n' ? '\n' : letter == 'r' ? '\r' : letter;
  }
  return text;
}

std::string text_hash(std::string_view bytes) {
  uint32_t hash = 0x811C9DC5;
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x01000193;
  return fmt::format("{:08x}", hash);
}

std::string ids_hash(const std::vector<TokenId>& ids) {
  std::string bytes;
  for (const TokenId id : ids) {
    for (uint32_t shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(id >> shift & 0xFF);
  }
  return text_hash(bytes);
}

std::vector<TokenId> random_ids(uint64_t index, uint32_t vocab_size) {
  std::vector<TokenId> ids;
  uint64_t state = index;
  for (uint64_t i = 0; i < 1 + index % 40; ++i) {
    state += 0x9E3779B97F4A7C15;  // splitmix64
    uint64_t bits = (state ^ state >> 30) * 0xBF58476D1CE4E5B9;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB;
    bits ^= bits >> 31;
    ids.push_back(static_cast<TokenId>(bits % (index % 2 == 1 ? std::min(vocab_size, 512u) : vocab_size)));
  }
  return ids;
}

}  // namespace slipstream
