// slipstream inspect MODEL: what a model is and what of it fits in this machine's memory, without reading its weights.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/commands.h"
#include "app/compute_options.h"
#include "app/inspect_report.h"
#include "base/memory.h"
#include "base/processors.h"

namespace slipstream {
namespace {

struct InspectOptions {
  std::string model;
  std::string dummy;
  bool json = false;
};

Status run_inspect(const InspectOptions& options) {
  ASSIGN_OR_RETURN(const ModelPath model, find_model_or_dummy(options.model, options.dummy));
  ASSIGN_OR_RETURN(const InspectReport report, inspect_model(model, available_memory_bytes(), num_usable_cores()));
  fmt::print("{}", options.json ? inspect_json(report) + "\n" : inspect_text(report));
  return ok_status();
}

}  // namespace

void add_inspect_command(CLI::App& program, int& exit_status) {
  const auto options = std::make_shared<InspectOptions>();
  CLI::App* command =
      program.add_subcommand("inspect", "say what a model is, and how many users it can have in this machine's memory");
  add_model_options(*command, options->model, options->dummy);
  command->add_flag("--json", options->json, "one JSON object, for programs");
  command->callback([options, &exit_status] {
    require_one_model(options->model, options->dummy);
    const Status status = run_inspect(*options);
    exit_status = status.ok() ? 0 : fail(status.error());
  });
}

}  // namespace slipstream
