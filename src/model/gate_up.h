// gate = silu(W_gate x) * (W_up x) in the columns of some panels: the first half of an MLP, one thread's work.
#pragma once

#include <algorithm>

#include "kernels/kernels.h"
#include "model/weights.h"

namespace slipstream {

// work(some of the panels) for all of them: so many at once that the values of gate, and of up, that are made before
// their SiLU are 128 KB, still in L2; and not fewer, since weights come from memory fastest where nobody jumps to
// others.
template <class Work>
void for_gate_panels(Range panels, uint32_t num_rows, const Work& work) {
  constexpr uint32_t kValues = 32 << 10;
  const uint32_t at_once = std::max(kValues / (num_rows * kPanelRows), 1u);
  for (uint32_t first = panels.begin; first < panels.end; first += at_once) {
    work(Range{first, std::min(first + at_once, panels.end)});
  }
}

// gate and up: as many rows as x, their whole width. up is scratch. scratch: of Kernels::matmul.
inline void multiply_gate_up(const Kernels& kernels, const MlpWeights& mlp, const MatmulInput& x, Range panels,
                             Matrix<float> gate, Matrix<float> up, std::byte* scratch) {
  kernels.matmul(mlp.gate, x, panels, gate, scratch);
  kernels.matmul(mlp.up, x, panels, up, scratch);
  const uint32_t begin = panels.begin * kPanelRows;
  const uint32_t end = std::min(panels.end * kPanelRows, mlp.gate.rows);
  for (uint32_t row = 0; row < gate.rows; ++row) {
    kernels.swiglu(gate.row(row) + begin, up.row(row) + begin, end - begin, gate.row(row) + begin);
  }
}

}  // namespace slipstream
