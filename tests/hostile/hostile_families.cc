// Wrong by family: biases of Qwen2's projections, experts of a Qwen3-MoE.
#include "hostile/hostile_edits.h"

namespace slipstream {
namespace {

constexpr char kQwen2[] = "qwen2-mlx-8bit-g32";
constexpr char kExperts[] = "qwen3-moe-mixed-bf16";          // each expert's matrices are tensors of their own
constexpr char kStacked[] = "qwen3-moe-mlx-4bit-g64-mixed";  // all experts' in one tensor
const std::string kStack = "model.layers.0.mlp.switch_mlp.";
const std::string kExpert = "model.layers.1.mlp.experts.";

void erase(const std::string& folder, const std::string& tensor) {
  edit_weights(folder, [&](WeightsFile& weights) { CHECK(weights.header.erase(tensor) == 1, "{}", tensor); });
}

// Leaves out what lies between `values` values and the tensor's end.
void shorten(const std::string& folder, const std::string& tensor, const std::vector<uint64_t>& shape, size_t bytes) {
  edit_weights(folder, [&](WeightsFile& weights) {
    auto& entry = weights.header.at(tensor);
    entry["shape"] = shape;
    entry["data_offsets"][1] = entry["data_offsets"][0].get<size_t>() + bytes;
  });
}

Kinds wrong_biases() {
  return {
      {"bias-missing",
       kQwen2,
       [](auto& f) { erase(f, "model.layers.1.self_attn.k_proj.bias"); },
       {"'model.layers.1.self_attn.k_proj.bias' is missing"}},
      {"bias-short",
       kQwen2,
       [](auto& f) { shorten(f, kQ + ".bias", {96}, 192); },
       {kQ + ".bias' has shape [96], expected [192] (num_attention_heads 6 x head_dim 32)"}},
      {"bias-matrix",
       kQwen2,
       [](auto& f) { set_field(f, kQ + ".bias", "shape", "[1,192]"); },
       {kQ + ".bias' has shape [1, 192], expected [192]"}},
      {"bias-integer",
       kQwen2,
       [](auto& f) {
         set_field(f, kQ + ".bias", "dtype", "\"U8\"");
         shorten(f, kQ + ".bias", {192}, 192);
       },
       {kQ + ".bias' has type U8, expected F32, F16 or BF16"}},
      {"bias-nan",
       kQwen2,
       [](auto& f) {
         edit_weights(f, [](WeightsFile& weights) {
           const auto begin = weights.header.at(kQ + ".bias")["data_offsets"][0].get<size_t>();
           weights.data.replace(begin + 4, 2, "\xc0\x7f");
         });
       },
       {kQ + ".bias' has a value that is not finite"}},
      {"bias-of-output",
       kQwen2,
       [](auto& f) {
         edit_weights(f, [](WeightsFile& weights) {
           weights.header["model.layers.0.self_attn.o_proj.bias"] = {
               {"dtype", "BF16"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
         });
       },
       {"model.layers.0.self_attn.o_proj.bias' is no part of a qwen2 model"}},
      {"bias-wrong-family",  // llama's config over qwen2's weights
       kQwen2,
       [](auto& f) {
         set_config(f, "model_type", "\"llama\"");
         set_config(f, "architectures", "[\"LlamaForCausalLM\"]");
       },
       {"_proj.bias' is no part of a llama model"}},
      {"bias-wanted",
       kPlain,
       [](auto& f) {
         set_config(f, "model_type", "\"qwen2\"");
         set_config(f, "architectures", "[\"Qwen2ForCausalLM\"]");
       },
       {kQ + ".bias' is missing"}},
      {"bias-claimed",
       kPlain,
       [](auto& f) { set_config(f, "attention_bias", "true"); },
       {"attention_bias is true", "not read yet"}},
      {"window-used",
       kQwen2,
       [](auto& f) { set_config(f, "use_sliding_window", "true"); },
       {"sliding-window attention (use_sliding_window is true) is not read yet"}},
  };
}

Kinds wrong_expert_numbers() {
  return {
      {"experts-none", kExperts, [](auto& f) { set_config(f, "num_experts", "0"); }, {"num_experts is 0, expected"}},
      {"experts-huge",
       kExperts,
       [](auto& f) { set_config(f, "num_experts", "4294967295"); },
       {"num_experts is 4294967295, expected a whole number from 1"}},
      {"experts-more",
       kExperts,
       [](auto& f) { set_config(f, "num_experts", "7"); },
       {"'model.layers.1.mlp.gate.weight' has shape [6, 128], expected [7, 128] (num_experts 7"}},
      {"experts-more-stacked",
       kStacked,
       [](auto& f) { set_config(f, "num_experts", "512"); },
       {"model.layers.0.mlp.gate.weight' has shape [8, 32]", "num_experts 512"}},
      {"experts-text", kExperts, [](auto& f) { set_config(f, "num_experts", "\"6\""); }, {"num_experts is '6'"}},
      {"per-token-none",
       kExperts,
       [](auto& f) { set_config(f, "num_experts_per_tok", "0"); },
       {"num_experts_per_tok is 0, expected a whole number from 1 to 6"}},
      {"per-token-more",
       kExperts,
       [](auto& f) { set_config(f, "num_experts_per_tok", "7"); },
       {"num_experts_per_tok is 7, expected a whole number from 1 to 6"}},
      {"expert-empty",
       kExperts,
       [](auto& f) { set_config(f, "moe_intermediate_size", "0"); },
       {"moe_intermediate_size is 0, expected"}},
      {"expert-larger",
       kExperts,
       [](auto& f) { set_config(f, "moe_intermediate_size", "128"); },
       {kExpert + "0.gate_proj.weight' has shape [64, 128], expected [128, 128] (moe_intermediate_size 128"}},
      {"only-layers-number",
       kExperts,
       [](auto& f) { set_config(f, "mlp_only_layers", "1"); },
       {"mlp_only_layers is 1, expected a list"}},
      {"only-layers-beyond",
       kExperts,
       [](auto& f) { set_config(f, "mlp_only_layers", "[3]"); },
       {"mlp_only_layers has 3, expected numbers of layers below num_hidden_layers 3"}},
      {"only-layers-text",
       kExperts,
       [](auto& f) { set_config(f, "mlp_only_layers", "[\"0\"]"); },
       {"mlp_only_layers has '0', expected numbers of layers"}},
      {"only-layers-sparse",
       kExperts,
       [](auto& f) { set_config(f, "mlp_only_layers", "[1]"); },
       {"'model.layers.1.mlp.gate_proj.weight' is missing"}},
      {"sparse-step-0",
       kExperts,
       [](auto& f) { set_config(f, "decoder_sparse_step", "0"); },
       {"decoder_sparse_step is 0, expected a whole number from 1"}},
      {"sparse-step-other",
       kExperts,
       [](auto& f) { set_config(f, "decoder_sparse_step", "1"); },
       {"'model.layers.0.mlp.gate.weight' is missing"}},
  };
}

Kinds experts_of_another_family() {
  return {
      {"experts-of-a-dense-model",
       kPlain,
       [](auto& f) {
         set_config(f, "model_type", "\"qwen3_moe\"");
         set_config(f, "architectures", "[\"Qwen3MoeForCausalLM\"]");
       },
       {"'model.layers.0.mlp.gate.weight' is missing"}},
      {"dense-with-experts",
       kExperts,
       [](auto& f) {
         set_config(f, "model_type", "\"qwen3\"");
         set_config(f, "architectures", "[\"Qwen3ForCausalLM\"]");
       },
       {"'model.layers.1.mlp.gate_proj.weight' is missing"}},
  };
}

Kinds wrong_expert_tensors() {
  return {
      {"expert-missing",
       kExperts,
       [](auto& f) { erase(f, kExpert + "3.up_proj.weight"); },
       {kExpert + "3.up_proj.weight' is missing"}},
      {"last-expert-missing",
       kExperts,
       [](auto& f) { erase(f, kExpert + "5.gate_proj.weight"); },
       {kExpert + "5.gate_proj.weight' is missing"}},
      {"expert-unasked",
       kExperts,
       [](auto& f) {
         edit_weights(f, [](WeightsFile& weights) {
           weights.header[kExpert + "6.up_proj.weight"] = {{"dtype", "BF16"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
         });
       },
       {kExpert + "6.up_proj.weight' is no part of a qwen3_moe model"}},
      {"router-turned-round",
       kExperts,
       [](auto& f) { set_field(f, "model.layers.1.mlp.gate.weight", "shape", "[128,6]"); },
       {"model.layers.1.mlp.gate.weight' has shape [128, 6], expected [6, 128] (num_experts 6, hidden_size 128)"}},
      {"router-missing",
       kStacked,
       [](auto& f) { erase(f, "model.layers.0.mlp.gate.weight"); },
       {"'model.layers.0.mlp.gate.weight' is missing"}},
      {"router-4-bits",
       kStacked,
       [](auto& f) {
         edit_json(f + "/config.json", [](Json& json) {
           for (const char* block : {"quantization", "quantization_config"})
             json[block].erase("model.layers.0.mlp.gate");
         });
       },
       {"model.layers.0.mlp.gate.weight' has shape [8, 32]", "expected [8, 16]", "4 bits"}},
  };
}

Kinds wrong_stacks() {
  return {
      {"stack-short",
       kStacked,
       [](auto& f) {
         shorten(f, kStack + "gate_proj.weight", {7, 64, 16}, 7 * 64 * 16 * 4);
       },
       {kStack + "gate_proj.weight' has shape [7, 64, 16], expected [8"}},
      {"stack-of-scales-short",
       kStacked,
       [](auto& f) {
         for (const char* part : {"scales", "biases"})
           shorten(f, kStack + "down_proj." + part, {7, 128, 1}, 7 * 128 * 2);
       },
       {kStack + "down_proj.weight' has shape [8, 128, 8] and scales [7, 128, 1], expected"}},
      {"stack-flat",
       kStacked,
       [](auto& f) { set_field(f, kStack + "up_proj.weight", "shape", "[512,16]"); },
       {kStack + "up_proj.weight' has shape [512, 16]", "expected [8, 64, 16]"}},
      {"stack-of-nothing",
       kStacked,
       [](auto& f) { shorten(f, kStack + "gate_proj.weight", {}, 4); },
       {kStack + "gate_proj.weight' has shape []"}},
      {"stack-part-missing",
       kStacked,
       [](auto& f) { erase(f, kStack + "down_proj.weight"); },
       {kStack + "down_proj.weight' is missing"}},
      {"stack-nan",
       kStacked,
       [](auto& f) {
         edit_weights(f, [](WeightsFile& weights) {
           const auto end = weights.header.at(kStack + "up_proj.scales")["data_offsets"][1].get<size_t>();
           weights.data.replace(end - 2, 2, "\xc0\x7f");  // the last expert's last scale
         });
       },
       {kStack + "up_proj.weight' has a scale or bias that is not finite in row"}},
  };
}

}  // namespace

Kinds wrong_families() {
  Kinds kinds = wrong_biases();
  for (const auto& part : {wrong_expert_numbers(), experts_of_another_family(), wrong_expert_tensors(), wrong_stacks()})
    kinds.insert(kinds.end(), part.begin(), part.end());
  return kinds;
}

}  // namespace slipstream
