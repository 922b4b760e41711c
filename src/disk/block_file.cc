#include "disk/block_file.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/check.h"

namespace slipstream {
namespace {

struct Header {
  std::array<char, 8> magic;
  std::array<uint64_t, 2> checksum;  // of everything after it
  uint32_t version;                  // of this layout
  uint32_t arithmetic;
  uint32_t block_tokens;
  uint32_t num_tokens;
  uint64_t num_bytes;
  std::array<uint64_t, 2> model;
  ChainKey key;
  ChainKey parent;
  std::array<uint64_t, 2> extra;
};
static_assert(sizeof(Header) == 112, "no padding: all of it is written");
constexpr std::array<char, 8> kMagic = {'S', 'L', 'I', 'P', 'K', 'V', '0', '1'};
constexpr uint32_t kVersion = 1;
constexpr size_t kChecksumEnd = offsetof(Header, checksum) + sizeof(Header::checksum);

Header make_header(const CacheNamespace& space, const ChainKey& key, const BlockName& name, size_t num_bytes) {
  return {.magic = kMagic,
          .checksum = {},
          .version = kVersion,
          .arithmetic = space.arithmetic,
          .block_tokens = space.block_tokens,
          .num_tokens = static_cast<uint32_t>(name.tokens.size()),
          .num_bytes = num_bytes,
          .model = space.model,
          .key = key,
          .parent = name.parent,
          .extra = name.extra};
}

std::array<uint64_t, 2> checksum(std::span<const std::byte> file) {
  const XXH128_hash_t hash = XXH3_128bits(file.data() + kChecksumEnd, file.size() - kChecksumEnd);
  return {hash.low64, hash.high64};
}

size_t file_bytes(uint64_t num_tokens, uint64_t num_bytes) {
  return sizeof(Header) + num_tokens * sizeof(TokenId) + num_bytes;
}

// Takes a number in base `base` off the front of the text; null: there is none.
template <class Number>
bool take(std::string_view& text, Number& number, int base) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (fault != std::errc() || end == text.data()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take(std::string_view& text, uint64_t& high, uint64_t& low) {
  std::string_view first = text.substr(0, 16);
  std::string_view second = text.substr(std::min<size_t>(16, text.size()), 16);
  if (second.size() < 16 || !take(first, high, 16) || !take(second, low, 16)) return false;
  text.remove_prefix(32);
  return true;
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

}  // namespace

std::string block_file_name(const CacheNamespace& space, const ChainKey& key) {
  return fmt::format("{:016x}{:016x}-a{}-b{}-{:016x}{:016x}.kv", space.model[1], space.model[0], space.arithmetic,
                     space.block_tokens, key.high, key.low);
}

std::optional<ParsedName> parse_block_file_name(std::string_view name) {
  ParsedName parsed;
  std::string_view rest = name;
  const bool is_name = take(rest, parsed.space.model[1], parsed.space.model[0]) && take(rest, "-a") &&
                       take(rest, parsed.space.arithmetic, 10) && take(rest, "-b") &&
                       take(rest, parsed.space.block_tokens, 10) && take(rest, "-") &&
                       take(rest, parsed.key.high, parsed.key.low) && rest == ".kv";
  if (!is_name || block_file_name(parsed.space, parsed.key) != name) return std::nullopt;
  return parsed;
}

size_t block_file_bytes(const CacheNamespace& space, size_t max_bytes) {
  return file_bytes(space.block_tokens, max_bytes);
}

std::span<std::byte> begin_block_file(const CacheNamespace& space, const ChainKey& key, const BlockName& name,
                                      size_t num_bytes, std::span<std::byte> image) {
  CHECK(file_bytes(name.tokens.size(), num_bytes) <= image.size(), "{} tokens and {} bytes in a file of {}",
        name.tokens.size(), num_bytes, image.size());
  const Header header = make_header(space, key, name, num_bytes);
  std::memcpy(image.data(), &header, sizeof header);
  std::memcpy(image.data() + sizeof header, name.tokens.data(), name.tokens.size_bytes());
  return image.subspan(sizeof header + name.tokens.size_bytes(), num_bytes);
}

std::span<const std::byte> end_block_file(std::span<std::byte> image) {
  Header header;
  std::memcpy(&header, image.data(), sizeof header);
  const auto file = image.first(file_bytes(header.num_tokens, header.num_bytes));
  header.checksum = checksum(file);
  std::memcpy(image.data(), &header, sizeof header);
  return file;
}

std::optional<BlockContent> read_block_file(const CacheNamespace& space, const ChainKey& key, const BlockName& name,
                                            std::span<const std::byte> file) {
  Header header;
  if (file.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, file.data(), sizeof header);
  Header expected = make_header(space, key, name, header.num_bytes);
  expected.checksum = header.checksum;
  const bool is_end = name.tokens.size() < space.block_tokens;
  if (is_end) expected.num_tokens = header.num_tokens;
  if (std::memcmp(&header, &expected, sizeof header) != 0) return std::nullopt;
  if (header.num_tokens == 0 || header.num_tokens > space.block_tokens - (is_end ? 1 : 0)) return std::nullopt;
  if (header.num_bytes > file.size() || file_bytes(header.num_tokens, header.num_bytes) != file.size()) {
    return std::nullopt;
  }
  if (checksum(file) != header.checksum) return std::nullopt;
  const auto tokens = file.subspan(sizeof header, header.num_tokens * sizeof(TokenId));
  const auto known = std::as_bytes(is_end ? name.tokens.first(1) : name.tokens);
  if (!std::ranges::equal(tokens.first(known.size()), known)) return std::nullopt;
  return BlockContent{{reinterpret_cast<const TokenId*>(tokens.data()), header.num_tokens},
                      file.subspan(sizeof header + tokens.size())};
}

}  // namespace slipstream
