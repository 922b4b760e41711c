// slipstream check WHAT [MODEL]: promises of the house, looked at with a model of one's own. A row of the table below
// is a check; each has its file, check_NAME.cc. Exit status 1: a promise is not kept.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/checks.h"
#include "app/commands.h"

namespace slipstream {
namespace {

struct CheckOptions {
  MeasuredModelOptions model;
  bool is_short = false;
};

struct Check {
  const char* name;
  const char* help;
  bool has_short_form;
  Result<bool> (*run)(const CheckOptions& options);
};

constexpr Check kChecks[] = {
    {"prefix-cache", "is a prompt that was there before found in the cache, to the token", false,
     [](const CheckOptions& options) { return check_prefix_cache(options.model); }},
    {"invariance", "are a request's logits the same bits, whoever else is there", true,
     [](const CheckOptions& options) { return check_invariance(options.model, options.is_short); }},
};

}  // namespace

void add_check_command(CLI::App& program, int& exit_status) {
  CLI::App* check = program.add_subcommand("check", "check promises with a model of your own");
  check->require_subcommand(1);
  for (const Check& row : kChecks) {
    const auto options = std::make_shared<CheckOptions>();
    CLI::App* command = check->add_subcommand(row.name, row.help);
    options->model.add_to(*command);
    if (row.has_short_form) command->add_flag("--short", options->is_short, "a short prompt and fewer cases");
    command->callback([options, &row, &exit_status] {
      options->model.check();
      const Result<bool> kept = row.run(*options);
      exit_status = !kept.ok() ? fail(kept.error()) : *kept ? 0 : 1;
    });
  }
}

}  // namespace slipstream
