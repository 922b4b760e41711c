#include "server/cache_key.h"

#include <cstring>
#include <string_view>

#include "digest/sha256.h"

namespace slipstream {
namespace {

// The first byte of what a MAC is made of. No two kinds can be taken for one another, and behind it stands one text, to
// the end: no two texts either.
enum class Kind : uint8_t { kEveryone = 1, kApiKey = 2, kNoSalt = 3, kSalt = 4 };

// HMAC (RFC 2104) of kind and text.
CacheSecret mac(std::span<const std::byte, 32> secret, Kind kind, std::string_view text) {
  constexpr size_t kBlockBytes = 64;
  std::array<std::byte, kBlockBytes> inner{}, outer{};
  std::memcpy(inner.data(), secret.data(), secret.size());
  std::memcpy(outer.data(), secret.data(), secret.size());
  for (std::byte& byte : inner) byte ^= std::byte{0x36};
  for (std::byte& byte : outer) byte ^= std::byte{0x5c};
  const auto digest = Sha256().add(inner).add_value(kind).add(std::as_bytes(std::span(text))).finish();
  return Sha256().add(outer).add(digest).finish();
}

}  // namespace

CacheKeys::CacheKeys(const CacheSecret& secret, const std::vector<std::string>& apart) {
  for (const std::string& key : apart) clients_.push_back(mac(secret, Kind::kApiKey, key));
  if (apart.empty()) clients_.push_back(mac(secret, Kind::kEveryone, ""));
  for (uint32_t client = 0; client < clients_.size(); ++client) unsalted_.push_back(of(client, std::nullopt));
}

ExtraKey CacheKeys::of(uint32_t client, const std::optional<std::string>& salt) const {
  const CacheSecret& secret = clients_.size() == 1 ? clients_.front() : clients_.at(client);
  const CacheSecret digest = mac(secret, salt ? Kind::kSalt : Kind::kNoSalt, salt.value_or(""));
  ExtraKey key;
  static_assert(sizeof(key) <= sizeof(digest));
  std::memcpy(&key, digest.data(), sizeof(key));
  return key;
}

}  // namespace slipstream
