// Why the cache had so much of a prompt and no more: for whoever asked, in words (server/cache_report.h).
#pragma once

#include <cstdint>

namespace slipstream {

enum class ReuseEnd : uint8_t {
  kAll,       // it had all that may be reused: every token but the last
  kNew,       // nothing that is remembered begins with its first token
  kEnds,      // what is remembered ends here
  kDiffers,   // ... goes on with another token
  kEvicted,   // what comes next was forgotten for want of room, or of entries
  kCleared,   // ... because somebody said so
  kOtherKey,  // the same is remembered under the wider key
  kScored,    // its logprobs are wanted: nothing was looked for
  kOff,       // nothing is ever remembered
};

struct Reuse {
  ReuseEnd end = ReuseEnd::kAll;
  uint64_t ago_ns = 0;  // kEvicted, kCleared: when that was
};

}  // namespace slipstream
