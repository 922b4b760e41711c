#include "model/attention_plan.h"

#include <algorithm>

#include "kernels/fixed_arithmetic.h"

namespace slipstream {
namespace {

// Rows of one item: enough that the tiles of a kernel are full, few enough that a short prompt with few heads gives
// every thread some items.
constexpr uint32_t kMostRows = 64;
constexpr uint32_t kFewestRows = 16;
constexpr uint32_t kItemsPerThread = 4;

// Cut where the last thread would end more than a twentieth later than all together could; into pieces of about an
// eighth of a thread's share, but of two segments or more: a piece begins with K that nobody has asked for.
constexpr uint32_t kTolerance = 20;
constexpr uint32_t kPiecesPerThread = 8;
constexpr uint32_t kFewestTokens = 2 * kSegmentTokens;

bool dearer(const AttentionPlan::Item& a, const AttentionPlan::Item& b) { return a.cost > b.cost; }

}  // namespace

size_t AttentionPlan::parts_floats(const Shape& shape, uint32_t max_context, uint32_t num_threads) {
  if (num_threads == 1) return 0;
  return size_t{num_attention_segments(max_context)} * shape.num_kv_heads * shape.group *
         segment_floats(shape.head_dim);
}

AttentionPlan::AttentionPlan(const Shape& shape, uint32_t max_rows, uint32_t num_threads, std::span<float> parts)
    : shape_(shape), num_threads_(num_threads), parts_(parts) {
  // What is cut is dearer than a piece, so there are fewer of them than pieces for all threads; and each gives at most
  // one piece more than its share of these.
  const size_t most_cuts = size_t{kPiecesPerThread} * num_threads;
  const size_t most_items = size_t{max_rows} * shape.num_kv_heads;  // a slice has a row or more
  items_.reserve(most_items + 2 * most_cuts);
  cuts_.reserve(most_cuts);
  shares_.resize(num_threads);
  done_ = std::make_unique<std::atomic<uint32_t>[]>(most_cuts);
}

void AttentionPlan::begin(uint32_t num_rows) {
  items_.clear();
  cuts_.clear();
  used_parts_ = 0;
  const uint64_t rows = uint64_t{num_rows} * shape_.num_kv_heads / (uint64_t{kItemsPerThread} * num_threads_);
  rows_at_once_ = static_cast<uint32_t>(std::clamp<uint64_t>(rows, kFewestRows, kMostRows));
}

void AttentionPlan::add(uint32_t slice_index, const AttentionSlice& slice) {
  for (uint32_t begin = 0; begin < slice.num_rows; begin += rows_at_once_) {
    const uint32_t end = std::min(begin + rows_at_once_, slice.num_rows);
    const uint64_t cost = uint64_t{end - begin} * (slice.first_position + (begin + end) / 2 + 1);
    for (uint32_t head = 0; head < shape_.num_kv_heads; ++head) {
      items_.push_back({cost, slice_index, head, {begin, end}, {}, 0});
    }
  }
}

void AttentionPlan::end() {
  // Dearest first: then threads that take the next item when they are done end at about the same time.
  std::sort(items_.begin(), items_.end(), dearer);
  if (num_threads_ == 1 || items_.empty() || items_.front().cost < 2 * kFewestTokens) return;
  uint64_t all = 0;
  for (const Item& item : items_) all += item.cost;
  const uint64_t fair = all / num_threads_ + 1;
  // No thread ends later than the fair share and the dearest item.
  if (items_.front().cost < fair / kTolerance || longest_share() <= fair + fair / kTolerance) return;

  const uint64_t piece = std::max<uint64_t>(fair / kPiecesPerThread, kFewestTokens);
  const auto num_items = static_cast<uint32_t>(items_.size());
  for (uint32_t index = 0; index < num_items; ++index) {
    const Item& item = items_[index];
    if (item.cost < 2 * piece) break;  // and so are all after it
    if (item.rows.size() == 1) cut(index, static_cast<uint32_t>(item.cost / piece));
  }
  std::sort(items_.begin(), items_.end(), dearer);
}

// What the busiest thread gets when threads take the items as they are free.
uint64_t AttentionPlan::longest_share() {
  std::fill(shares_.begin(), shares_.end(), 0);
  for (const Item& item : items_) *std::min_element(shares_.begin(), shares_.end()) += item.cost;
  return *std::max_element(shares_.begin(), shares_.end());
}

// Puts pieces in the place of an item of one row. False, and nothing has changed: there is no room.
bool AttentionPlan::cut(uint32_t index, uint32_t num_pieces) {
  const Item whole = items_[index];
  const auto context = static_cast<uint32_t>(whole.cost);
  const uint32_t num_segments = num_attention_segments(context);
  const size_t floats = size_t{num_segments} * shape_.group * segment_floats(shape_.head_dim);
  if (used_parts_ + floats > parts_.size()) return false;
  const auto number = static_cast<uint32_t>(cuts_.size());
  cuts_.push_back({{parts_.data() + used_parts_, num_segments}, num_pieces});
  done_[number].store(0, std::memory_order_relaxed);
  used_parts_ += floats;
  for (uint32_t i = 0; i < num_pieces; ++i) {
    Item piece = whole;
    piece.segments = split(num_segments, i, num_pieces);
    piece.cost = std::min(piece.segments.end * kSegmentTokens, context) - piece.segments.begin * kSegmentTokens;
    piece.cut = number;
    if (i == 0) {
      items_[index] = piece;
    } else {
      items_.push_back(piece);
    }
  }
  return true;
}

void AttentionPlan::attend(const Kernels& kernels, const KvView& kv, const AttentionSlice& slice, const Item& item,
                           Matrix<const float> q, Matrix<float> out, std::byte* scratch) {
  if (item.segments.empty()) {
    return kernels.attention(kv, slice, item.kv_head, shape_.group, item.rows, q, out, scratch);
  }
  const uint32_t row = item.rows.begin;
  const Cut& cut = cuts_[item.cut];
  kernels.attend_segments(kv, slice, item.kv_head, shape_.group, row, item.segments, q.row(row), cut.parts, scratch);
  // acq_rel: who counts the last piece sees what the others wrote.
  if (done_[item.cut].fetch_add(1, std::memory_order_acq_rel) + 1 < cut.num_pieces) return;
  done_[item.cut].store(0, std::memory_order_relaxed);  // for the next layer
  kernels.merge_segments(cut.parts, shape_.group, shape_.head_dim, out.row(row));
}

}  // namespace slipstream
