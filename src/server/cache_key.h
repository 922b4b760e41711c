// What keeps one client's cached prompts from another's: the ExtraKey of a request, which is part of the key of each of
// its blocks (cache/sequence_keys.h). Requests of different keys share nothing, wait for nothing of one another's, and
// miss alike: nobody learns from an answer, or from the time it takes, what another has asked.
//
// It is a MAC (HMAC-SHA-256, its first 128 bits) under a secret: whoever knows our code, his own API key and all salts
// cannot make the key of another. It depends on an API key's text, not on its number, so that with the same secret it
// is the same after a restart with other keys beside it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cache/sequence_keys.h"

namespace slipstream {

using CacheSecret = std::array<std::byte, 32>;  // random

// Any thread once it is made.
class CacheKeys {
 public:
  // Client c is the one of apart[c]; none: all clients are as one.
  CacheKeys(const CacheSecret& secret, const std::vector<std::string>& apart);

  // client: as ApiKeys::find() gives it. salt: the request's cache_salt, which narrows further.
  ExtraKey of(uint32_t client, const std::optional<std::string>& salt) const;
  // Those of requests without a salt: one for each client, or one for all.
  std::span<const ExtraKey> unsalted() const { return unsalted_; }

 private:
  std::vector<CacheSecret> clients_;  // of each its own, or one for all
  std::vector<ExtraKey> unsalted_;
};

}  // namespace slipstream
