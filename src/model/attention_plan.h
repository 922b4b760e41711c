// Who computes which part of a pass's attention: items that threads take as they are free, dearest first.
//
// An item is a slice's rows with one KV head. Where such items would leave threads without work (a long context with
// few KV heads, three of them on two threads), single rows are cut between segments of their context (kernels.h); who
// computes the last piece merges them all, in ascending order, so that neither the cut nor the number of threads can
// be seen in the result.
//
//   row of 3 KV heads, 8 segments, 2 threads     head 0   |0 1|2 3|4 5|6 7|
//                                                head 1   |0 1|2 3|4 5|6 7|    12 pieces: 6 for each thread
//                                                head 2   |0 1|2 3|4 5|6 7|
//
// make() once a pass by the engine thread; then, in every layer, each item once by any thread. Allocates nothing after
// construction.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernels.h"

namespace slipstream {

class AttentionPlan {
 public:
  struct Item {
    uint64_t cost = 0;  // positions seen, summed over its rows
    uint32_t slice = 0;
    uint32_t kv_head = 0;
    Range rows;      // of the slice
    Range segments;  // of the one row's context; empty: all of it, and of all rows
    uint32_t cut = 0;
  };
  struct Shape {
    uint32_t num_kv_heads = 0;
    uint32_t group = 0;  // query heads per KV head
    uint32_t head_dim = 0;
  };

  // Room for the segments of one context of `max_context` tokens; a row that finds no room stays whole.
  static size_t parts_floats(const Shape& shape, uint32_t max_context, uint32_t num_threads);

  // parts: of parts_floats() or fewer, 64-byte aligned; outlives it.
  AttentionPlan(const Shape& shape, uint32_t max_rows, uint32_t num_threads, std::span<float> parts);

  // The slices of a pass of `num_rows` rows, in order.
  void begin(uint32_t num_rows);
  void add(uint32_t slice_index, const AttentionSlice& slice);
  void end();

  std::span<const Item> items() const { return items_; }  // dearest first

  // Computes one item. q, out: of the item's slice and KV head (kernels.h).
  void attend(const Kernels& kernels, const KvView& kv, const AttentionSlice& slice, const Item& item,
              Matrix<const float> q, Matrix<float> out, std::byte* scratch);

 private:
  // One row and KV head, computed in pieces.
  struct Cut {
    SegmentParts parts;
    uint32_t num_pieces = 0;
  };

  uint64_t longest_share();
  bool cut(uint32_t index, uint32_t num_pieces);

  // Constant after construction.
  const Shape shape_;
  const uint32_t num_threads_;
  const std::span<float> parts_;

  // Owned by the engine thread; of the pass being computed.
  uint32_t rows_at_once_ = 0;
  std::vector<Item> items_;
  std::vector<Cut> cuts_;
  size_t used_parts_ = 0;
  std::vector<uint64_t> shares_;  // [threads]: longest_share()'s

  // Shared by the threads of a fork-join.
  std::unique_ptr<std::atomic<uint32_t>[]> done_;  // [cuts]: pieces computed in this layer
};

}  // namespace slipstream
