// read_model_config(): config.json and, behind the first zero byte, generation_config.json.
#include "fuzz/fuzz_input.h"
#include "model/model_config.h"
#include "model/rope.h"

namespace slipstream {
namespace {

// What decoder, KV storage and rope rely on without looking again.
void check_config(const ModelConfig& config) {
  CHECK(config.num_layers > 0 && config.hidden_size > 0 && config.intermediate_size > 0, "an empty shape");
  CHECK(config.num_kv_heads > 0 && config.num_heads % config.num_kv_heads == 0, "{} heads over {}", config.num_heads,
        config.num_kv_heads);
  CHECK(config.head_dim > 0 && config.head_dim % 2 == 0, "head size {}", config.head_dim);
  for (const TokenId token : config.eos_tokens) CHECK(token < config.vocab_size, "token {}", token);
  CHECK(config.num_experts == 0 || (config.experts_per_token > 0 && config.experts_per_token <= config.num_experts &&
                                    config.expert_size > 0 && config.sparse_step > 0),
        "{} of {} experts", config.experts_per_token, config.num_experts);
  const RopeTable rope(config);
  for (const double frequency : rope.frequencies()) CHECK(frequency >= 0 && frequency <= 1, "frequency {}", frequency);
}

void read_folder(std::string_view input) {
  const auto [config_json, generation_json] = parts_between<2>(input, std::string_view("\0", 1));
  const TempFolder& folder = fuzz_folder();
  write_file(folder.path("config.json"), config_json);
  std::filesystem::remove(folder.path("generation_config.json"));
  if (!generation_json.empty()) write_file(folder.path("generation_config.json"), generation_json);
  const auto config = read_model_config(folder.path());
  if (!config.ok()) return check_refusal(config.error());
  check_config(*config);
}

}  // namespace
}  // namespace slipstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slipstream::read_folder({reinterpret_cast<const char*>(data), size});
  return 0;
}
