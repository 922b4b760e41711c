#include "app/measured_model.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/progress_bar.h"
#include "model/small_shape.h"

namespace slipstream {
namespace {

// Large enough to be a model (attention over several heads, a vocabulary for the byte tokenizer), small enough that a
// prompt of thousands of tokens is computed within a second.
constexpr uint32_t kSmallLayers = 2;
constexpr uint32_t kSmallVocabulary = 512;

ModelPath small_model() {
  const DummyShape shape = small_shape(dummy_shapes().front(), kSmallLayers, kSmallVocabulary);
  return ModelPath{"a small made-up model", "a small made-up model", DummyName{shape, 0}};
}

}  // namespace

void MeasuredModelOptions::add_to(CLI::App& command) {
  compute.add_to(command);
  command.add_option("--layers", num_layers, "of a dummy only its first N layers (default: all)")
      ->check(CLI::Range(1u, 1024u));
}

void MeasuredModelOptions::check() const {
  if (!compute.model.empty() && !compute.dummy.empty())
    throw CLI::ValidationError("MODEL, --dummy", "give one of the two");
  if (num_layers != 0 && compute.dummy.empty()) throw CLI::ValidationError("--layers", "needs --dummy SHAPE");
}

std::string MeasuredModelOptions::describe(const OpenedModel& model) const {
  const std::string& given = compute.dummy.empty() ? compute.model : compute.dummy;
  return fmt::format("{}, {} layers, blocks of {} tokens, {} threads", given.empty() ? small_model().name : given,
                     model.config.num_layers, compute.block_tokens, compute.threads());
}

std::string MeasuredModelOptions::short_name() const {
  const std::string& given = compute.dummy.empty() ? compute.model : compute.dummy;
  if (given.empty()) return "small";
  const std::string name = given.substr(given.find_last_of('/', given.size() - 2) + 1);
  return num_layers != 0 ? fmt::format("{} {} layers", name, num_layers) : name;
}

Result<OpenedModel> load_measured_model(const MeasuredModelOptions& options, ThreadPool& pool) {
  const ComputeOptions& compute = options.compute;
  ModelPath found = small_model();
  if (!compute.model.empty() || !compute.dummy.empty()) {
    ASSIGN_OR_RETURN(found, compute.find());
  }
  if (options.num_layers != 0) {
    uint32_t& num_layers = found.dummy->shape.num_hidden_layers;
    if (options.num_layers > num_layers)
      return invalid_param("--layers", "--layers {}: {} has {}", options.num_layers, found.name, num_layers);
    num_layers = options.num_layers;
  }
  ASSIGN_OR_RETURN(ModelFiles files, open_model_files(found));
  return load_model(std::move(files), pool, terminal_progress("loading"));
}

}  // namespace slipstream
