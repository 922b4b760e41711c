// The hash under which a block's content is looked up: of its place (its parent's number, or its parent's hash), its
// extra key and its tokens. Seeded: nobody outside can make two collide.
#pragma once

#include <cstdint>
#include <span>

#include "base/ids.h"
#include "cache/sequence_keys.h"

namespace slipstream {

uint64_t content_hash(uint64_t parent, const ExtraKey& extra, std::span<const TokenId> tokens, uint64_t seed);

}  // namespace slipstream
