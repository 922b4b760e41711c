#include <gtest/gtest.h>

#include <algorithm>

#include "base/float_mode.h"
#include "kernels/kv_page.h"
#include "kernels/random_matrices.h"

namespace slipstream {
namespace {

struct Shape {
  uint32_t head_dim;
  uint32_t group;
  uint32_t block_tokens;
  uint32_t context;  // tokens in the cache
  bool fp32 = false;
  uint32_t kv_heads = 2;
};

// One sequence's K and V in blocks of random order; every slot that holds no token is NaN.
class Cache {
 public:
  Cache(const Shape& shape, Isa isa, uint64_t seed)
      : shape_(shape),
        num_blocks_((shape.context + shape.block_tokens - 1) / shape.block_tokens),
        bytes_(static_cast<size_t>(num_blocks_) * block_bytes()) {
    FloatModeScope mode;
    Random random(seed), order(seed + 1);
    view_ = {bytes_.data(),      block_bytes(),  block_bytes() / shape.kv_heads,
             shape.block_tokens, shape.head_dim, shape.fp32};
    for (uint32_t i = 0; i < num_blocks_; ++i) table_.push_back(i);
    for (uint32_t i = num_blocks_; i > 1; --i) std::swap(table_[i - 1], table_[order.below(i)]);
    for (uint32_t t = 0; t < shape.context; ++t) {
      for (uint32_t head = 0; head < shape.kv_heads; ++head) {
        std::vector<float> k(shape.head_dim), v(shape.head_dim);
        for (float& value : k) value = random.normal();
        for (float& value : v) value = random.normal();
        keys_.push_back(k);
        values_.push_back(v);
        EXPECT_EQ(kernels_for(isa).store_kv(view_, slice(0, 1), head, t, k.data(), v.data()), 0u);
      }
    }
  }

  AttentionSlice slice(uint32_t first_position, uint32_t num_rows) const {
    return {table_.data(), first_position, num_rows};
  }
  const KvView& view() const { return view_; }
  std::span<std::byte> bytes() { return {bytes_.data(), static_cast<size_t>(num_blocks_) * block_bytes()}; }
  const std::vector<float>& key(uint32_t position, uint32_t head) const {
    return keys_[position * shape_.kv_heads + head];
  }
  const std::vector<float>& value(uint32_t position, uint32_t head) const {
    return values_[position * shape_.kv_heads + head];
  }

 private:
  size_t block_bytes() const {
    return static_cast<size_t>(shape_.kv_heads) * shape_.block_tokens * shape_.head_dim * 2 * (shape_.fp32 ? 4 : 2);
  }

  Shape shape_;
  uint32_t num_blocks_;
  AlignedBytes bytes_;
  KvView view_;
  std::vector<uint32_t> table_;
  std::vector<std::vector<float>> keys_, values_;
};

// Queries of all positions [context, kv_heads * group * head_dim].
std::vector<float> random_queries(const Shape& shape, uint64_t seed) {
  Random random(seed);
  std::vector<float> q(static_cast<size_t>(shape.context) * shape.kv_heads * shape.group * shape.head_dim);
  for (float& value : q) value = random.normal() * 2.0f;
  return q;
}

// Attention of the last `rows` positions for KV head `head`, in one slice and in calls of `step` rows. out: [rows,
// group * head_dim].
std::vector<float> attend(Isa isa, const Shape& shape, const Cache& cache, const std::vector<float>& q,
                          uint32_t rows, uint32_t step, uint32_t head = 1) {
  FloatModeScope mode;
  const uint32_t width = shape.kv_heads * shape.group * shape.head_dim, part = shape.group * shape.head_dim;
  const uint32_t first = shape.context - rows;
  AlignedBytes scratch(attention_scratch_bytes(shape.group, shape.head_dim, shape.context));
  std::vector<float> out(static_cast<size_t>(rows) * width, 12345.0f);
  const Matrix<const float> queries{q.data() + static_cast<size_t>(first) * width + head * part, rows, part, width};
  const Matrix<float> outs{out.data() + head * part, rows, part, width};
  for (uint32_t r = 0; r < rows; r += step) {
    kernels_for(isa).attention(cache.view(), cache.slice(first, rows), head, shape.group,
                               {r, std::min(r + step, rows)}, queries, outs, scratch.data());
  }
  std::vector<float> result;
  for (uint32_t r = 0; r < rows; ++r) {
    for (uint32_t i = 0; i < width; ++i) {
      const float value = out[static_cast<size_t>(r) * width + i];
      if (i / part == head) {
        result.push_back(value);
      } else {
        EXPECT_EQ(value, 12345.0f) << "written beside its columns";
      }
    }
  }
  return result;
}

int64_t first_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) return static_cast<int64_t>(i);
  }
  return -1;
}

// What a value is after it went through the cache.
double stored(float value, bool fp32) { return fp32 ? value : widen_fp16(narrow_fp16(value)); }

void check_twin(const Shape& shape, uint32_t rows, std::initializer_list<uint32_t> steps) {
  const uint64_t seed = shape.head_dim * 1000 + shape.context + shape.group;
  const Cache cache(shape, Isa::kReference, seed);
  const std::vector<float> q = random_queries(shape, seed + 1);
  const std::vector<float> expected = attend(Isa::kReference, shape, cache, q, rows, rows);
  EXPECT_TRUE(all_finite(expected.data(), expected.size()));
  for (Isa isa : kAllIsas) {
    if (isa == Isa::kReference || !isa_supported(isa)) continue;
    for (uint32_t step : steps) {
      const std::vector<float> out = attend(isa, shape, cache, q, rows, std::min(step, rows));
      const int64_t at = first_difference(out, expected);
      EXPECT_EQ(at, -1) << isa_name(isa) << " head_dim " << shape.head_dim << " group " << shape.group << " block "
                        << shape.block_tokens << " context " << shape.context << " rows " << rows << " step " << step
                        << " row " << at / (shape.group * shape.head_dim);
    }
  }
}

TEST(Attention, every_isa_gives_the_references_bits_for_every_head_size_and_group) {
  for (uint32_t head_dim : {32u, 64u, 96u, 128u}) {
    for (uint32_t group = 1; group <= 8; ++group) check_twin({head_dim, group, 64, 290 + group}, 20, {1, 20, 7});
  }
  check_twin({80, 3, 64, 300}, 20, {1, 20});
  check_twin({64, 16, 64, 270}, 9, {1, 9});
  check_twin({64, 50, 64, 40}, 5, {1, 5});
  check_twin({24, 2, 64, 40}, 5, {1, 5});  // no path of its own
}

TEST(Attention, every_context_and_block_size_gives_the_same_bits) {
  for (uint32_t block : {1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u, 256u}) {
    for (uint32_t context :
         {1u, 2u, 7u, 15u, 16u, 17u, 31u, 32u, 33u, 63u, 65u, 255u, 256u, 257u, 300u, 512u, 513u, 600u}) {
      check_twin({32, 3, block, context}, std::min(context, 5u), {1, 5});
      if (block >= 8) check_twin({64, 3, block, context, true}, std::min(context, 4u), {1, 4});
    }
  }
}

TEST(Attention, a_whole_prompt_equals_its_tokens_one_by_one) {
  check_twin({64, 3, 64, 600}, 600, {1, 600, 64, 33});
  check_twin({32, 1, 16, 300}, 300, {1, 300, 3});
  check_twin({32, 2, 64, 300, true}, 300, {1, 300, 3});
}

// The last position's answer for KV head 1, its context cut before each of `cuts` (in segments) and the pieces computed
// from the last to the first.
std::vector<float> attend_cut(Isa isa, const Shape& shape, const Cache& cache, const std::vector<float>& q,
                              std::vector<uint32_t> cuts, std::vector<float>* all_parts = nullptr) {
  FloatModeScope mode;
  const uint32_t part = shape.group * shape.head_dim, row = 3;
  const size_t floats = segment_floats(shape.head_dim);
  const float* query = q.data() + (static_cast<size_t>(shape.context - 1) * shape.kv_heads + 1) * part;
  AlignedBytes scratch(attention_scratch_bytes(shape.group, shape.head_dim, shape.context));
  const uint32_t num_segments = num_attention_segments(shape.context);
  std::vector<float> data(shape.group * num_segments * floats, 12345.0f);
  const SegmentParts parts{data.data(), num_segments};
  cuts.push_back(num_segments);
  for (size_t i = cuts.size(); i > 0; --i) {
    const Range segments{i == 1 ? 0 : cuts[i - 2], cuts[i - 1]};
    for (uint32_t head = 0; head < shape.group; ++head) {
      const float* begin = data.data() + (size_t{head} * num_segments) * floats;
      EXPECT_TRUE(std::all_of(begin, begin + segments.end * floats, [](float value) { return value == 12345.0f; }))
          << "written beside its segments";
    }
    kernels_for(isa).attend_segments(cache.view(), cache.slice(shape.context - 1 - row, row + 1), 1, shape.group, row,
                                     segments, query, parts, scratch.data());
  }
  std::vector<float> out(part);
  kernels_for(isa).merge_segments(parts, shape.group, shape.head_dim, out.data());
  if (all_parts != nullptr) *all_parts = data;
  return out;
}

TEST(Attention, a_context_cut_anywhere_between_segments_gives_the_same_bits) {
  const Shape shapes[] = {{64, 3, 64, 2000}, {128, 8, 64, 1281}, {64, 1, 16, 1030}, {80, 12, 64, 520}, {96, 2, 8, 513},
                          {64, 2, 64, 700, true}, {24, 2, 64, 600}, {64, 4, 2, 300}, {128, 5, 256, 255}};
  for (const Shape& shape : shapes) {
    const Cache cache(shape, Isa::kReference, 31);
    const std::vector<float> q = random_queries(shape, 32);
    const std::vector<float> expected = attend(Isa::kReference, shape, cache, q, 1, 1);
    std::vector<std::vector<uint32_t>> cuts = {{}};
    std::vector<uint32_t> all;
    for (uint32_t i = 1; i < num_attention_segments(shape.context); ++i) {
      cuts.push_back({i});
      all.push_back(i);
    }
    cuts.push_back(all);
    for (Isa isa : kAllIsas) {
      if (!isa_supported(isa)) continue;
      for (const std::vector<uint32_t>& cut : cuts) {
        EXPECT_EQ(first_difference(attend_cut(isa, shape, cache, q, cut), expected), -1)
            << isa_name(isa) << " head_dim " << shape.head_dim << " context " << shape.context << " cuts "
            << cut.size();
      }
    }
  }
}

TEST(Attention, segments_merged_in_another_order_would_be_noticed) {
  const Shape shape{64, 2, 64, 2000};
  const Cache cache(shape, Isa::kReference, 33);
  const std::vector<float> q = random_queries(shape, 34);
  const size_t floats = segment_floats(shape.head_dim);
  for (Isa isa : kAllIsas) {
    if (!isa_supported(isa)) continue;
    std::vector<float> parts;
    const std::vector<float> right = attend_cut(isa, shape, cache, q, {}, &parts);
    const uint32_t num_segments = num_attention_segments(shape.context);
    for (uint32_t head = 0; head < shape.group; ++head) {  // the last two change places
      float* last = parts.data() + (size_t{head} * num_segments + num_segments - 1) * floats;
      std::swap_ranges(last, last + floats, last - floats);
    }
    FloatModeScope mode;
    std::vector<float> wrong(right.size());
    kernels_for(isa).merge_segments({parts.data(), num_segments}, shape.group, shape.head_dim, wrong.data());
    EXPECT_NE(first_difference(wrong, right), -1) << isa_name(isa);
    for (size_t i = 0; i < right.size(); ++i) EXPECT_NEAR(wrong[i], right[i], 1e-5);
  }
}

TEST(Attention, the_answer_depends_neither_on_the_block_size_nor_on_who_stored_it) {
  std::vector<float> expected;
  for (uint32_t block : {1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u, 256u}) {
    const Shape shape{64, 2, block, 333};
    const std::vector<float> q = random_queries(shape, 6);
    for (Isa isa : kAllIsas) {
      if (!isa_supported(isa)) continue;
      const Cache cache(shape, isa, 5);
      const std::vector<float> out = attend(isa, shape, cache, q, 10, 10);
      if (expected.empty()) expected = out;
      EXPECT_EQ(first_difference(out, expected), -1) << "block " << block << " " << isa_name(isa);
    }
  }
}

TEST(Attention, agrees_with_double) {
  for (bool fp32 : {false, true}) {
    const Shape shape{64, 3, 64, 600, fp32};
    const Cache cache(shape, best_isa(), 8);
    const std::vector<float> q = random_queries(shape, 9);
    const std::vector<float> out = attend(best_isa(), shape, cache, q, 4, 4);
    for (uint32_t r = 0; r < 4; ++r) {
      for (uint32_t h = 0; h < shape.group; ++h) {
        const uint32_t position = shape.context - 4 + r;
        const float* query =
            q.data() + static_cast<size_t>(position * shape.kv_heads + 1) * shape.group * 64 + h * 64;
        std::vector<double> exact(64);
        double sum = 0;
        for (uint32_t t = 0; t <= position; ++t) {
          double score = 0;
          for (uint32_t d = 0; d < 64; ++d) {
            score += static_cast<double>(query[d]) * stored(cache.key(t, 1)[d], fp32);
          }
          const double weight = std::exp(score / 8.0);
          sum += weight;
          for (uint32_t d = 0; d < 64; ++d) exact[d] += weight * stored(cache.value(t, 1)[d], fp32);
        }
        for (uint32_t d = 0; d < 64; ++d) EXPECT_NEAR(out[(r * shape.group + h) * 64 + d], exact[d] / sum, 3e-6);
      }
    }
  }
}

TEST(Attention, a_token_that_is_not_finite_does_not_reach_the_rows_before_it) {
  for (Isa isa : kAllIsas) {
    if (!isa_supported(isa)) continue;
    for (uint32_t bad :
         {19u, 20u, 261u, 299u}) {  // inside a tile of rows, at its border, behind a segment's border, the last
      const Shape shape{64, 3, 64, 300};
      const Cache cache(shape, isa, 12);
      const std::vector<float> q = random_queries(shape, 13);
      const std::vector<float> expected = attend(isa, shape, cache, q, 300, 300);
      const std::vector<float> poison(64, std::bit_cast<float>(0x7fc00000u));
      kernels_for(isa).store_kv(cache.view(), cache.slice(0, 1), 1, bad, poison.data(), poison.data());
      const std::vector<float> out = attend(isa, shape, cache, q, 300, 300);
      const size_t before = static_cast<size_t>(bad) * shape.group * shape.head_dim;
      EXPECT_EQ(
          first_difference({out.begin(), out.begin() + before}, {expected.begin(), expected.begin() + before}), -1)
          << isa_name(isa) << " token " << bad;
      EXPECT_FALSE(all_finite(out.data() + before, out.size() - before));
    }
  }
}

TEST(Attention, has_the_committed_hashes) {
  struct Case {
    Shape shape;
    uint64_t hash;
  };
  const Case cases[] = {{{64, 3, 64, 600}, 0x5d2476a6e4cce282},
                        {{128, 8, 16, 300}, 0x528a9147baab309b},
                        {{64, 1, 64, 300, true}, 0x2b51b933c17c0bfb}};
  for (const Case& c : cases) {
    for (Isa isa : kAllIsas) {
      if (!isa_supported(isa)) continue;
      const Cache cache(c.shape, isa, 21);
      const std::vector<float> out = attend(isa, c.shape, cache, random_queries(c.shape, 22), 30, 30);
      EXPECT_EQ(hash_floats(out), c.hash) << isa_name(isa) << " head_dim " << c.shape.head_dim;
    }
  }
}

TEST(StoreKv, clamps_counts_and_keeps_denormals) {
  for (Isa isa : kAllIsas) {
    if (!isa_supported(isa)) continue;
    const Shape shape{32, 1, 16, 20};
    Cache cache(shape, isa, 14);
    std::vector<float> k(32, 1.0f), v(32, -2.0f);
    k[0] = 65504.0f;
    k[1] = 65519.0f;  // would round to 65504, but is beyond it
    k[2] = -1e30f;
    k[3] = 0x1p-24f;    // the smallest denormal
    k[4] = 0x1.8p-24f;  // a tie: to even
    k[5] = 0x1p-25f;    // a tie with zero
    v[31] = 70000.0f;
    FloatModeScope mode;
    EXPECT_EQ(kernels_for(isa).store_kv(cache.view(), cache.slice(0, 1), 1, 17, k.data(), v.data()), 3u)
        << isa_name(isa);
    const auto* page = reinterpret_cast<const uint16_t*>(kv_pages(cache.view(), cache.slice(0, 1), 1).page(17));
    const uint16_t expected[6] = {0x7bff, 0x7bff, 0xfbff, 1, 2, 0};
    for (uint32_t d = 0; d < 6; ++d) EXPECT_EQ(page[d * 16 + 1], expected[d]) << isa_name(isa) << " dim " << d;
    EXPECT_EQ(page[32 * 16 + 1 * 32 + 30], narrow_fp16(-2.0f));
    EXPECT_EQ(page[32 * 16 + 1 * 32 + 31], 0x7bff);
  }
}

TEST(StoreKv, every_isa_stores_the_same_bytes) {
  for (uint32_t block : {1u, 16u, 64u}) {
    for (bool fp32 : {false, true}) {
      const Shape shape{96, 1, block, 100, fp32};
      Cache expected(shape, Isa::kReference, 15);
      for (Isa isa : kAllIsas) {
        if (!isa_supported(isa)) continue;
        Cache cache(shape, isa, 15);
        EXPECT_TRUE(std::ranges::equal(cache.bytes(), expected.bytes())) << isa_name(isa);
      }
    }
  }
}

}  // namespace
}  // namespace slipstream
