// A file of one block, from its first byte to its last:
//
//   header   what it is, how long, of which model, under which name; a checksum of everything that follows it
//   tokens   [num_tokens] of 4 bytes
//   bytes    K and V, as the executor gave them
//
// It is read as what somebody asks for, or not at all: every field is compared and the checksum comes last. The
// checksum (XXH3, 128 bits) finds what disks and kills do to a file; against people there are the folder's permissions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "disk/chain_key.h"

namespace slipstream {

// Whose K and V: files of another one are never read, only removed when they are old.
struct CacheNamespace {
  std::array<uint64_t, 2> model{};  // digest of everything about the model that its K and V depend on
  uint32_t arithmetic = 0;          // version of the formulas
  uint32_t block_tokens = 0;
  bool operator==(const CacheNamespace&) const = default;
};

// "<model>-a<arithmetic>-b<block_tokens>-<key>.kv"
std::string block_file_name(const CacheNamespace& space, const ChainKey& key);
struct ParsedName {
  CacheNamespace space;
  ChainKey key;
};
std::optional<ParsedName> parse_block_file_name(std::string_view name);

// The longest file of a block of at most max_bytes.
size_t block_file_bytes(const CacheNamespace& space, size_t max_bytes);

// Writes header (but for the checksum) and tokens into the front of `image` and returns where the block's bytes go.
std::span<std::byte> begin_block_file(const CacheNamespace& space, const ChainKey& key, const BlockName& name,
                                      size_t num_bytes, std::span<std::byte> image);
// The bytes are in: puts in the checksum and returns the whole file.
std::span<const std::byte> end_block_file(std::span<std::byte> image);

struct BlockContent {
  std::span<const TokenId> tokens;
  std::span<const std::byte> bytes;
};
// Null when `file` is not exactly the block of this name; of an end, any whose first token is name.tokens'. `file` is
// 8-byte aligned.
std::optional<BlockContent> read_block_file(const CacheNamespace& space, const ChainKey& key, const BlockName& name,
                                            std::span<const std::byte> file);

}  // namespace slipstream
