#include "app/compute_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/processors.h"

namespace slipstream {

void add_model_options(CLI::App& command, std::string& model, std::string& dummy) {
  command.add_option("MODEL", model, kModelHelp);
  command.add_option("--dummy", dummy, dummy_help())->check([](const std::string& text) {
    const auto name = read_dummy_name(text);
    return name.ok() ? std::string() : name.error().message;
  });
}

void require_one_model(const std::string& model, const std::string& dummy) {
  if (model.empty() && dummy.empty()) throw CLI::RequiredError("MODEL (or --dummy)");
  if (!model.empty() && !dummy.empty()) throw CLI::ValidationError("MODEL, --dummy", "give one of the two");
}

void ComputeOptions::add_to(CLI::App& command) {
  add_model_options(command, model, dummy);
  command.add_option("--threads", num_threads, "compute threads (default: the cores this process may use)")
      ->check(CLI::Range(1u, 1024u));
  command.add_option("--isa", isa, "instruction set (default: the best of this machine); the same bits with each")
      ->check(CLI::IsMember({"reference", "avx2", "avx512", "avx512-coupled"}));
  command.add_option("--activations", activations, "arithmetic: int16 is the product's, f32 the yardstick")
      ->check(CLI::IsMember({"int16", "f32"}))
      ->capture_default_str();
  command.add_option("--block-size", block_tokens, "tokens in a KV block; never changes a bit")
      ->check(CLI::IsMember({16u, 32u, 64u, 128u, 256u}))
      ->capture_default_str();
}

Result<ModelPath> ComputeOptions::find() const { return find_model_or_dummy(model, dummy); }

uint32_t ComputeOptions::threads() const { return num_threads != 0 ? num_threads : num_usable_cores(); }

ThreadPool ComputeOptions::make_pool() const { return ThreadPool(threads(), Placement::kOwnCores); }

Result<CpuExecutorOptions> ComputeOptions::executor_options() const {
  CpuExecutorOptions options;
  if (!isa.empty()) {
    const auto named = isa_from_name(isa);
    CHECK(named.has_value(), "--isa {} passed its check", isa);
    if (!isa_supported(*named)) return invalid_param("--isa", "--isa {}: this processor does not have it", isa);
    options.isa = *named;
  }
  options.activations = activations == "f32" ? ActivationMode::kF32 : ActivationMode::kInt16;
  options.block_tokens = block_tokens;
  return options;
}

int fail(const Error& error) {
  fmt::print(stderr, "slipstream: {}\n", error.message);
  return 1;
}

}  // namespace slipstream
