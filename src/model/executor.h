// The one virtual seam: StepInput in, Logits out. CpuExecutor (model/cpu_executor.h) computes; the tests' EchoExecutor
// answers from a hash of the token chain it finds through the block table, so a slip in bookkeeping changes the text.
#pragma once

#include <cstddef>
#include <span>

#include "base/ids.h"
#include "model/step_input.h"

namespace slipstream {

class Executor {
 public:
  virtual ~Executor() = default;

  // Engine thread. Computes every row, writes its K and V into its slot, and gives logits for the slices that want
  // them. Logits of a row depend on its sequence's tokens alone. Allocates nothing after construction.
  virtual Logits run(const StepInput& input) = 0;

  virtual uint32_t vocab_size() const = 0;
  // The largest step run() takes.
  virtual uint32_t max_rows() const = 0;
  virtual uint32_t max_slices() const = 0;
  // The most rows whose logits one run() gives; >= max_slices().
  virtual uint32_t max_logit_rows() const = 0;

  // A block's K and V as bytes, for whoever keeps them elsewhere: what save_block() gave, loaded into any block of an
  // executor of the same model, stands for the same tokens. Engine thread, between two run()s.
  virtual size_t block_bytes() const = 0;
  virtual void save_block(BlockId block, std::span<std::byte> into) const = 0;  // [block_bytes()]
  virtual void load_block(BlockId block, std::span<const std::byte> from) = 0;  // [block_bytes()]
};

}  // namespace slipstream
