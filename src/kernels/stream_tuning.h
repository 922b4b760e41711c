// How the products of a few rows walk through weights on their way from memory. What is best differs between kinds of
// processors by up to 40 % (AVX2.md 2) and never changes a bit, so it is measured where it matters (app/tuning.h).
#pragma once

#include <cstdint>

namespace slipstream {

struct StreamTuning {
  uint32_t streams = 1;            // panels that a thread walks side by side: 1, 2 or 4
  uint32_t prefetch_bytes = 8192;  // asked for ahead in each of them; 0: nothing is

  bool operator==(const StreamTuning&) const = default;
};

// Any thread; what the last set_stream_tuning() said. That is called while nothing computes.
const StreamTuning& stream_tuning();
void set_stream_tuning(const StreamTuning& tuning);

}  // namespace slipstream
