// Who may ask, and whose requests are whose. Keys are compared in a time that depends neither on how much of a guess is
// right nor on how long the right key is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slipstream {

inline constexpr size_t kMostKeyBytes = 256;

// A key is 1 to kMostKeyBytes printable ASCII characters, none of them a space: what a header can carry. The error
// does not show it.
Status check_api_key(std::string_view key);

class ApiKeys {
 public:
  // Each passes check_api_key().
  explicit ApiKeys(const std::vector<std::string>& keys);

  // authorization: the header's value, "Bearer KEY". The key's number, which is its client's; null: refused. Without
  // keys everyone is client 0.
  std::optional<uint32_t> find(std::string_view authorization) const;

  static uint32_t num_clients(const std::vector<std::string>& keys) {
    return keys.empty() ? 1 : static_cast<uint32_t>(keys.size());
  }

 private:
  struct PaddedKey {
    std::array<char, kMostKeyBytes> bytes{};  // zeros behind the key, which has none
  };
  static PaddedKey padded(std::string_view key);

  std::vector<PaddedKey> keys_;
};

}  // namespace slipstream
