// How the products of few rows, above all of one, walk through weights on their way from memory. What is best differs
// between kinds of processors by up to 40 % (AVX2.md 2) and never changes a bit, so it is measured where it matters
// (app/tuning.h).
#pragma once

#include <cstdint>

namespace slipstream {

struct StreamTuning {
  uint32_t streams = 1;            // panels that a thread walks side by side: 1, 2 or 4
  uint32_t prefetch_bytes = 0;  // asked for ahead in each of them; 0: nothing is, but by the processor itself

  bool operator==(const StreamTuning&) const = default;
};

// Of weights of 4 and of 8 bits: the ones wait for arithmetic sooner than the others.
struct StreamTunings {
  StreamTuning of_4_bits{1, 16384};
  StreamTuning of_8_bits;

  const StreamTuning& of(uint32_t bits) const { return bits == 4 ? of_4_bits : of_8_bits; }
  bool operator==(const StreamTunings&) const = default;
};

// Any thread; what the last set_stream_tunings() said. That is called while nothing computes.
const StreamTunings& stream_tunings();
void set_stream_tunings(const StreamTunings& tunings);

}  // namespace slipstream
