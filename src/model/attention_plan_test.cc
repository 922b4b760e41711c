#include "model/attention_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

#include "base/float_mode.h"
#include "base/memory.h"
#include "kernels/random_matrices.h"

namespace slipstream {
namespace {

constexpr AttentionPlan::Shape kThreeHeads{3, 2, 64};

// A plan of slices {first_position, num_rows}.
class Planned {
 public:
  Planned(const AttentionPlan::Shape& shape, uint32_t num_threads, std::vector<AttentionSlice> slices,
          size_t parts_floats = 1 << 20)
      : slices_(std::move(slices)), parts_(parts_floats) {
    uint32_t num_rows = 0;
    for (const AttentionSlice& slice : slices_) num_rows += slice.num_rows;
    plan_ = std::make_unique<AttentionPlan>(shape, num_rows, num_threads, parts_);
    make();
  }
  void make() {
    uint32_t num_rows = 0;
    for (const AttentionSlice& slice : slices_) num_rows += slice.num_rows;
    plan_->begin(num_rows);
    for (uint32_t i = 0; i < slices_.size(); ++i) plan_->add(i, slices_[i]);
    plan_->end();
  }
  AttentionPlan& plan() { return *plan_; }
  std::span<const AttentionPlan::Item> items() const { return plan_->items(); }
  const AttentionSlice& slice(uint32_t index) const { return slices_[index]; }
  bool any_cut() const {
    return std::ranges::any_of(items(), [](const auto& item) { return !item.segments.empty(); });
  }

 private:
  std::vector<AttentionSlice> slices_;
  std::vector<float> parts_;
  std::unique_ptr<AttentionPlan> plan_;
};

// What the busiest of the threads gets, over an equal share of all.
double imbalance(const Planned& planned, uint32_t num_threads) {
  std::vector<uint64_t> threads(num_threads);
  uint64_t all = 0;
  for (const AttentionPlan::Item& item : planned.items()) {
    *std::ranges::min_element(threads) += item.cost;
    all += item.cost;
  }
  return static_cast<double>(*std::ranges::max_element(threads)) * num_threads / static_cast<double>(all);
}

TEST(AttentionPlan, gives_each_row_head_and_segment_out_exactly_once_dearest_first) {
  Random random(1);
  for (int world = 0; world < 300; ++world) {
    const uint32_t num_kv_heads = 1 + random.below(8), group = 1 + random.below(8);
    const AttentionPlan::Shape shape{num_kv_heads, group, 64};
    const uint32_t num_threads = 1 + random.below(9);
    std::vector<AttentionSlice> slices(1 + random.below(6));
    for (AttentionSlice& slice : slices) {
      slice.first_position = random.below(random.below(2) == 0 ? 300 : 9000);
      slice.num_rows = random.below(3) == 0 ? 1 + random.below(200) : 1;
    }
    const Planned planned(shape, num_threads, slices, random.below(2) == 0 ? 1 << 20 : 1 << 14);
    std::vector<std::vector<uint32_t>> seen(slices.size());  // segments computed of each row and head
    for (size_t i = 0; i < slices.size(); ++i) seen[i].resize(slices[i].num_rows * shape.num_kv_heads);
    uint64_t before = ~uint64_t{0};
    for (const AttentionPlan::Item& item : planned.items()) {
      ASSERT_LE(item.cost, before);
      before = item.cost;
      for (uint32_t row = item.rows.begin; row < item.rows.end; ++row) {
        const uint32_t all = num_attention_segments(slices[item.slice].first_position + row + 1);
        ASSERT_LE(item.segments.end, all);
        seen[item.slice][row * shape.num_kv_heads + item.kv_head] +=
            item.segments.empty() ? all : item.segments.size();
      }
      ASSERT_TRUE(item.segments.empty() || item.rows.size() == 1);
    }
    for (size_t i = 0; i < slices.size(); ++i) {
      for (uint32_t row = 0; row < slices[i].num_rows; ++row) {
        for (uint32_t head = 0; head < shape.num_kv_heads; ++head) {
          ASSERT_EQ(seen[i][row * shape.num_kv_heads + head],
                    num_attention_segments(slices[i].first_position + row + 1))
              << "world " << world;
        }
      }
    }
  }
}

TEST(AttentionPlan, cuts_a_long_context_where_threads_would_wait_and_nowhere_else) {
  EXPECT_GT(imbalance(Planned(kThreeHeads, 2, {{nullptr, 8191, 1}}, 0), 2), 1.3);
  EXPECT_LT(imbalance(Planned(kThreeHeads, 2, {{nullptr, 8191, 1}}), 2), 1.07);
  EXPECT_LT(imbalance(Planned(kThreeHeads, 2, {{nullptr, 2047, 1}}), 2), 1.07);
  EXPECT_LT(imbalance(Planned({2, 4, 64}, 8, {{nullptr, 8191, 1}, {nullptr, 20000, 1}}), 8), 1.07);
  EXPECT_FALSE(Planned(kThreeHeads, 2, {{nullptr, 1000, 1}}).any_cut()) << "too short to be worth it";
  EXPECT_FALSE(Planned({8, 4, 64}, 2, {{nullptr, 8191, 1}}).any_cut()) << "four heads for each thread";
  EXPECT_FALSE(Planned(kThreeHeads, 1, {{nullptr, 8191, 1}}).any_cut());
  EXPECT_FALSE(Planned(kThreeHeads, 2, {{nullptr, 8000, 512}}).any_cut()) << "rows are enough to share out";
}

TEST(AttentionPlan, what_finds_no_room_stays_whole) {
  const size_t room = AttentionPlan::parts_floats(kThreeHeads, 8192, 2);
  EXPECT_EQ(room, size_t{3 * 32 * 2} * segment_floats(64));
  const auto num_whole = [](const Planned& planned) {
    return std::ranges::count_if(planned.items(), [](const auto& item) { return item.segments.empty(); });
  };
  EXPECT_EQ(num_whole(Planned(kThreeHeads, 2, {{nullptr, 8191, 1}}, room)), 0);
  EXPECT_EQ(num_whole(Planned(kThreeHeads, 2, {{nullptr, 8191, 1}}, room - 1)), 1);
}

TEST(AttentionPlan, a_short_prompt_with_few_heads_has_items_for_every_thread) {
  EXPECT_EQ(Planned({2, 2, 64}, 2, {{nullptr, 0, 64}}).items().size(), 8u);
  EXPECT_EQ(Planned({8, 2, 64}, 2, {{nullptr, 0, 64}}).items().size(), 8u);  // 64 rows at once
}

// -- computed ------------------------------------------------------------------------------------
// One sequence's K and V and one row's queries, random.
struct Context {
  AttentionPlan::Shape shape{3, 2, 64};
  uint32_t tokens = 5000;
  std::vector<uint16_t> bytes;
  std::vector<uint32_t> table;
  std::vector<float> q;
  KvView kv;

  Context() {
    Random random(7);
    const uint32_t num_blocks = (tokens + 63) / 64;
    const size_t head_values = size_t{64} * shape.head_dim * 2;
    bytes.resize(num_blocks * head_values * shape.num_kv_heads);
    for (uint16_t& value : bytes) value = narrow_fp16(random.uniform(-2, 2));
    for (uint32_t i = 0; i < num_blocks; ++i) table.push_back(num_blocks - 1 - i);
    q.resize(size_t{shape.num_kv_heads} * shape.group * shape.head_dim);
    for (float& value : q) value = random.uniform(-1, 1);
    kv = {reinterpret_cast<std::byte*>(bytes.data()), head_values * shape.num_kv_heads * 2, head_values * 2, 64,
          shape.head_dim, false};
  }

  // One layer's attention by all threads of the pool.
  std::vector<float> attend(const Kernels& kernels, Planned& planned, ThreadPool& pool) {
    const uint32_t part = shape.group * shape.head_dim, width = part * shape.num_kv_heads;
    const size_t scratch_bytes = round_up(attention_scratch_bytes(shape.group, shape.head_dim, tokens), 64);
    AlignedBytes scratch(pool.num_threads() * scratch_bytes);
    std::vector<float> out(width);
    const std::span<const AttentionPlan::Item> items = planned.items();
    pool.run_tasks(static_cast<uint32_t>(items.size()), [&](uint32_t task, uint32_t thread) {
      const AttentionPlan::Item& item = items[task];
      const size_t column = size_t{item.kv_head} * part;
      planned.plan().attend(kernels, kv, planned.slice(0), item, {q.data() + column, 1, part, width},
                            {out.data() + column, 1, part, width}, scratch.data() + thread * scratch_bytes);
    });
    return out;
  }
};

TEST(AttentionPlan, the_bits_are_the_same_for_every_number_of_threads_and_any_cut) {
  Context context;
  const std::vector<AttentionSlice> slices{{context.table.data(), context.tokens - 1, 1}};
  std::vector<float> expected;
  for (Isa isa : kAllIsas) {
    if (!isa_supported(isa)) continue;
    for (uint32_t num_threads : {1u, 2u, 3u, 5u, 16u}) {  // of the plan: each cuts otherwise
      Planned planned(context.shape, num_threads, slices);
      EXPECT_EQ(planned.any_cut(), num_threads != 1 && num_threads != 3) << num_threads;
      for (uint32_t threads_there_are : {1u, 3u}) {
        ThreadPool pool(threads_there_are);
        for (int layer = 0; layer < 3; ++layer) {
          const std::vector<float> out = context.attend(kernels_for(isa), planned, pool);
          if (expected.empty()) expected = out;
          for (size_t i = 0; i < out.size(); ++i) {
            ASSERT_EQ(std::bit_cast<uint32_t>(out[i]), std::bit_cast<uint32_t>(expected[i]))
                << isa_name(isa) << " planned for " << num_threads << " layer " << layer << " at " << i;
          }
        }
        planned.make();  // the next pass
      }
    }
  }
}

}  // namespace
}  // namespace slipstream
