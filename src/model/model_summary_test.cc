#include "model/model_summary.h"

#include <gtest/gtest.h>

#include <deque>

#include "model/checkpoint.h"

namespace slipstream {
namespace {

const std::string kData = SLIPSTREAM_TEST_DATA;

TEST(ModelSummary, a_real_checkpoint_is_counted_whole) {
  const auto checkpoint = open_checkpoint(kData + "/oracle/qwen3-mlx-4bit-g64");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  Weights weights;
  const auto plan = plan_weights(checkpoint->config, checkpoint->tensors, checkpoint->names, weights);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  const ModelSummary summary = summarise(checkpoint->config, *plan);
  // embedding + 2 layers of (q, k, v, o + gate, up, down + norms) + final norm
  const uint64_t layer = 2 * 256 * 128 + 2 * 64 * 128 + 3 * 256 * 128 + 2 * 128 + 2 * 32;
  EXPECT_EQ(summary.num_parameters, 320 * 128 + 2 * layer + 128);
  EXPECT_EQ(summary.num_active_parameters, summary.num_parameters);
  EXPECT_EQ(summary.file_bytes, checkpoint->tensors.total_bytes());
  EXPECT_EQ(summary.packed_bytes, plan->packed_bytes);
  ASSERT_EQ(summary.groups.size(), 4u);
  const WeightGroup& attention = summary.groups[1];
  EXPECT_EQ(weight_kind_name(attention.kind), "attention");
  EXPECT_EQ(attention.stored, "U32");
  EXPECT_EQ(attention.stored_bits, 4u);
  EXPECT_EQ(attention.group, 64u);
  EXPECT_EQ(attention.scales, "BF16");
  EXPECT_EQ(attention.packed_bits, 4u);
  EXPECT_EQ(attention.num_tensors, 8u);
  EXPECT_EQ(attention.num_parameters, 2u * (2 * 256 * 128 + 2 * 64 * 128));
  EXPECT_EQ(attention.file_bytes, attention.num_parameters / 64 * (32 + 4));  // and a scale and a bias of each group
}

// Plans without files behind them.
class PlannedByHand : public testing::Test {
 protected:
  void add(const char* name, uint32_t rows, uint32_t cols, uint32_t stored_bits, uint32_t slice = 0,
           uint32_t slices = 1) {
    if (slice == 0) {
      const std::span<const std::byte> bytes(bytes_, size_t{rows} * cols * slices * stored_bits / 8);
      tensors_.push_back({name, DType::kU32, {}, bytes, "model.safetensors"});
      tensors_.push_back({"scales", DType::kBf16, {}, std::span(bytes_, rows * cols * slices / 64 * 2), ""});
    }
    PackedMatrix& matrix = matrices_.emplace_back();
    matrix.format = {WeightType::kUnsigned, static_cast<uint8_t>(stored_bits > 4 ? 8 : 4), 64, ScaleType::kBf16};
    matrix.rows = rows;
    matrix.cols = cols;
    MatrixPlan plan;
    plan.matrix = &matrix;
    plan.values = &tensors_[tensors_.size() - 2];
    plan.scales = plan.biases = &tensors_.back();
    plan.stored_bits = stored_bits;
    plan.slice = slice;
    plan.num_slices = slices;
    plan_.matrices.push_back(plan);
  }

  std::byte bytes_[1 << 20];
  std::deque<Tensor> tensors_;
  std::deque<PackedMatrix> matrices_;
  WeightsPlan plan_;
};

TEST_F(PlannedByHand, experts_in_one_tensor_are_counted_one_by_one_and_only_some_are_active) {
  ModelConfig config;
  config.num_experts = 4;
  config.experts_per_token = 2;
  add("model.layers.0.mlp.gate.weight", 4, 128, 8);
  for (uint32_t expert = 0; expert < 4; ++expert)
    add("model.layers.0.mlp.switch_mlp.up_proj.weight", 64, 128, 3, expert, 4);
  const ModelSummary summary = summarise(config, plan_);
  ASSERT_EQ(summary.groups.size(), 2u);
  EXPECT_EQ(weight_kind_name(summary.groups[0].kind), "router");
  EXPECT_EQ(summary.groups[0].stored_bits, 8u);
  const WeightGroup& experts = summary.groups[1];
  EXPECT_EQ(weight_kind_name(experts.kind), "experts");
  EXPECT_EQ(experts.num_tensors, 4u);
  EXPECT_EQ(experts.stored_bits, 3u);
  EXPECT_EQ(experts.packed_bits, 4u);
  EXPECT_EQ(experts.num_parameters, 4u * 64 * 128);
  EXPECT_EQ(experts.file_bytes, 4u * 64 * 128 * 3 / 8 + 2 * (4u * 64 * 128 / 64 * 2));
  EXPECT_EQ(summary.num_parameters, 4u * 128 + 4 * 64 * 128);
  EXPECT_EQ(summary.num_active_parameters, 4u * 128 + 2 * 64 * 128);
}

TEST_F(PlannedByHand, kinds_by_the_names_of_both_kinds_of_files) {
  const std::pair<const char*, std::string_view> names[] = {
      {"model.embed_tokens.weight", "embedding"},
      {"token_embd.weight", "embedding"},
      {"lm_head.weight", "lm_head"},
      {"output.weight", "lm_head"},
      {"blk.0.attn_output.weight", "attention"},
      {"model.layers.0.self_attn.q_proj.weight", "attention"},
      {"model.layers.0.mlp.gate_proj.weight", "mlp"},
      {"blk.0.ffn_gate.weight", "mlp"},
      {"model.layers.0.mlp.gate.weight", "router"},
      {"blk.0.ffn_gate_inp.weight", "router"},
      {"model.layers.0.mlp.experts.3.gate_proj.weight", "experts"},
      {"blk.0.ffn_gate_exps.weight", "experts"},
  };
  for (const auto& [name, kind] : names) {
    plan_ = {};
    add(name, 64, 64, 4);
    ModelConfig config;
    config.num_experts = config.experts_per_token = 1;
    EXPECT_EQ(weight_kind_name(summarise(config, plan_).groups.front().kind), kind) << name;
  }
}

TEST_F(PlannedByHand, the_same_kind_in_other_bits_is_a_group_of_its_own) {
  add("model.layers.0.self_attn.q_proj.weight", 64, 64, 4);
  add("model.layers.0.mlp.down_proj.weight", 64, 64, 4);
  add("model.layers.0.self_attn.v_proj.weight", 64, 64, 6);
  const ModelSummary summary = summarise({}, plan_);
  ASSERT_EQ(summary.groups.size(), 3u);
  EXPECT_EQ(summary.groups[0].stored_bits, 4u);
  EXPECT_EQ(summary.groups[1].stored_bits, 6u);
  EXPECT_EQ(summary.groups[1].packed_bits, 8u);
  EXPECT_EQ(weight_kind_name(summary.groups[2].kind), "mlp");
}

}  // namespace
}  // namespace slipstream
