// The numbers that rooms on different floors call the same thing by.
#pragma once

#include <cstdint>

namespace slipstream {

using TokenId = uint32_t;  // index into the vocabulary
using BlockId = uint32_t;  // index of a KV block: cache/ counts them, model/ holds their bytes

}  // namespace slipstream
