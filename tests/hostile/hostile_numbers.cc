// Wrong as numbers: config.json with words for numbers, shapes that do not go together, values that are none.
#include "hostile/hostile_edits.h"

namespace slipstream {
namespace {

// Of every two bytes of a tensor: fp16's or bf16's NaN.
void spoil_values(const std::string& folder, const std::string& tensor, size_t first_byte) {
  edit_weights(folder, [&](WeightsFile& weights) {
    const auto offsets = weights.header.at(tensor).at("data_offsets");
    for (size_t i = offsets[0].get<size_t>() + first_byte; i < offsets[1].get<size_t>(); ++i)
      weights.data[i] = i % 2 == 0 ? '\xff' : '\x7f';
  });
}

Kinds words_for_numbers() {
  return {
      {"string-layers",
       kPlain,
       [](auto& f) { set_config(f, "num_hidden_layers", R"("2")"); },
       {"config.json: num_hidden_layers is '2', expected a whole number"}},
      {"string-hidden", kPlain, [](auto& f) { set_config(f, "hidden_size", R"("128")"); }, {"hidden_size is '128'"}},
      {"string-eps", kPlain, [](auto& f) { set_config(f, "rms_norm_eps", R"("1e-6")"); }, {"rms_norm_eps is '1e-6'"}},
      {"string-theta",
       kPlain,
       [](auto& f) { set_config(f, "rope_parameters", R"({"rope_type":"default","rope_theta":"1000000"})"); },
       {"rope_parameters.rope_theta is '1000000', expected a number"}},
      {"string-tied",
       kPlain,
       [](auto& f) { set_config(f, "tie_word_embeddings", R"("true")"); },
       {"tie_word_embeddings is 'true', expected true or false"}},
      {"string-eos", kPlain, [](auto& f) { set_config(f, "eos_token_id", R"("2")"); }, {"eos_token_id is '2'"}},
      {"string-bits",
       kMlx,
       [](auto& f) { set_quantization(f, R"({"group_size":64,"bits":"4"})"); },
       {"quantization.bits is '4', expected a whole number"}},
      {"float-layers",
       kPlain,
       [](auto& f) { set_config(f, "num_hidden_layers", "2.0"); },
       {"num_hidden_layers is 2.0, expected a whole number"}},
      {"negative-heads",
       kPlain,
       [](auto& f) { set_config(f, "num_attention_heads", "-8"); },
       {"num_attention_heads is -8, expected a whole number from 1"}},
      {"nan-eps",
       kPlain,
       [](auto& f) {
         std::string text = read_file(f + "/config.json");
         text.insert(1, R"("rms_norm_eps":NaN,)");  // as Python writes it
         write_file(f + "/config.json", text);
       },
       {"config.json: is not JSON"}},
  };
}

Kinds wrong_suggestions() {
  return {
      {"suggested-string",
       kPlain,
       [](auto& f) { set_generation(f, "temperature", R"("0.6\n")"); },
       {"generation_config.json: temperature is '0.6", "expected a number from 0 to 2"}},
      {"suggested-huge",
       kPlain,
       [](auto& f) { set_generation(f, "temperature", "1e30"); },
       {"generation_config.json: temperature is 1e+30, expected a number from 0 to 2"}},
      {"suggested-negative",
       kPlain,
       [](auto& f) { set_generation(f, "top_k", "-5"); },
       {"generation_config.json: top_k is -5, expected a whole number from 0"}},
      {"suggested-list",
       kPlain,
       [](auto& f) { set_generation(f, "top_p", "[0.9]"); },
       {"generation_config.json: top_p is a list, expected a number"}},
      {"suggested-none",
       kPlain,
       [](auto& f) { set_generation(f, "top_p", "0"); },
       {"generation_config.json: top_p is 0, expected above 0"}},
      {"suggested-penalty",
       kPlain,
       [](auto& f) { set_generation(f, "repetition_penalty", "-1.0"); },
       {"generation_config.json: repetition_penalty is -1.0, expected a number from 0.01 to 10"}},
      {"suggested-length",
       kPlain,
       [](auto& f) { set_generation(f, "max_new_tokens", "18446744073709551616"); },
       {"generation_config.json: max_new_tokens is ", "expected a whole number from 1"}},
      {"suggested-flag",
       kPlain,
       [](auto& f) { set_generation(f, "do_sample", "1"); },
       {"generation_config.json: do_sample is 1, expected true or false"}},
  };
}

Kinds wrong_shapes() {
  return {
      {"vocab-larger",
       kPlain,
       [](auto& f) { set_config(f, "vocab_size", "321"); },
       {"'model.embed_tokens.weight' has shape [320, 128], expected [321, 128]"}},
      {"vocab-smaller",
       kPlain,
       [](auto& f) { set_config(f, "vocab_size", "319"); },
       {"319"}},  // of the embedding or, where it is read first, of the tokenizer
      {"eos-beyond-vocab",
       kPlain,
       [](auto& f) { set_config(f, "eos_token_id", "[2,320]"); },
       {"eos_token_id is 320, expected token ids below vocab_size 320"}},
      {"hidden-huge",
       kPlain,
       [](auto& f) { set_config(f, "hidden_size", "4294967296"); },
       {"hidden_size is 4294967296, expected a whole number"}},
      {"mlp-huge",
       kPlain,
       [](auto& f) { set_config(f, "intermediate_size", "262144"); },
       {"mlp.gate_proj.weight' has shape [256, 128], expected [262144, 128]"}},
      {"head-empty", kPlain, [](auto& f) { set_config(f, "head_dim", "0"); }, {"head_dim is 0, expected"}},
      {"head-odd", kPlain, [](auto& f) { set_config(f, "head_dim", "31"); }, {"head size 31, expected an even number"}},
      {"heads-none", kPlain, [](auto& f) { set_config(f, "num_key_value_heads", "0"); }, {"num_key_value_heads is 0"}},
      {"context-empty",
       kPlain,
       [](auto& f) { set_config(f, "max_position_embeddings", "0"); },
       {"max_position_embeddings is 0, expected"}},
      {"untied-without-head",
       kPlain,
       [](auto& f) { set_config(f, "tie_word_embeddings", "false"); },
       {"'lm_head.weight' is missing", "tie_word_embeddings not true"}},
  };
}

Kinds wrong_ropes() {
  return {
      {"rope-length-0",
       kPlain,
       [](auto& f) {
         set_config(f, "rope_parameters",
                    R"({"rope_type":"longrope","short_factor":[],"long_factor":[],"rope_theta":1e6})");
       },
       {"rope type 'longrope', which is not read yet"}},
      {"rope-theta-0",
       kPlain,
       [](auto& f) { set_config(f, "rope_parameters", R"({"rope_type":"default","rope_theta":0})"); },
       {"rope_theta is 0, expected a number from 1"}},
      {"rope-factor-missing",
       kSharded,
       [](auto& f) { set_config(f, "rope_parameters", R"({"rope_type":"llama3","rope_theta":1e6})"); },
       {"factor is missing, expected a number"}},
      {"rope-factor-0",
       kSharded,
       [](auto& f) {
         set_config(f, "rope_parameters",
                    R"({"rope_type":"llama3","factor":0,"low_freq_factor":1,"high_freq_factor":4,
                        "original_max_position_embeddings":64,"rope_theta":1e6})");
       },
       {"factor is 0, expected a number from 1"}},
      {"rope-original-0",
       kSharded,
       [](auto& f) {
         set_config(f, "rope_parameters",
                    R"({"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,
                        "original_max_position_embeddings":0,"rope_theta":1e6})");
       },
       {"original_max_position_embeddings is 0, expected a number from 1"}},
      {"rope-turned-round",
       kSharded,
       [](auto& f) {
         set_config(f, "rope_parameters",
                    R"({"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4,
                        "original_max_position_embeddings":64,"rope_theta":1e6})");
       },
       {"high_freq_factor 4 is not above low_freq_factor 4"}},
      {"rope-key-of-lines",
       kPlain,
       [](auto& f) { set_config(f, "rope_parameters", R"({"full\nattention":{"rope_type":"default"}})"); },
       {R"(rope_parameters.'full\x0aattention' is an object)"}},
      {"rope-list", kPlain, [](auto& f) { set_config(f, "rope_parameters", "[]"); }, {"rope_parameters is a list"}},
  };
}

Kinds values_that_are_none() {
  return {
      {"norm-nan",
       kPlain,
       [](auto& f) { spoil_values(f, "model.norm.weight", 10); },
       {"'model.norm.weight' has a value that is not finite"}},
      {"matrix-nan",
       kPlain,
       [](auto& f) { spoil_values(f, kQ + ".weight", 1000); },
       {kQ + ".weight' has a value that is not finite in row"}},
      {"biases-nan",
       kMlx,
       [](auto& f) { spoil_values(f, kQ + ".biases", 6); },
       {kQ + ".weight' has a scale or bias that is not finite in row"}},
      {"last-scale-nan",
       kMlx,
       [](auto& f) { spoil_values(f, "model.layers.1.mlp.down_proj.scales", 128 * 4 * 2 - 2); },
       {"model.layers.1.mlp.down_proj.weight' has a scale or bias that is not finite in row 127"}},
  };
}

}  // namespace

Kinds wrong_numbers() {
  Kinds kinds = words_for_numbers();
  for (const auto& part : {wrong_suggestions(), wrong_shapes(), wrong_ropes(), values_that_are_none()})
    kinds.insert(kinds.end(), part.begin(), part.end());
  return kinds;
}

}  // namespace slipstream
