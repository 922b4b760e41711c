// Wrong as packing: bits, groups and row widths that do not go together, and other people's ways of quantising.
#include "hostile/hostile_edits.h"

namespace slipstream {
namespace {

const std::string kHugePath(100000, 'x');

// The block that every MLX file here has, with more in it.
void set_block(const std::string& folder, const std::string& more) {
  set_quantization(folder, (R"({"group_size":64,"bits":4)" + more + "}").c_str());
}

// A tensor with another shape and as many bytes as that takes, at the end of the data.
void reshape(const std::string& folder, const std::string& tensor, const std::vector<uint64_t>& shape, size_t bytes) {
  edit_weights(folder, [&](WeightsFile& weights) {
    auto& entry = weights.header.at(tensor);
    entry["shape"] = shape;
    entry["data_offsets"] = {weights.data.size(), weights.data.size() + bytes};
    weights.data.append(bytes, '\0');
  });
}

template <int kBits>
HostileKind bits_not_as_packed(const std::string& expected_words) {
  return {"bits-" + std::to_string(kBits),
          kMlx,
          [](auto& f) { set_quantization(f, ("{\"group_size\":64,\"bits\":" + std::to_string(kBits) + "}").c_str()); },
          {"has shape [320, 16] and scales [320, 2], expected [320, " + expected_words + "]",
           std::to_string(kBits) + " bits in groups of 64"}};
}

Kinds wrong_bits() {
  const std::string v = "model.layers.1.self_attn.v_proj";
  return {
      bits_not_as_packed<2>("8"),
      bits_not_as_packed<3>("12"),
      bits_not_as_packed<5>("20"),
      bits_not_as_packed<6>("24"),
      {"bits-1",
       kMlx,
       [](auto& f) { set_quantization(f, R"({"group_size":64,"bits":1})"); },
       {"quantization.bits is 1"}},
      {"bits-zero", kMlx, [](auto& f) { set_quantization(f, R"({"group_size":64,"bits":0})"); }, {"bits is 0"}},
      {"bits-huge",
       kMlx,
       [](auto& f) { set_quantization(f, R"({"group_size":64,"bits":4294967300})"); },
       {"quantization.bits is 4294967300"}},
      {"bits-missing",
       kMlx,
       [](auto& f) { set_quantization(f, R"({"group_size":64})"); },
       {"quantization.bits is missing"}},
      {"group-48", kMlx, [](auto& f) { set_quantization(f, R"({"group_size":48,"bits":4})"); }, {"group_size is 48"}},
      {"group-wrong",
       kMlx,
       [](auto& f) { set_quantization(f, R"({"group_size":32,"bits":4})"); },
       {"and scales [320, 2], expected [320, 16] and [320, 4] (quantization: 4 bits in groups of 32"}},
      {"block-missing",
       kMlx,
       [](auto& f) {
         edit_json(f + "/config.json", [](Json& json) {
           json.erase("quantization");
           json.erase("quantization_config");
         });
       },
       {"is quantised, but config.json has no 'quantization'"}},
      {"block-text", kMlx, [](auto& f) { set_quantization(f, R"("4bit")"); }, {"quantization is '4bit', expected"}},
      {"blocks-disagree",
       kMlx,
       [](auto& f) { set_config(f, "quantization_config", R"({"group_size":64,"bits":8})"); },
       {"quantization and quantization_config disagree"}},
      {"path-other-bits",
       kMlx,
       [](auto& f) { set_block(f, R"(,"model.layers.1.self_attn.v_proj":{"group_size":64,"bits":8})"); },
       {v + ".weight' has shape [64, 16]", "expected [64, 32]", "8 bits in groups of 64"}},
      {"path-other-group",
       kMlx,
       [](auto& f) { set_block(f, R"(,"model.layers.1.self_attn.v_proj":{"group_size":128,"bits":4})"); },
       {v + ".weight' has shape [64, 16]", "4 bits in groups of 128"}},
      {"path-not-quantised",
       kMlx,
       [](auto& f) { set_block(f, R"(,"model.layers.1.self_attn.v_proj":false)"); },
       {v + ".weight' is quantised, but config.json says it is not"}},
      {"path-is-text",
       kMlx,
       [](auto& f) { set_block(f, R"(,"model.layers.1.self_attn.v_proj":"8")"); },
       {"quantization.'" + v + "' is '8', expected an object or true or false"}},
      {"path-hostile",
       kMlx,
       [](auto& f) { set_block(f, R"(,"../../\u0000\n\u001b[2J\"{}":{"group_size":64,"bits":9})"); },
       {R"(quantization.'../../\x00\x0a\x1b[2J"{}'.bits is 9)"}},
      {"path-huge",
       kMlx,
       [](auto& f) { set_block(f, ",\"" + kHugePath + "\":{\"group_size\":64}"); },
       {"quantization.'xxxx", "...'.bits is missing"}},
  };
}

Kinds wrong_rows() {
  return {
      {"row-no-words",
       kMlx,
       [](auto& f) {
         reshape(f, kQ + ".weight", {256, 17}, 256 * 17 * 4);
       },
       {kQ + ".weight' has shape [256, 17]", "expected [256, 16]"}},
      {"row-empty",
       kMlx,
       [](auto& f) {
         reshape(f, kQ + ".weight", {256, 0}, 0);
       },
       {kQ + ".weight' has shape [256, 0]"}},
      {"row-of-bytes",
       kMlx,
       [](auto& f) {
         edit_weights(f, [](WeightsFile& weights) {
           weights.header.at(kQ + ".weight")["dtype"] = "U8";
           weights.header.at(kQ + ".weight")["shape"] = Json::array({256, 64});  // a bare {...} leaks in clang 14
         });
       },
       {kQ + ".weight' has type U8", "expected U32"}},
      {"packed-flat",
       kMlx,
       [](auto& f) { reshape(f, kQ + ".weight", {4096}, 16384); },
       {kQ + ".weight' has shape [4096]"}},
      {"scales-empty",
       kMlx,
       [](auto& f) {
         reshape(f, kQ + ".scales", {256, 0}, 0);
         reshape(f, kQ + ".biases", {256, 0}, 0);
       },
       {kQ + ".weight' has shape [256, 16] and scales [256, 0], expected [256, 16] and [256, 2]"}},
      {"scales-odd",
       kMlx,
       [](auto& f) {
         reshape(f, kQ + ".scales", {256, 3}, 1536);
         reshape(f, kQ + ".biases", {256, 3}, 1536);
       },
       {kQ + ".weight' has shape [256, 16] and scales [256, 3], expected [256, 16] and [256, 2]"}},
      {"scales-integers",
       kMlx,
       [](auto& f) {
         edit_weights(f, [](WeightsFile& weights) {
           for (const char* part : {".scales", ".biases"}) {
             weights.header.at(kQ + part)["dtype"] = "U8";
             weights.header.at(kQ + part)["shape"] = Json::array({256, 4});
           }
         });
       },
       {kQ + ".scales' has type U8, expected F32, F16 or BF16"}},
      {"biases-other-type",
       kMlx,
       [](auto& f) { set_field(f, kQ + ".biases", "dtype", R"("F16")"); },
       {kQ + ".biases' is F16 [256, 2], expected BF16 [256, 2] as the scales"}},
      {"values-alone",
       kMlx,
       [](auto& f) {
         edit_weights(f, [](WeightsFile& weights) {
           weights.header.erase(kQ + ".scales");
           weights.header.erase(kQ + ".biases");
         });
       },
       {kQ + ".weight' has"}},
      {"float8", kPlain, [](auto& f) { set_field(f, kQ + ".weight", "dtype", R"("F8_E4M3")"); }, {"dtype 'F8_E4M3'"}},
  };
}

// Written by other tools; each says by quant_method what it is.
HostileKind method(const char* name, void (*spoil)(const std::string&)) {
  return {std::string("method-") + name, kPlain, spoil, {"quantization_config", std::string("'") + name + "'"}};
}

Kinds other_methods() {
  return {
      method("awq",
             [](auto& f) {
               set_config(f, "quantization_config",
                          R"({"quant_method":"awq","bits":4,"group_size":128,"version":"gemm","zero_point":true})");
             }),
      method("bitsandbytes",
             [](auto& f) {
               set_config(f, "quantization_config",
                          R"({"quant_method":"bitsandbytes","load_in_4bit":true,"bnb_4bit_quant_type":"nf4"})");
             }),
      method("fp8",
             [](auto& f) {
               set_config(f, "quantization_config",
                          R"({"quant_method":"fp8","activation_scheme":"dynamic","weight_block_size":[128,128]})");
             }),
      method("compressed-tensors",
             [](auto& f) {
               set_config(f, "quantization_config",
                          R"({"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{}})");
             }),
      {"method-nameless",
       kPlain,
       [](auto& f) { set_config(f, "quantization_config", R"({"load_in_8bit":true})"); },
       {"quantization_config.bits is missing"}},
      {"method-number",
       kPlain,
       [](auto& f) { set_config(f, "quantization_config", R"({"quant_method":{"a":1},"bits":4,"group_size":64})"); },
       {"quantization_config"}},
  };
}

}  // namespace

Kinds wrong_packing() {
  Kinds kinds = wrong_bits();
  for (const auto& part : {wrong_rows(), other_methods()}) kinds.insert(kinds.end(), part.begin(), part.end());
  return kinds;
}

}  // namespace slipstream
