// slipstream check WHAT [MODEL]: promises of the house, looked at with a model of one's own. A row of the table below
// is a check; each has its file, check_NAME.cc. Exit status 1: a promise is not kept.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "app/checks.h"
#include "app/commands.h"

namespace slipstream {
namespace {

struct Check {
  const char* name;
  const char* help;
  Result<bool> (*run)(const MeasuredModelOptions& options);
};

constexpr Check kChecks[] = {
    {"prefix-cache", "is a prompt that was there before found in the cache, to the token", &check_prefix_cache},
};

}  // namespace

void add_check_command(CLI::App& program, int& exit_status) {
  CLI::App* check = program.add_subcommand("check", "check promises with a model of your own");
  check->require_subcommand(1);
  for (const Check& row : kChecks) {
    const auto options = std::make_shared<MeasuredModelOptions>();
    CLI::App* command = check->add_subcommand(row.name, row.help);
    options->add_to(*command);
    command->callback([options, &row, &exit_status] {
      options->check();
      const Result<bool> kept = row.run(*options);
      exit_status = !kept.ok() ? fail(kept.error()) : *kept ? 0 : 1;
    });
  }
}

}  // namespace slipstream
