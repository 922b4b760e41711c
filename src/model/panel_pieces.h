// How the panels of a product are cut for threads that share them (SharedRanges).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/packed_matrix.h"

namespace slipstream {

// Fewer panels like these are not worth a call of their own: 64 KB, 2 us of reading.
inline uint32_t least_panels(const PackedMatrix& alike) {
  constexpr size_t kPieceBytes = 64 << 10;
  return static_cast<uint32_t>(kPieceBytes / packed_panel_bytes(alike.format, alike.cols));
}

}  // namespace slipstream
