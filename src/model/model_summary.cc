#include "model/model_summary.h"

#include <algorithm>

namespace slipstream {
namespace {

bool has(std::string_view name, std::string_view part) { return name.find(part) != std::string_view::npos; }

// Names of both kinds of files; the plan has checked that they are what they say.
WeightKind kind_of(std::string_view name) {
  if (has(name, "embed_tokens") || has(name, "token_embd")) return WeightKind::kEmbedding;
  if (name.starts_with("lm_head.") || name.starts_with("output.")) return WeightKind::kLmHead;
  if (has(name, ".mlp.gate.") || has(name, ".ffn_gate_inp.")) return WeightKind::kRouter;
  if (has(name, ".experts.") || has(name, ".switch_mlp.") || has(name, "_exps.")) return WeightKind::kExperts;
  if (has(name, ".mlp.") || has(name, ".ffn_")) return WeightKind::kMlp;
  return WeightKind::kAttention;
}

std::string_view scale_name(ScaleType type) {
  switch (type) {
    case ScaleType::kBf16: return "BF16";
    case ScaleType::kFp16: return "F16";
    case ScaleType::kFp32: break;
  }
  return "F32";
}

// A matrix, as a group of its own.
WeightGroup group_of(const MatrixPlan& plan) {
  const PackedMatrix& matrix = *plan.matrix;
  WeightGroup group;
  group.kind = kind_of(plan.values->name);
  group.stored = dtype_name(plan.values->dtype);
  group.stored_bits = plan.stored_bits;
  group.group = matrix.format.group;
  if (matrix.format.quantised()) group.scales = scale_name(matrix.format.scales);
  group.packed_bits = matrix.format.bits;
  group.num_tensors = 1;
  group.num_parameters = uint64_t{matrix.rows} * matrix.cols;
  group.file_bytes = plan.stored_bytes();
  group.packed_bytes = packed_bytes(matrix.format, matrix.rows, matrix.cols);
  return group;
}

WeightGroup group_of(const VectorPlan& plan) {
  WeightGroup group;
  group.kind = plan.values->name.ends_with(".bias") ? WeightKind::kBias : WeightKind::kNorm;
  group.stored = dtype_name(plan.values->dtype);
  group.stored_bits = dtype_block_bytes(plan.values->dtype) * 8;
  group.packed_bits = 32;
  group.num_tensors = 1;
  group.num_parameters = plan.num_values;
  group.file_bytes = plan.values->bytes.size();
  group.packed_bytes = sizeof(float) * uint64_t{plan.num_values};
  return group;
}

bool stored_alike(const WeightGroup& a, const WeightGroup& b) {
  return a.kind == b.kind && a.stored == b.stored && a.stored_bits == b.stored_bits && a.group == b.group &&
         a.scales == b.scales;
}

void add(const WeightGroup& one, std::vector<WeightGroup>& groups) {
  const auto same = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return stored_alike(g, one); });
  if (same == groups.end()) {
    groups.push_back(one);
    return;
  }
  same->num_tensors += one.num_tensors;
  same->num_parameters += one.num_parameters;
  same->file_bytes += one.file_bytes;
  same->packed_bytes += one.packed_bytes;
}

}  // namespace

std::string_view weight_kind_name(WeightKind kind) {
  switch (kind) {
    case WeightKind::kEmbedding: return "embedding";
    case WeightKind::kAttention: return "attention";
    case WeightKind::kMlp: return "mlp";
    case WeightKind::kRouter: return "router";
    case WeightKind::kExperts: return "experts";
    case WeightKind::kLmHead: return "lm_head";
    case WeightKind::kNorm: return "norm";
    case WeightKind::kBias: break;
  }
  return "bias";
}

ModelSummary summarise(const ModelConfig& config, const WeightsPlan& plan) {
  ModelSummary summary;
  for (const MatrixPlan& matrix : plan.matrices) add(group_of(matrix), summary.groups);
  for (const VectorPlan& vector : plan.vectors) add(group_of(vector), summary.groups);
  std::stable_sort(summary.groups.begin(), summary.groups.end(),
                   [](const WeightGroup& a, const WeightGroup& b) { return a.kind < b.kind; });
  for (const WeightGroup& group : summary.groups) {
    summary.num_parameters += group.num_parameters;
    summary.file_bytes += group.file_bytes;
    summary.num_active_parameters += group.kind == WeightKind::kExperts
                                         ? group.num_parameters / config.num_experts * config.experts_per_token
                                         : group.num_parameters;
  }
  summary.packed_bytes = plan.packed_bytes;
  return summary;
}

}  // namespace slipstream
