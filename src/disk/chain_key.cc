#include "disk/chain_key.h"

#include <cstring>

#include "base/check.h"
#include "digest/sha256.h"

namespace slipstream {

ChainKey chain_key(const Secret& secret, const BlockName& name, uint32_t block_tokens) {
  CHECK(!name.tokens.empty() && name.tokens.size() <= block_tokens, "{} tokens in a block of {}", name.tokens.size(),
        block_tokens);
  Sha256 hash;
  hash.add_value(secret).add_value(name.parent.low).add_value(name.parent.high).add_value(name.extra);
  // Every field has one length, so the number of bytes tells a full block from an end (a block of one token has none).
  hash.add(std::as_bytes(name.tokens.size() == block_tokens ? name.tokens : name.tokens.first(1)));
  const auto digest = hash.finish();
  ChainKey key;
  std::memcpy(&key, digest.data(), sizeof key);
  return key;
}

}  // namespace slipstream
