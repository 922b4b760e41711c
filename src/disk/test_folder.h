// For tests only: a folder of one test's own and files in it, and blocks with bytes of their own.
#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "disk/block_file.h"
#include "disk/disk_cache.h"
#include "disk/scratch_folder.h"

namespace slipstream {

class TestFolder : public ScratchFolder {
 public:
  // Names of block files, sorted.
  std::vector<std::string> blocks() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path())) {
      if (entry.path().extension() == ".kv") names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
  }
};

inline std::string file_content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void put_file_content(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  CHECK(file.good(), "{}", path);
}

inline CacheNamespace test_space(uint32_t block_tokens = 8) {
  return {.model = {11, 12}, .arithmetic = 3, .block_tokens = block_tokens};
}

inline Secret test_secret(uint64_t number = 1) {
  Secret secret;
  for (uint64_t i = 0; i < 4; ++i) {
    const uint64_t word = splitmix64(number, i);
    std::memcpy(secret.data() + 8 * i, &word, 8);
  }
  return secret;
}

// Errors end the test.
inline std::unique_ptr<DiskCache> open_disk_cache(const std::string& path, const DiskCacheOptions& options) {
  auto folder = CacheFolder::open(path);
  CHECK(folder.ok(), "{}", folder.error().message);
  auto cache = DiskCache::open(std::move(folder.value()), options);
  CHECK(cache.ok(), "{}", cache.error().message);
  return std::move(cache.value());
}

// A made-up block: its tokens and bytes are functions of its number.
struct TestBlock {
  std::vector<TokenId> tokens;
  std::vector<std::byte> bytes;
  ChainKey parent;
  std::array<uint64_t, 2> extra{};

  explicit TestBlock(uint64_t number, uint32_t num_tokens = 8, size_t num_bytes = 1000) : bytes(num_bytes) {
    for (uint32_t i = 0; i < num_tokens; ++i) tokens.push_back(static_cast<TokenId>(splitmix64(number, i) >> 40));
    for (size_t i = 0; i < num_bytes; ++i) bytes[i] = static_cast<std::byte>(splitmix64(number + 1'000'000, i));
  }
  BlockName name() const { return {parent, extra, tokens}; }
};

}  // namespace slipstream
